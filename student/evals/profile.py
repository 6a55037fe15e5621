"""What stands in the columns of a data file: how many values, of what kind, how long, how varied.

In: the rows of every part, once. Out: one `Column` each, small however many rows there are. `guess` decides by these alone,
so that what it says about its reasons is all there is to it.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from student.evals.cells import text_of
from student.evals.rows import Row, Source
from student.evals.trouble import BadCell
from student.scorers.numerals import only_number

Kind = Literal["text", "number", "truth", "list", "object"]
MOST_VALUES = 1_000
"""Distinct values that are counted one by one."""
KEPT = 300
"""Values that are kept as they are."""
_MARKED = re.compile(r"####\s*\S")
_LATEX = re.compile(r"\\(?:frac|sqrt|boxed|pi|cdot|times|text|left|infty)\b|\^\{?\d")


@dataclass
class Column:
    """One column, over all rows of all parts."""

    name: str
    """Its name; with dots for what lies inside an object."""
    place: int
    """Its place among the columns, from 0."""
    nested: bool = False
    """Whether it lies inside an object."""
    rows: int = 0
    """Rows in which it holds something."""
    kinds: Counter[Kind] = field(default_factory=Counter)
    """What its values are."""
    counts: Counter[str] = field(default_factory=Counter)
    """Values with how often each occurs; not kept up once there are more than MOST_VALUES."""
    seen: set[int] = field(default_factory=set)
    """Hashes of all values."""
    sizes: array[int] = field(default_factory=lambda: array("I"))
    """Length of each value, in bytes."""
    words: int = 0
    """Words, in all."""
    features: Counter[str] = field(default_factory=Counter)
    """Values with a digit, ending in a question mark, with a line break, an empty line, `#### n`, a number, LaTeX, an object."""
    first: list[Any] = field(default_factory=list)
    """The first values as they are."""

    def add(self, value: Any) -> None:
        """Take down one value."""
        try:
            text = text_of(value)
        except BadCell:
            return
        if not text:
            return
        self.rows += 1
        self.kinds[_kind(value)] += 1
        self.seen.add(hash(text))
        if len(self.seen) <= MOST_VALUES:
            self.counts[text] += 1
        self.sizes.append(len(text.encode("utf-8", "replace")))
        self.words += text.count(" ") + 1
        self.features.update(_features(text))
        if len(self.first) < KEPT:
            self.first.append(value)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(self.seen)

    @property
    def words_each(self) -> float:
        """Words in a value, on average."""
        return self.words / max(1, self.rows)

    def mostly(self, kind: Kind) -> bool:
        """Whether nearly all values are of a kind."""
        return self.kinds[kind] >= 0.95 * max(1, self.rows)

    def part(self, feature: str) -> float:
        """The share of values with a feature."""
        return self.features[feature] / max(1, self.rows)

    def size(self, share: float) -> int:
        """The length that this share of the values do not exceed, in bytes."""
        ordered = sorted(self.sizes)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


@dataclass
class Profile:
    """A data source, looked at."""

    columns: dict[str, Column]
    """By name, in the order they appear."""
    rows: dict[str, int]
    """Rows by part."""
    unreadable: int
    """Rows that could not be read."""
    trouble: str
    """Why the first of them could not; empty where all could."""
    class_names: Mapping[str, tuple[str, ...]]
    """What the numbers of a column mean, where the file says so."""
    formats: dict[str, str]
    """What each part was taken for."""

    @property
    def total(self) -> int:
        """Rows in all."""
        return sum(self.rows.values())


def profile(sources: Mapping[str, Source], on_row: Any = lambda done, total: None) -> Profile:
    """Read every row of every part; a row with nothing in it is none."""
    found = Profile({}, {}, 0, "", {}, {part: source.format for part, source in sources.items()})
    names: dict[str, tuple[str, ...]] = {}
    for part, source in sources.items():
        found.rows[part] = 0
        names.update(source.class_names)
        for row in source.rows:
            if not isinstance(row, Row):
                found.unreadable += 1
                found.trouble = found.trouble or str(row)
                continue
            if row.is_empty:
                continue
            found.rows[part] += 1
            for name, value in _flat(row.cells):
                if name not in found.columns:
                    found.columns[name] = Column(name, len(found.columns), name not in row.cells)
                found.columns[name].add(value)
            if found.total % 1000 == 0:
                on_row(found.total, source.total)
    found.class_names = names
    return found


def _flat(cells: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Columns, and the fields of objects as columns of their own (`answers.text`)."""
    for name, value in cells.items():
        yield name, value
        if isinstance(value, dict):
            for inner, one in cast("dict[str, Any]", value).items():
                yield f"{name}.{inner}", one


def _kind(value: Any) -> Kind:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list | tuple):
        return "list"
    return "number" if isinstance(value, int | float) else "text"


def _features(text: str) -> Iterator[str]:
    if any(mark.isdigit() for mark in text[:2000]):
        yield "digit"
        if _MARKED.search(text):
            yield "marked"
        if len(text) <= 60 and only_number(text) is not None:
            yield "number"
    if text.endswith("?"):
        yield "question"
    if "\n" in text:
        yield "line break"
        if "\n\n" in text:
            yield "empty line"
    if ("\\" in text or "^" in text) and _LATEX.search(text):
        yield "latex"
    if text[0] == "{" and _is_object(text):
        yield "object"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
