"""Are ids unique over all parts, and will they be the same after the next edit of the file?

A split is dealt by a hash of the ids, and everything a run writes names items by them. So an id that moves on to another
item when a row is inserted moves items from one split to another, which nobody would notice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from student.evals.findings import Finding, Suite
from student.evals.words import brief, plural, plural_of, some
from student.records import Seed


def ids(suite: Suite) -> Iterator[Finding]:
    """Ids of two items, and ids that are row numbers."""
    yield from _shared(suite)
    if column := suite.loaded.spec.columns.id:
        for part, items in suite.loaded.parts.items():
            if _row_numbers(items):
                yield Finding(
                    level="warning", code="ids-are-row-numbers", where=part, count=len(items),
                    text=f"The ids in column {column!r} count the rows. A row that is inserted or deleted gives every later "
                    f"{suite.noun} another id, and so moves it to another split. Use ids that stay with the {suite.noun}, or "
                    "leave columns.id out: then a hash of the text is the id.",
                    examples=some(item.id for item in items),
                )  # fmt: skip


def _shared(suite: Suite) -> Iterator[Finding]:
    """Within one part the loader refuses them; here it is about two parts."""
    first: dict[str, Seed] = {}
    twice = [
        (first[item.id], item)
        for item in suite.items
        if first.setdefault(item.id, item) is not item and first[item.id].prompt != item.prompt
    ]
    if twice:
        yield Finding(
            level="error", code="id-of-two-items", where="", count=len(twice),
            text=f"{plural(len(twice), 'id')} stand for two {plural_of(suite.noun)} each, in two parts of the source. Splits and results "
            "name items by id: make them unique over all parts, for example by writing the part's name before them.",
            examples=some(f"{one.id}: {brief(one.prompt, 40)} / {brief(two.prompt, 40)}" for one, two in twice),
        )  # fmt: skip


def _row_numbers(items: list[Seed]) -> bool:
    """Whether the ids are 0, 1, 2, ... or 1, 2, 3, ... in the order of the rows; gaps are rows that became no item."""
    if len(items) < 8 or not all(item.id.isascii() and item.id.isdigit() for item in items):
        return False
    numbers = [int(item.id) for item in items]
    rising = all(left < right for left, right in itertools.pairwise(numbers))
    return rising and numbers[0] in (0, 1) and numbers[-1] <= 1.2 * len(items)
