"""What a reader of any format gives: rows with their number, and what is known of the table before the first of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from student.evals.trouble import RowTrouble


class Row(NamedTuple):
    """One row as it was read."""

    number: int
    """The line it begins in, or its place among the rows of a file that has no lines; from 1."""
    cells: dict[str, Any]
    """Values by column: text, numbers, truths, None, lists and mappings of these."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in any of its cells."""
        return all(value is None or value == "" for value in self.cells.values())


@dataclass
class Source:
    """A file, or one part of a folder or a hub dataset, that is being read."""

    name: str
    """What a message calls it."""
    format: str
    """What it was taken for, in words: `CSV, cells separated by ';'`."""
    rows: Iterator[Row | RowTrouble]
    """The rows, once; for a row that cannot be read, why."""
    columns: tuple[str, ...] | None = None
    """The columns of a table; None where each row has its own."""
    total: int | None = None
    """How many rows there are, where that is known beforehand."""
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the numbers of a column mean, where the file says so (`datasets` calls it ClassLabel)."""
    has_lines: bool = True
    """Whether rows are found by line, or by counting."""

    def at(self, number: int) -> str:
        """The place of a row, for a message."""
        return f"{self.name}:{number}" if self.has_lines else f"{self.name}, row {number}"
