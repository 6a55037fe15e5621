"""Deal items into `mine`, `select` and `test`, and seeds into folds: stable, stratified, look-alikes kept together.

In: labelled items and how many each part gets. Out: the parts. The order is that of a hash of each item's id, so the
same items always give the same split, and an item that is added moves few others. A look-alike never sits on both sides.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from student.evals.spec import EvalError
from student.grouping import groups
from student.records import Seed, Split, text_hash
from student.similar import Numbers

SAME_GROUP = 0.6
"""Items this much alike (character 4-gram overlap) stay in one split and one fold."""
CLOSER = (0.7, 0.8, 0.9)
"""How a group of look-alikes that is too large for its split is taken apart."""
LARGEST = 8
"""A group of look-alikes of up to this size is never taken apart."""


def split_items(
    items: Sequence[Seed], sizes: Mapping[Split, Any], draw: int = 0, without_select: bool = False
) -> dict[Split, list[Seed]]:
    """Items of `mine`, `select` and `test` from one list. Sizes are counts or shares of the whole; `test` gets all that is left over.

    `without_select`: `select` may be empty. Raises EvalError when the parts exceed the whole.
    """
    total = len(items)
    wanted = {role: _count(size, total) for role, size in sizes.items()}
    mine, select = wanted.get("mine", 0), wanted.get("select", 0)
    if mine < 1 or select < (0 if without_select else 1) or mine + select >= total:
        raise EvalError(
            f"The eval set has {total} items; mine={mine} and select={select} must both be at least 1 and leave some for "
            "test. Change `splits` in the YAML file, or add items."
        )
    splits = deal(items, {"mine": mine, "select": select, "test": None}, draw)
    if not splits["test"]:
        raise EvalError(
            "Groups of look-alike items, which are kept in one split, leave nothing for test. Change `splits`, or add items."
        )
    return {"mine": [], "select": [], "test": [], **splits}


def deal(items: Sequence[Seed], shares: Mapping[Split, int | float | None], draw: int = 0) -> dict[Split, list[Seed]]:
    """Items of each role: so many, such a share, or (None) all that are left, which only the last role may ask for.

    Raises EvalError when there are not enough items.
    """
    total = len(items)
    wanted: dict[Split, int | None] = {
        role: None if size is None else _count(size, total) for role, size in shares.items()
    }
    asked = sum(count or 0 for count in wanted.values())
    if asked > total or (None in wanted.values() and asked >= total):
        words = ", ".join(f"{role}: {count or 'the rest'}" for role, count in wanted.items())
        raise EvalError(f"{words} cannot be taken from {total} items. Change `splits` in the YAML file, or add items.")
    smallest = min((count for count in wanted.values() if count), default=total)
    groups = _strata(items, draw, max(LARGEST, smallest // 8))
    splits: dict[Split, list[Seed]] = {role: [] for role in wanted}
    for role, count in wanted.items():
        if count is not None:
            _take(groups, splits[role], count)
    left = [item for stratum in groups for group in stratum for item in group]
    for role, count in wanted.items():
        if count is None:
            splits[role], left = left, []
    return splits


def _count(size: float, total: int) -> int:
    return round(size * total) if isinstance(size, float) and size <= 1 else int(size)


def _strata(items: Sequence[Seed], draw: int = 0, largest: int | None = None) -> list[list[list[Seed]]]:
    """Per skill, the groups of look-alikes in the order of their hashes."""
    salt = ("split", str(draw)) if draw else ("split",)
    strata: dict[str, list[list[Seed]]] = defaultdict(list)
    for group in _families(items, largest or len(items)):
        strata[min(item.skill for item in group)].append(group)
    order = lambda group: min(text_hash(*salt, item.id) for item in group)  # noqa: E731
    return [sorted(strata[skill], key=order) for skill in sorted(strata)]


def _families(items: Sequence[Seed], largest: int) -> list[list[Seed]]:
    """Groups of look-alikes; one larger than `largest` is taken apart again by closer likeness.

    Single linkage chains: among thousands of short requests ("add this song to my list") neighbours of neighbours make a group
    of hundreds that is a manner of speaking, not a copy. Kept whole it would fill a small split by itself. So would a drill in
    arithmetic, whose items differ in numbers alone: there numbers count in the end, where they are the answers.
    """
    ways: list[tuple[float, Numbers]] = [(SAME_GROUP, "fold"), *((closer, "fold") for closer in CLOSER)]
    if numbers_in(items) == "keep":
        ways.append((CLOSER[-1], "keep"))
    texts = _texts(items)
    found, waiting = [], [(list(items), 0)]
    while waiting:
        group, step = waiting.pop()
        if step and (len(group) <= largest or step == len(ways)):
            found.append(group)
        else:
            waiting += [(part, step + 1) for part in _grouped(group, texts, *ways[step])]
    return found


def _take(groups: list[list[list[Seed]]], chosen: list[Seed], count: int) -> None:
    """Move groups into `chosen` until it has `count` items: from every stratum its share, then one by one.

    A group that would pass the count waits for another role while smaller ones are left; only when none is, it is passed.
    """
    sizes = [sum(map(len, stratum)) for stratum in groups]
    whole = sum(sizes)
    taken = [0] * len(groups)
    while len(chosen) < count:
        if not any(groups):
            raise EvalError(
                "Nearly all items are alike, and look-alikes are kept in one split, so nothing is left for the others. "
                "Add items that differ in more than numbers and punctuation."
            )
        lag = [
            count * size / whole - got if stratum else float("-inf")
            for size, got, stratum in zip(sizes, taken, groups, strict=True)
        ]
        in_turn = sorted(range(len(groups)), key=lambda index: (-lag[index], index))
        at, place = _fitting(groups, in_turn, count - len(chosen))
        group = groups[at].pop(place)
        chosen.extend(group)
        taken[at] += len(group)


def _fitting(groups: list[list[list[Seed]]], in_turn: Sequence[int], room: int) -> tuple[int, int]:
    """Stratum and place of the first group that fits into the room; the first of all when none does."""
    for at in in_turn:
        for place, group in enumerate(groups[at]):
            if len(group) <= room:
                return at, place
    return next(at for at in in_turn if groups[at]), 0


def numbers_in(items: Sequence[Seed]) -> Numbers:
    """How numbers in questions are compared: where answers are written numbers, another number is another question."""
    return "keep" if all(not item.choices and _is_number(item.answer) for item in items) else "fold"


def _is_number(answer: str) -> bool:
    try:
        return math.isfinite(float(answer.replace(",", "")))
    except ValueError:
        return False


def look_alikes(items: Sequence[Seed], threshold: float = SAME_GROUP) -> list[list[Seed]]:
    """Items grouped so that any two near-duplicates are in one group (single linkage); order of first appearance.

    Choices of an item's own are a part of its question.
    """
    return _grouped(items, _texts(items), threshold, "fold")


def _texts(items: Sequence[Seed]) -> dict[str, str]:
    """What items are compared by, by id."""
    own_choices = len({item.choices for item in items}) > 1
    return {item.id: " ".join((item.prompt, *item.choices)) if own_choices else item.prompt for item in items}


def _grouped(items: Sequence[Seed], texts: Mapping[str, str], threshold: float, numbers: Numbers) -> list[list[Seed]]:
    in_order = sorted(range(len(items)), key=lambda at: items[at].id)  # rows in another order give the same groups
    found = groups([texts[items[at].id] for at in in_order], threshold, numbers=numbers)
    group_of = dict(zip(in_order, found, strict=True))
    together: dict[int, list[Seed]] = defaultdict(list)
    for at, item in enumerate(items):
        together[group_of[at]].append(item)
    return list(together.values())


def make_folds(seeds: Sequence[Seed], count: int) -> list[list[Seed]]:
    """`count` folds of about equal size, balanced by skill, look-alikes in one fold unless too few folds came of that. Deterministic."""
    folds = _dealt(seeds, count, None)
    return folds if len(folds) == min(count, len(seeds)) else _dealt(seeds, count, LARGEST)


def _dealt(seeds: Sequence[Seed], count: int, largest: int | None) -> list[list[Seed]]:
    """Groups of look-alikes dealt out in turn, those larger than `largest` taken apart."""
    folds: list[list[Seed]] = [[] for _ in range(min(count, len(seeds)))]
    turn = 0
    for stratum in _strata(seeds, largest=largest):
        for group in stratum:
            folds[turn % len(folds)].extend(group)
            turn += 1
    return [fold for fold in folds if fold]
