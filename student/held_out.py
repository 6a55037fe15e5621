"""The owner of `select` and `test`: hands their items out to be examined, and answers for nothing else.

A teacher never sees these items. Curation gets `guard`, a plain callable that is told a candidate's text and answers
with a reason to reject it or None. Every opening of `test` is written to the run's record before the items are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from student.records import HeldOutItem
from student.similar import TextIndex

Guard = Callable[[str], str | None]
"""Told a text; returns why it may not be used, without quoting any held-out text, or None."""
TOO_CLOSE = 0.6
"""Character 4-gram overlap from which a text counts as a copy of a held-out item."""


class HeldOut:
    """The locked items of one eval set."""

    def __init__(self, select: Sequence[HeldOutItem], test: Sequence[HeldOutItem]) -> None:
        self._select, self._test = tuple(select), tuple(test)
        self._index: TextIndex | None = None

    def sizes(self) -> dict[str, int]:
        """How many items each split holds."""
        return {"select": len(self._select), "test": len(self._test)}

    def select(self) -> tuple[HeldOutItem, ...]:
        """The items that choose the best round."""
        return self._select

    def ids(self) -> dict[str, list[str]]:
        """The items' names by split, for the frozen manifest."""
        return {"select": [item.id for item in self._select], "test": [item.id for item in self._test]}

    def open_test(self, record: Callable[[], None]) -> tuple[HeldOutItem, ...]:
        """The items of the claim. `record` is called first and must have written the opening down when it returns."""
        record()
        return self._test

    def guard(self) -> Guard:
        """The only thing about these items that leaves this room on the teacher's side."""
        index = TextIndex()
        for item in (*self._select, *self._test):
            index.add(item.id, item.prompt)

        def check(text: str) -> str | None:
            _, similarity = index.nearest(text)
            return f"{similarity:.2f} alike a held-out item" if similarity >= TOO_CLOSE else None

        return check
