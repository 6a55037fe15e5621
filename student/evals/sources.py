"""Rows of a data file, whatever its format: line number and a mapping of column to value."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from student.evals.spec import EvalError


def rows_of(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and row of a data file, by its suffix."""
    data = Path(name)
    try:
        text = data.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvalError(f"{data}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error
    if data.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        for row in reader:
            yield reader.line_num, dict(row)
    elif data.suffix == ".json":
        rows = _json(text, data, 1)
        for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
            yield number, _object(row, data, number)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield number, _object(_json(line, data, number), data, number)


def _json(text: str, data: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = line + error.lineno - 1
        raise EvalError(f"{data}:{where}:{error.colno}: this is not JSON: {error.msg}. Correct the line.") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, lists in lists in lists
        raise EvalError(f"{data}:{line}: this cannot be read: {error}. Correct the line.") from error


def _object(value: Any, data: Path, line: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EvalError(f"{data}:{line}: expected an object with named columns, found {type(value).__name__}.")
    return cast("dict[str, Any]", value)
