"""Which of many texts are near-copies of one another: all groups, or the closest pairs, without comparing all with all.

In: texts, up to some hundred thousand. Out: a group number per text, or pairs to show to a person. Texts meet in MinHash
bands (see `sketch`), band after band, and only those not yet in one group are compared, so neither a file of copies nor
one of strangers costs the square of its length. Where a band brings a whole crowd together that is not one group, as a
long fixed frame around every text does, neighbours in the band's order are compared, as many as time allows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from student.similar import Numbers, fold
from student.sketch import (
    ORDER,
    GramSets,
    Ids,
    Keys,
    band_keys,
    bands_for,
    bitmaps,
    blocks,
    gram_sets,
    overlaps,
    possible,
    spread,
)

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""
_FEW = 256
"""So many different texts are compared all with all."""
_COMPARISONS = 150
"""At most about so many comparisons a text."""
_LOT = 1 << 17
"""Pairs made at a time: bounds the memory."""
_STRIDE = 8
"""Bands whose keys are made at a time: bounds the memory."""


def groups(
    texts: Sequence[str], threshold: float, on_progress: Progress | None = None, numbers: Numbers = "fold"
) -> list[int]:
    """A group number per text, from 0 in order of first appearance: near-copies, and copies of copies, share one.

    Single linkage over the Jaccard overlap of folded character 4-grams. Of the pairs right at the threshold about one in
    a thousand is overlooked, unless the texts are few. The same texts in the same order always give the same groups.
    """
    which, folded = _distinct(texts, numbers)
    sets = gram_sets(folded)
    roots = np.arange(len(folded))
    for left, right, _ in _alike(sets, threshold, roots, on_progress):
        _join(roots, roots[left], roots[right])
    numbered = dict[int, int]()
    return [numbered.setdefault(root, len(numbered)) for root in roots[which].tolist()]


def similar_pairs(
    texts: Sequence[str],
    threshold: float,
    limit: int,
    sides: Sequence[Hashable] | None = None,
    numbers: Numbers = "fold",
) -> list[tuple[int, int, float]]:
    """Up to `limit` pairs of texts at least that similar, the most similar first, as (earlier, later, similarity).

    With `sides`, one for each text, only pairs of two different sides. Where more than `limit` exist these are some of
    them, identical ones first; of many identical texts each is shown with the first of another side, not with all.
    """
    which, folded = _distinct(texts, numbers)
    codes = dict[Hashable, int]()
    side = [codes.setdefault(one, len(codes)) for one in sides] if sides else list(range(len(texts)))
    shown = _shown(which.tolist(), side)
    found = dict.fromkeys(_identical(which.tolist(), side, shown, limit), 1.0)
    sets = gram_sets(folded)
    mixed = [side[one[0]] if len(one) == 1 else len(side) + place for place, one in enumerate(shown)]
    for left, right, similarity in _alike(sets, threshold, np.array(mixed, np.int64), None):
        for first, second, one in zip(left.tolist(), right.tolist(), similarity.tolist(), strict=True):
            found.setdefault(_facing(shown[first], shown[second], side), one)
        if len(found) >= limit:
            break
    ranked = sorted((-similarity, *pair) for pair, similarity in found.items())
    return [(first, second, -negative) for negative, first, second in ranked[:limit]]


def _distinct(texts: Sequence[str], numbers: Numbers) -> tuple[Ids, list[str]]:
    """For each text the place of its folded form, and the folded forms."""
    places = dict[str, int]()
    which = [places.setdefault(fold(text, numbers), len(places)) for text in texts]
    return np.array(which, np.int64), list(places)


def _shown(which: list[int], side: list[int]) -> list[tuple[int, ...]]:
    """Of each folded form the first text that has it, and the first on another side."""
    shown = list[tuple[int, ...]]()
    for at, place in enumerate(which):
        if place == len(shown):
            shown.append((at,))
        elif len(shown[place]) == 1 and side[at] != side[shown[place][0]]:
            shown[place] = (shown[place][0], at)
    return shown


def _identical(
    which: list[int], side: list[int], shown: list[tuple[int, ...]], limit: int
) -> Iterator[tuple[int, int]]:
    """Pairs of the same folded form on different sides."""
    for at, place in enumerate(which):
        if limit <= 0:
            return
        other = next((one for one in shown[place] if side[one] != side[at]), at)
        if other < at:
            limit -= 1
            yield other, at


def _facing(left: tuple[int, ...], right: tuple[int, ...], side: list[int]) -> tuple[int, int]:
    """One text of each form, on different sides."""
    first, second = next((one, other) for one in left for other in right if side[one] != side[other])
    return min(first, second), max(first, second)


def _alike(
    sets: GramSets, threshold: float, labels: Ids, on_progress: Progress | None
) -> Iterator[tuple[Ids, Ids, NDArray[np.float64]]]:
    """Pairs that are alike, and how much, those of one label left out; a pair may come more than once.

    `labels` may be changed meanwhile, so that texts which were joined since are compared no more.
    """
    bits, sizes = bitmaps(sets), np.diff(sets.starts)
    for pairs in _meetings(sets, threshold, labels, on_progress):
        left, right = pairs[:, possible(bits, sizes, pairs[0], pairs[1], threshold)]
        similarity = overlaps(sets, left, sets, right)
        close = similarity >= threshold
        yield left[close], right[close], similarity[close]


def _meetings(sets: GramSets, threshold: float, labels: Ids, on_progress: Progress | None) -> Iterator[Ids]:
    """Pairs worth comparing, as two rows."""
    told = on_progress or (lambda done, total: None)
    if len(sets) <= _FEW:
        pairs = np.stack(np.triu_indices(len(sets), 1))
        yield pairs[:, labels[pairs[0]] != labels[pairs[1]]]
        told(1, 1)
        return
    made, bands, left_over = blocks(sets), bands_for(threshold), _COMPARISONS * len(sets)
    for start in range(0, bands.count, _STRIDE):
        keys = band_keys(made, bands, start, min(bands.count, start + _STRIDE))
        for at, band in enumerate(keys, start):
            for pairs in _neighbours(band, left_over // (bands.count - at), labels):
                left_over -= pairs.shape[1]
                yield pairs
            told(at + 1, bands.count)


def _neighbours(keys: Keys, share: int, labels: Ids) -> Iterator[Ids]:
    """Pairs that share a band: next to each other first, then two and three places apart, then four to seven, ..."""
    order = np.argsort(keys, kind="stable")
    heads = keys[order] & ~ORDER
    same = heads[1:] == heads[:-1]
    met = np.append(same, False) | np.insert(same, 0, False)
    order, heads = order[met], heads[met]
    ends = np.searchsorted(heads, heads, side="right")
    reach = 1
    while len(order):
        open_ends = _open_ends(ends, labels[order])
        here = np.flatnonzero(open_ends > np.arange(len(ends)) + reach)
        counts = np.minimum(open_ends[here] - here - reach, reach)
        if not len(here) or (reach > 1 and counts.sum() > share):
            return
        for lot in np.array_split(np.arange(len(here)), 1 + counts.sum() // _LOT):
            places, owners = spread(here[lot] + reach, counts[lot])
            pairs = np.sort(np.stack((order[here[lot][owners]], order[places])), axis=0)
            yield pairs[:, labels[pairs[0]] != labels[pairs[1]]]
        share -= counts.sum()
        reach *= 2


def _open_ends(ends: Ids, labels: Ids) -> Ids:
    """Where each text's run ends; before it begins, for a run of one label, in which there is nothing to compare."""
    starts = np.flatnonzero(np.diff(ends, prepend=-1))
    alike = np.minimum.reduceat(labels, starts) == np.maximum.reduceat(labels, starts)
    return np.where(np.repeat(alike, np.diff(starts, append=len(ends))), 0, ends)


def _join(roots: Ids, left: Ids, right: Ids) -> None:
    """Make one group of each pair of roots; a group's root is the lowest of them."""
    if not len(left):
        return
    known, at = np.unique(np.concatenate((left, right)), return_inverse=True)
    halves = at.reshape(2, -1)
    links = coo_array((np.ones(len(left), np.int8), (halves[0], halves[1])), shape=(len(known), len(known)))
    _, label = connected_components(links, directed=False)
    _, lowest = np.unique(label, return_index=True)
    renamed = np.arange(len(roots))
    renamed[known] = known[lowest[label]]
    roots[:] = renamed[roots]
