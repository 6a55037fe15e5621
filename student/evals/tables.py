"""Rows of CSV and TSV: a header, then one item a row, each with as many cells as the header.

CSV cells are separated by commas, semicolons or tabs, whichever the header has most of. Quotes are read strictly: one that never
closes would swallow the rows after it. In a TSV a line is a row and quotes are text, as most tools write it; only when its lines
have different numbers of cells are quotes read as in a CSV, as spreadsheets write it.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from student.evals.files import MAX_CELL, Line, lines
from student.evals.rows import Row, Source
from student.evals.trouble import EvalError, RowTrouble, listed, shown

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_OLD_MAC = re.compile(r"[^\r]*\r\n?|[^\r]+")


@dataclass
class _Cells:
    """The cells of one row."""

    number: int
    """The line it begins in."""
    cells: list[str]
    """As text."""
    trouble: RowTrouble | None
    """Why it cannot be used."""


def table(path: Path, packed: bool, format: str) -> Source:  # the word of the reader
    """A CSV or TSV file. Raises EvalError for a header that cannot be used."""
    first = next((line.text for line in lines(path, packed) if line.text.strip()), "")
    separator = "\t" if format == "TSV" else _separator(first)
    plain = format == "TSV" and _one_line_a_row(path, packed, first)
    found = _plain_rows(path, packed) if plain else _quoted_rows(path, packed, separator)
    header = next(found, None)
    if header is None:
        raise EvalError(f"{path}: there is no text in this file. Give one with a header and one item a row.")
    if header.trouble:
        raise header.trouble
    columns = _columns(f"{path}:{header.number}", header.cells)
    words = f"{format}, cells separated by {_SEPARATORS[separator]}s{', quotes are text' if plain else ''}"
    return Source(str(path), words, _rows(path, columns, found, separator), columns)


def _separator(header: str) -> str:
    """What the header's cells are separated by."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(_SEPARATORS, key=bare.count)


def _one_line_a_row(path: Path, packed: bool, header: str) -> bool:
    width = header.count("\t")
    return all(line.text.count("\t") == width for line in lines(path, packed) if line.text.strip("\r\n"))


def _columns(where: str, header: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() or f"column {at}" for at, name in enumerate(header, 1))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [at for at, name in enumerate(names, 1) if name == twice[0]]
        raise EvalError(
            f"{where}: the header names {shown(twice[0])} more than once (as column {' and '.join(map(str, places))}). Give each "
            "column its own name."
        )
    return names


def _rows(path: Path, columns: tuple[str, ...], found: Iterator[_Cells], separator: str) -> Iterator[Row | RowTrouble]:
    for row in found:
        if row.trouble:
            yield row.trouble
        elif len(row.cells) == len(columns):
            yield Row(row.number, dict(zip(columns, row.cells, strict=True)))
        elif any(map(str.strip, row.cells)):
            yield RowTrouble("ragged row", f"{path}:{row.number}: {_ragged(columns, row.cells, separator)}")


def _ragged(columns: tuple[str, ...], cells: list[str], separator: str) -> str:
    have, more = len(cells), len(cells) > len(columns)
    lacks = (
        f"too much is {listed(cells[len(columns) :], 2)}" if more else f"nothing stands for {listed(columns[have:], 3)}"
    )
    return (
        f"this row has {have} cell{'s' if have > 1 else ''}, the header {len(columns)}; {lacks}. A {_SEPARATORS[separator]} ends a "
        "cell; one that holds a separator or a line break belongs in double quotes. Correct the row."
    )


def _plain_rows(path: Path, packed: bool) -> Iterator[_Cells]:
    for line in lines(path, packed):
        if text := line.text.strip("\r\n"):
            yield _Cells(line.number, [_unquoted(cell) for cell in text.split("\t")], line.trouble)


def _unquoted(cell: str) -> str:
    """A cell that is wholly in quotes, with the quotes inside doubled, is what stands inside."""
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return cell
    inside = cell[1:-1].replace('""', "")
    return cell if '"' in inside else cell[1:-1].replace('""', '"')


class _Feed:
    """Lines on their way to the CSV reader, which remembers the first bad one until it is asked."""

    def __init__(self, found: Iterator[Line]) -> None:
        self._found = found
        self._trouble: RowTrouble | None = None

    def __iter__(self) -> Iterator[str]:
        for line in self._found:
            self._trouble = self._trouble or line.trouble
            if "\r" in line.text.rstrip("\r\n"):
                yield from _OLD_MAC.findall(line.text)
            else:
                yield line.text

    def trouble(self) -> RowTrouble | None:
        """What was wrong with the lines since the last time."""
        trouble, self._trouble = self._trouble, None
        return trouble


def _quoted_rows(path: Path, packed: bool, separator: str) -> Iterator[_Cells]:
    csv.field_size_limit(max(csv.field_size_limit(), 4 * MAX_CELL))
    feed = _Feed(lines(path, packed))
    reader = csv.reader(feed, delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            said = _misquoted(path, number, reader.line_num, str(error), separator)
            if not str(error).startswith(f"'{separator}' expected"):
                raise EvalError(said) from error
            yield _Cells(number, [], feed.trouble() or RowTrouble("ragged row", said))
            continue
        if cells:
            yield _Cells(number, cells, feed.trouble())


def _misquoted(path: Path, first: int, last: int, error: str, separator: str) -> str:
    rows = (
        f"{path}:{first}: "
        if first >= last
        else f"{path}:{first}: in the row that begins here and goes on to line {last}, "
    )
    if "unexpected end" in error:
        return f"{rows}a double quote opens a cell and is never closed. Close it, or double every quote that is text."
    if "field larger" in error:
        return (
            f"{rows}a cell is longer than {4 * MAX_CELL:,} characters. Most likely a double quote opens it and is never closed. "
            "Close it, or double every quote that is text."
        )
    if "expected after" in error:
        return (
            f"{rows}a double quote closes a cell and no {_SEPARATORS[separator]} follows. Double a quote that is text, or close the one "
            "that was left open."
        )
    return f"{rows}this is no readable CSV: {error}. Correct it."
