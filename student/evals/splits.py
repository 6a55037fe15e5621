"""Deal items into `mine`, `select` and `test`, and seeds into folds: stable, stratified, look-alikes kept together.

In: labelled items and how many each part gets. Out: the parts. The order is that of a hash of each item's id, so the
same items always give the same split, and an item that is added moves few others. A look-alike never sits on both sides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from student.evals.spec import EvalError
from student.records import Seed, Split, text_hash
from student.similar import TextIndex

SAME_GROUP = 0.6
"""Items this much alike (character 4-gram overlap) stay in one split and one fold."""


def split_items(items: Sequence[Seed], sizes: Mapping[Split, Any], draw: int = 0) -> dict[Split, list[Seed]]:
    """Items of `mine`, `select` and `test` from one list. Sizes are counts or shares of the whole; the rest is `test`.

    Raises EvalError when the parts exceed the whole.
    """
    total = len(items)
    wanted = {role: _count(size, total) for role, size in sizes.items()}
    mine, select = wanted.get("mine", 0), wanted.get("select", 0)
    if mine < 1 or select < 1 or mine + select >= total:
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
    total, groups = len(items), _strata(items, draw)
    wanted: dict[Split, int | None] = {
        role: None if size is None else _count(size, total) for role, size in shares.items()
    }
    asked = sum(count or 0 for count in wanted.values())
    if asked > total or (None in wanted.values() and asked >= total):
        words = ", ".join(f"{role}: {count or 'the rest'}" for role, count in wanted.items())
        raise EvalError(f"{words} cannot be taken from {total} items. Change `splits` in the YAML file, or add items.")
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


def _strata(items: Sequence[Seed], draw: int = 0) -> list[list[list[Seed]]]:
    """Per skill, the groups of look-alikes in the order of their hashes."""
    salt = ("split", str(draw)) if draw else ("split",)
    strata: dict[str, list[list[Seed]]] = defaultdict(list)
    for group in look_alikes(items):
        strata[min(item.skill for item in group)].append(group)
    order = lambda group: min(text_hash(*salt, item.id) for item in group)  # noqa: E731
    return [sorted(strata[skill], key=order) for skill in sorted(strata)]


def _take(groups: list[list[list[Seed]]], chosen: list[Seed], count: int) -> None:
    """Move groups into `chosen` until it has `count` items: from every stratum its share, then one by one."""
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
        at = max(range(len(groups)), key=lambda index: (lag[index], -index))
        group = groups[at].pop(0)
        chosen.extend(group)
        taken[at] += len(group)


def look_alikes(items: Sequence[Seed], threshold: float = SAME_GROUP) -> list[list[Seed]]:
    """Items grouped so that any two near-duplicates are in one group (single linkage); order of first appearance."""
    index, leader = TextIndex(), dict[str, str]()
    by_id = {item.id: item for item in items}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for item in items:
        leader[item.id] = item.id
        for near in index.alike(item.prompt, threshold):
            leader[find(near)] = item.id
        index.add(item.id, item.prompt)
    groups: dict[str, list[Seed]] = defaultdict(list)
    for name, item in by_id.items():
        groups[find(name)].append(item)
    return list(groups.values())


def make_folds(seeds: Sequence[Seed], count: int) -> list[list[Seed]]:
    """`count` folds of about equal size, balanced by skill, look-alikes in one fold. Deterministic."""
    folds: list[list[Seed]] = [[] for _ in range(min(count, len(seeds)))]
    turn = 0
    for stratum in _strata(seeds):
        for group in stratum:
            folds[turn % len(folds)].extend(group)
            turn += 1
    return [fold for fold in folds if fold]
