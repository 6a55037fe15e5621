"""Rows of Parquet and Arrow files, and of the folders that `datasets` saves: batch by batch, only the columns that are used.

Every batch is validated before a value is taken from it: a damaged file must end in a message, never in a crash. Folders are
read without `datasets` itself, and no file outside the folder is opened, whatever its index says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from student.evals.files import FORMATS, MAX_ROWS, READ, readable
from student.evals.rows import Row, Source
from student.evals.trouble import EvalError, listed

Wanted = Collection[str] | None
"""The columns that are used; None for all."""
_BATCH = 2000
_PLAN = 1 << 20
"""The longest index file of a saved dataset, in bytes."""


def parquet(path: Path, wanted: Wanted) -> Source:
    """A Parquet file. Raises EvalError."""
    from pyarrow import parquet  # slow to load, and few eval sets need it

    with _arrow(str(path)):
        file = parquet.ParquetFile(path)
        schema, total = file.schema_arrow, file.metadata.num_rows
    names = _columns(str(path), schema, wanted)
    batches = lambda: file.iter_batches(_BATCH, columns=names)  # noqa: E731
    return from_batches(str(path), "Parquet", schema, names, batches, total)


def arrow_file(path: Path, wanted: Wanted, name: str = "") -> Source:
    """An Arrow file, as a stream or with an index. Raises EvalError."""
    from pyarrow import OSFile, ipc

    def batches() -> Iterator[Any]:
        with OSFile(
            str(path)
        ) as handle:  # Arrow's own file: its threads must not need Python's at the end of the program
            if indexed:
                reader = ipc.open_file(handle)
                yield from (reader.get_batch(at) for at in range(reader.num_record_batches))
            else:
                yield from ipc.open_stream(handle)

    name = name or str(path)
    with _arrow(name), OSFile(str(path)) as handle:
        indexed = handle.read(6) == b"ARROW1"
        handle.seek(0)
        schema = (ipc.open_file if indexed else ipc.open_stream)(handle).schema
    return from_batches(name, "Arrow", schema, _columns(name, schema, wanted), batches, None)


def saved_dataset(folder: Path, wanted: Wanted) -> dict[str, Source]:
    """The parts of a folder that `datasets` saved; one part named "" where it holds a single table. Raises EvalError."""
    if (folder / "dataset_dict.json").exists():
        parts = _plan(folder, "dataset_dict.json", "splits")
        if not parts:
            raise EvalError(f"{folder / 'dataset_dict.json'}: it names no part. Save the dataset again.")
        return {part: _saved_table(_inside(folder, part), wanted) for part in parts}
    if (folder / "state.json").exists():
        return {"": _saved_table(folder, wanted)}
    there = sorted(one.name for one in folder.iterdir())
    data = [name for name in there if Path(name).suffix.lower() in (*FORMATS, ".gz")]
    found = (
        f"It holds {listed(data)}; name one as the source, or one for each part: {{train: ..., test: ...}}."
        if data
        else READ
    )
    raise EvalError(f"{folder} is a folder, and not one that `datasets` saved. {found}")


def _saved_table(folder: Path, wanted: Wanted) -> Source:
    files = [_inside(folder, name) for name in _plan(folder, "state.json", "_data_files")]
    if not files:
        raise EvalError(f"{folder / 'state.json'}: it names no data file. Save the dataset again.")
    tables = [arrow_file(file, wanted, str(file)) for file in files]
    first = tables[0]
    if any(one.columns != first.columns for one in tables):
        raise EvalError(f"{folder}: its Arrow files have different columns. Save the dataset again.")
    return Source(str(folder), "Arrow", _chained(tables), first.columns, None, first.class_names, has_lines=False)


def _chained(tables: Sequence[Source]) -> Iterator[Row]:
    rows = (row for one in tables for row in one.rows)
    return (Row(number, row.cells) for number, row in enumerate(rows, 1) if isinstance(row, Row))


def _plan(folder: Path, name: str, key: str) -> list[str]:
    """The names that an index file of a saved dataset lists."""
    path = folder / name
    with readable(path), path.open("rb") as handle:
        text = handle.read(_PLAN)
    try:
        plan = json.loads(text)
        names = [one["filename"] if isinstance(one, dict) else one for one in plan[key]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise EvalError(f"{path}: this index cannot be read, or lists no {key!r}. Save the dataset again.") from error
    if not all(isinstance(one, str) for one in names):
        raise EvalError(f"{path}: {key!r} should list names. Save the dataset again.")
    return list(dict.fromkeys(names))


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder. Raises EvalError for one that lies elsewhere."""
    with readable(folder):
        if name and "\0" not in name and (folder / name).resolve().parent == folder.resolve():
            return folder / name
    raise EvalError(f"{folder}: it names {name!r}, which is not inside it, and is not opened. Save the dataset again.")


def from_batches(  # one table, told in its parts
    name: str, format: str, schema: Any, columns: list[str], batches: Callable[[], Any], total: int | None
) -> Source:  # fmt: skip
    """A table that comes in Arrow batches."""
    if total is not None and total > MAX_ROWS:
        raise EvalError(f"{name}: {total:,} rows are more than {MAX_ROWS:,}. Take a part of them.")
    return Source(
        name, format, _rows(name, columns, batches), tuple(schema.names), total, class_names(schema), has_lines=False
    )


def _rows(name: str, columns: list[str], batches: Callable[[], Any]) -> Iterator[Row]:
    number = 0
    with _arrow(name):
        for batch in batches():
            batch.validate(full=True)
            values = [_values(name, column, batch.column(column), number) for column in columns]
            for cells in zip(*values, strict=True):
                number += 1
                yield Row(number, dict(zip(columns, cells, strict=True)))


def _values(name: str, column: str, array: Any, before: int) -> list[Any]:
    try:
        return array.to_pylist()
    except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
        rows = f"rows {before + 1} to {before + len(array)}"
        raise EvalError(
            f"{name}, {rows}: column {column!r} cannot be read: {_said(error)}. Save it as text."
        ) from error


def _columns(name: str, schema: Any, wanted: Wanted) -> list[str]:
    """The columns to read. Raises EvalError for a table in which two have one name."""
    with _arrow(name):  # names may be damaged, too
        known = list(schema.names)
    twice = [one for one, count in Counter(known).items() if count > 1]
    if twice:
        raise EvalError(f"{name}: the column {twice[0]!r} is there twice. Give each its own name.")
    return [one for one in known if wanted is None or one in wanted]


def class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """What the numbers of a column mean, as `datasets` writes it into a schema."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            str(column): tuple(map(str, cast("list[object]", one["names"])))
            for column, one in features.items()
            if isinstance(one, dict) and one.get("_type") == "ClassLabel" and isinstance(one.get("names"), list)
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}  # a note for convenience: without it the numbers stand as they are


@contextmanager
def _arrow(name: str) -> Iterator[None]:
    """What Arrow says about a damaged file becomes a paragraph."""
    from pyarrow import ArrowException

    try:
        yield
    except EvalError:
        raise
    except (ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError, NotImplementedError) as error:
        raise EvalError(
            f"{name}: this file is damaged or cut short: {_said(error)}. Copy or write it again."
        ) from error


def _said(error: BaseException) -> str:
    """The first sentence of another library's message."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
