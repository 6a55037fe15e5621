"""Open a data file: what it is by its suffix and first bytes, and its lines as text, within stated bounds.

Only ordinary files are opened, so that a pipe or a device cannot hang a run. A packed file (.gz) is unpacked as it is read, and
no further than `MAX_BYTES`, so that a small file cannot fill the memory or the disk.
"""

from __future__ import annotations

import gzip
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from student.evals.trouble import EvalError, RowTrouble, listed, meant

MAX_BYTES = 2 << 30
"""The longest data file that is read, unpacked."""
MAX_LINE = 32 << 20
"""The longest line, in bytes."""
MAX_CELL = 4_000_000
"""The longest cell, in characters: more is an unclosed quote or a whole file in a cell."""
MAX_ROWS = 5_000_000
"""The most rows of one file."""
FORMATS = {
    ".jsonl": "JSONL", ".ndjson": "JSONL", ".json": "JSON", ".csv": "CSV", ".tsv": "TSV", ".tab": "TSV", ".parquet": "Parquet",
    ".pq": "Parquet", ".arrow": "Arrow",
}  # fmt: skip
READ = "What can be read: .jsonl, .json, .csv, .tsv (each also with .gz), .parquet, .arrow, and a folder that `datasets` saved."
_BOM = b"\xef\xbb\xbf"
_NO_MARK = "UTF-16 text without a byte order mark"
_FIRST_BYTES = {
    b"PAR1": "Parquet", b"ARROW1": "Arrow", b"\x1f\x8b": "gzip", b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"SQLite format 3": "an SQLite database", b"BZh91AY&SY": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd",
    b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text", b"%PDF": "a PDF", b"\xd0\xcf\x11\xe0": "an old Excel workbook",
}  # fmt: skip


class Kind(NamedTuple):
    """What a file is."""

    format: str
    """JSONL, JSON, CSV, TSV, Parquet, Arrow, or folder."""
    packed: bool = False
    """By gzip."""


class Line(NamedTuple):
    """One line of a text file."""

    number: int
    """From 1."""
    text: str
    """With its line break; what could not be decoded is replaced."""
    trouble: RowTrouble | None
    """What is wrong with its bytes."""


def kind_of(path: Path) -> Kind:
    """What a data file is, by its suffix. Raises EvalError for one that is not there, or not what its suffix says."""
    head = head_of(path)
    if head is None:
        return Kind("folder")
    if not head:
        raise EvalError(f"{path} is empty. Give a file with one item a row.")
    packed = path.suffix.lower() == ".gz"
    kind = Kind(FORMATS.get(Path(path.stem if packed else path.name).suffix.lower(), ""), packed)
    looks = looks_like(head)
    if not kind.format or (packed and kind.format in ("Parquet", "Arrow")):
        suffix = next((one for one, name in FORMATS.items() if name == looks and not packed), "")
        do = f"If it is, name it {path.name}{suffix}." if suffix else "Convert it."
        raise EvalError(f"{path}: its name does not say what it is; it looks like {looks}. {do} {READ}")
    expected = "gzip" if packed else kind.format
    marked = looks in _FIRST_BYTES.values() or expected in ("gzip", "Parquet")
    if looks != expected and (marked or (looks == _NO_MARK and expected != "Arrow")):
        raise EvalError(f"{path}: by its name it is {expected}, but it looks like {looks}.{_how(looks, kind)} {READ}")
    return kind


def head_of(path: Path) -> bytes | None:
    """The first bytes of an ordinary file; None for a folder. Raises EvalError for what cannot be read, or is neither."""
    with readable(path):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return None
        if not stat.S_ISREG(mode):
            raise EvalError(f"{path} is no ordinary file but a pipe, a socket or a device. Save the data to a file.")
        with path.open("rb") as handle:
            return handle.read(4096)


def looks_like(head: bytes) -> str:
    """What the first bytes of a file look like, for a person."""
    for first, name in _FIRST_BYTES.items():
        if head.startswith(first):
            return name
    text = head.decode("utf-8-sig", "replace").lstrip()
    if head.count(0) > len(head) // 4:
        return _NO_MARK
    if "\0" in text or text.count("\ufffd") > len(text) // 10:
        return "binary data"
    if text.startswith(("{", "[")):
        return "JSONL" if text.startswith("{") and re.search(r"\}\s*\n\s*\{", text) else "JSON"
    line = text.partition("\n")[0]
    return "TSV" if "\t" in line else "CSV" if "," in line or ";" in line else "plain text"


def _how(looks: str, kind: Kind) -> str:
    return " Save it as UTF-8." if looks.startswith("UTF-16") and kind.format in ("JSONL", "JSON", "CSV", "TSV") else ""


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What the file system and gzip say about a file becomes a paragraph."""
    try:
        yield
    except FileNotFoundError as error:
        there = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        raise EvalError(f"{path} does not exist.{meant(path.name, there)} Check the path.") from error
    except (EOFError, zlib.error) as error:
        raise EvalError(f"{path}: the packed data ends early or is damaged. Copy or pack the file again.") from error
    except gzip.BadGzipFile as error:
        raise EvalError(f"{path}: this is no sound gzip file ({error}). Copy or pack it again.") from error
    except OSError as error:
        raise EvalError(
            f"{path} cannot be read: {error.strerror or error}. Correct the path or the permissions."
        ) from error


@contextmanager
def opened(path: Path, packed: bool) -> Iterator[IO[bytes]]:
    """The bytes of a data file, unpacked. Everything that goes wrong while it is open is an EvalError."""
    with readable(path), path.open("rb") as raw:
        if not packed:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as handle:
            yield handle  # type: ignore[misc]  a GzipFile reads like any binary file


def lines(path: Path, packed: bool) -> Iterator[Line]:
    """The lines of a text file. Raises EvalError for what ends the reading; the rest is each line's `trouble`."""
    total = 0
    with opened(path, packed) as handle:
        for number, raw in enumerate(iter(lambda: handle.readline(MAX_LINE + 1), b""), 1):
            total += len(raw)
            if len(raw) > MAX_LINE:
                raise EvalError(
                    f"{path}:{number}: this line is longer than {MAX_LINE >> 20} MB. Is it one item a line? {READ}"
                )
            if total > MAX_BYTES:
                raise EvalError(f"{path}: the file is longer than {MAX_BYTES >> 30} GB (unpacked). Take a part of it.")
            if number > MAX_ROWS * 4:
                raise EvalError(f"{path}: the file has more than {MAX_ROWS * 4:,} lines. Take a part of it.")
            yield decoded(path, number, raw.removeprefix(_BOM) if number == 1 else raw)


def whole(path: Path, packed: bool, most: int) -> str:
    """All of a text file. Raises EvalError, also for bytes that are no text."""
    with opened(path, packed) as handle:
        data = handle.read(most + 1)
    if len(data) > most:
        raise EvalError(
            f"{path}: a file of more than {most >> 20} MB, which has to be held as a whole. Save it as JSONL instead."
        )
    data = data.removeprefix(_BOM)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _trouble_at(path, data, error.start) from error
    if "\0" in text:
        raise _trouble_at(path, data, data.index(0))
    return text


def _trouble_at(path: Path, data: bytes, at: int) -> RowTrouble:
    """What is wrong in the line around a byte."""
    start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
    line = decoded(path, data.count(b"\n", 0, at) + 1, data[start : end if end >= 0 else None])
    assert line.trouble
    return line.trouble


def decoded(path: Path, number: int, raw: bytes) -> Line:
    """One line as text."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        at = error.start
        place = f"{path}:{number}:{len(raw[:at].decode()) + 1}"
        said = f"{place}: byte 0x{raw[at]:02x} is not UTF-8{_as_windows(raw, at)}. Save the file as UTF-8."
        return Line(number, raw.decode(errors="replace"), RowTrouble("not UTF-8", said))
    if "\0" not in text:
        return Line(number, text, None)
    said = (
        f"{path}:{number}:{text.index(chr(0)) + 1}: a NUL byte, which no text has. The file is damaged, or in another encoding "
        "than UTF-8 (UTF-16 looks like this). Save it as UTF-8."
    )
    return Line(number, text, RowTrouble("NUL byte", said))


def _as_windows(raw: bytes, at: int) -> str:
    """`; as Windows-1252 it reads 'café'`, if it does."""
    start = max(at - 12, 0)
    try:
        return f"; read as Windows-1252 it says {raw[start : at + 8].decode('cp1252').strip()!r}"
    except UnicodeDecodeError:
        return ""


def missing(where: str, key: str, column: str, known: list[str]) -> EvalError:
    """A table lacks a column."""
    return EvalError(
        f"{where}: there is no column {column!r}; the columns are {listed(known)}.{meant(column, known)} Correct `{key}` in the "
        "YAML file, or the file's header."
    )
