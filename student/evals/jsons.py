"""Rows of JSON Lines and of JSON: a list of objects, or an object in which one list of objects is the data.

Rows come one by one with the line they begin in. Strict where silence would hurt: a key that stands twice in one object is
an error, since which of the two is meant is anybody's guess. NaN is read, and refused only where it is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from student.evals.files import MAX_BYTES, Line, lines, whole
from student.evals.rows import Row
from student.evals.trouble import EvalError, RowTrouble, a_kind, listed, shown

_BLANK = re.compile(r"[ \t\n\r]*")


class _Twice(ValueError):
    """A key stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for at, key in enumerate(keys) if key in keys[:at]))
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def json_lines(path: Path, packed: bool) -> Iterator[Row | RowTrouble]:
    """One object a line."""
    return _by_line(path, lines(path, packed))


def json_file(path: Path, packed: bool) -> Iterator[Row | RowTrouble]:
    """The objects of a list, wherever it stands; or JSON Lines, which many call .json."""
    text = whole(path, packed, MAX_BYTES >> 2)
    start = _skip(text, 0)
    if text[start : start + 1] == "{" and _is_lines(path, text, start):
        return _by_line(path, (Line(at, line, None) for at, line in enumerate(text.split("\n"), 1)))
    return _of_list(path, text, start)


def _by_line(path: Path, found: Iterable[Line]) -> Iterator[Row | RowTrouble]:
    for number, text, trouble in found:
        if trouble:
            yield trouble
        elif text.strip():
            try:
                yield _row(path, number, _DECODER.decode(text.rstrip()))
            except (ValueError, RecursionError) as error:
                hint = " A JSON list belongs in a .json file; here every line is one object." if _opens(text) else ""
                yield _unreadable(path, number, error, hint)


def _of_list(path: Path, text: str, start: int) -> Iterator[Row | RowTrouble]:
    try:
        inside = text[start : start + 1] == "{"
        if inside:
            start = _rows_inside(path, text, start)
        elif text[start : start + 1] != "[":
            raise json.JSONDecodeError("Expecting a list of objects", text, start)
        line, before = 1, 0
        for at, value in _elements(text, start + 1, inside):
            line, before = line + text.count("\n", before, at), at
            yield _row(path, line, value)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, 1, error) from error


def _row(path: Path, number: int, value: Any) -> Row | RowTrouble:
    if isinstance(value, dict):
        return Row(number, cast("dict[str, Any]", value))
    return RowTrouble(
        "not an object",
        f"{path}:{number}: expected an object with named columns, found {a_kind(value)} ({shown(value)}). Correct the row.",
    )


def _unreadable(path: Path, number: int, error: Exception, hint: str = "") -> RowTrouble:
    if isinstance(error, json.JSONDecodeError):
        place = f"{path}:{number + error.lineno - 1}:{error.colno}"
        return RowTrouble("not JSON", f"{place}: this is not JSON: {error.msg}.{hint} Correct it.")
    if isinstance(error, _Twice):
        return RowTrouble(
            "not JSON", f"{path}:{number}: the key {shown(str(error))} stands twice in one object. Keep one."
        )
    deep = isinstance(error, RecursionError)
    what = "lists or objects are nested too deeply" if deep else "it holds a number of thousands of digits"
    return RowTrouble("not JSON", f"{path}:{number}: this cannot be read: {what}. Correct it.")


def _opens(text: str) -> bool:
    return text.lstrip().startswith("[") or text.strip() == "{"


def _is_lines(path: Path, text: str, start: int) -> bool:
    """Whether the text goes on after its first object."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, 1, error) from error
    return _skip(text, end) < len(text)


def _rows_inside(path: Path, text: str, start: int) -> int:
    """Where the one list of objects begins in an object."""
    found, keys = dict[str, int](), list[str]()
    for key, at, value in _members(text, start + 1):
        keys.append(key)
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in cast("list[Any]", value)):
            found[key] = at
    if len(found) == 1:
        return next(iter(found.values()))
    lists = f"more than one list of objects ({listed(found)})" if found else "no list of objects"
    raise EvalError(
        f"{path}:1: this is one object with the keys {listed(keys)}; in it there is {lists}. A JSON file holds a list with one "
        "object for each item, or one such list under a key. Save that list as a file of its own."
    )


def _members(text: str, at: int) -> Iterator[tuple[str, int, Any]]:
    """Keys of an object that has been read once, where their values begin, and the values."""
    at = _skip(text, at)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, end) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield key, start, value
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _elements(text: str, at: int, inside: bool) -> Iterator[tuple[int, Any]]:
    """The values of a list and where each begins."""
    at = _skip(text, at)
    more = text[at : at + 1] != "]"
    while more:
        value, end = _DECODER.raw_decode(text, at)
        yield at, value
        at = _skip(text, end)
        more = text[at : at + 1] == ","
        if not more and text[at : at + 1] != "]":
            raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        at = _skip(text, at + 1) if more else at
    if not inside and _skip(text, at + 1) < len(text):
        raise json.JSONDecodeError("Extra data after the list", text, _skip(text, at + 1))


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
