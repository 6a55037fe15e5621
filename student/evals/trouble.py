"""What is said about damaged input, and how much of it: the errors of this room, and values cut short for a sentence.

An `EvalError` ends the reading. A `RowTrouble` is one about a single row, which can be left out, counted under its `reason`.
A `BadCell` is raised where the place is not known; whoever knows file and line turns it into a `RowTrouble`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from student.errors import StudentError

_LONG = 100
"""Longer names are not compared."""


class EvalError(StudentError):
    """Something is wrong with the eval set: says what, in which file and line, and what to do."""


class RowTrouble(EvalError):
    """Something is wrong with one row; the others can be read."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        """A few words under which rows of this kind are counted."""


class BadCell(Exception):
    """Something is wrong with a row, said without the place."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        """A few words under which rows of this kind are counted."""

    def at(self, place: str) -> RowTrouble:
        """The same, with its place."""
        return RowTrouble(self.reason, f"{place}: {self}")


def shown(value: object, most: int = 80) -> str:
    """A value for a sentence: as Python writes it, cut short; of a list or an object only what it is."""
    if isinstance(value, str):
        return repr(value) if len(value) <= most else f"{value[:most]!r}... ({len(value):,} characters)"
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value).lower()[:most]
    return f"{a_kind(value)}"


def a_kind(value: object) -> str:
    """What a value is, in a word or two."""
    words = {"dict": "an object", "list": "a list", "tuple": "a list", "str": "text", "bool": "true or false", "int": "a number",
             "float": "a number", "NoneType": "nothing", "bytes": "bytes"}  # fmt: skip
    name = type(value).__name__
    return words.get(name, name)


def listed(names: Iterable[object], most: int = 20) -> str:
    """Names for a sentence, the first ones of many."""
    known = list(names)
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(shown(str(name), 60) for name in known[:most]) + more if known else "none"


def meant(name: str, known: Sequence[str]) -> str:
    """` Did you mean 'text'?` where one of the names is near, or nothing."""
    folded = {other.casefold().strip(): other for other in reversed(known[:500]) if len(other) <= _LONG}
    found = difflib.get_close_matches(name.casefold().strip(), folded, 1, 0.7) if len(name) <= _LONG else []
    return f" Did you mean {folded[found[0]]!r}?" if found else ""


def near(name: str, known: Sequence[str]) -> str:
    """The same within a sentence."""
    said = meant(name, known)
    return f" (did{said[4:]})" if said else ""
