"""Texts as sets of hashed character 4-grams, in arrays: how alike two are, and the bands in which alike texts meet.

In: folded texts. Out: `GramSets`, exact overlaps of any pairs of them, and MinHash band keys (Broder 1997): two texts of
overlap s share a band's key with probability s to the power of the band's rows, so that pairs above a threshold meet in
one of the bands almost surely, and others hardly ever. A key goes on in a few bits of further hashes: texts sorted by key
stand the closer the more alike they are (as in LSH Forest, Bawa 2005), so a crowd need not be searched as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)
Keys = NDArray[np.uint64]
Ids = NDArray[np.int64]

MISSED = 0.001
"""The share of pairs right at the threshold that no band brings together."""
_HASHES = 450
"""At most so many MinHash values a text."""
_CELLS = 1 << 16
"""Values hashed at a time: few enough for the processor's cache."""
_AT_ONCE = 1 << 14
"""Texts whose bitmaps are made at a time: bounds the memory."""
_LETTERS = 1 << 20
"""Characters cut into grams at a time: bounds the memory."""
ORDER = np.uint64((1 << 28) - 1)
"""A band key is 8 bits of band number, 28 bits of hash, and under this mask the order within the band."""


def _mix(values: Keys) -> Keys:
    """splitmix64's finaliser: every bit of the result depends on every bit given."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_RANDOM = _mix(np.arange(1, 2 * (_HASHES + 8) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
_FACTORS = (_RANDOM[::2] >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
_OFFSETS = (_RANDOM[1::2] >> np.uint64(32)).astype(np.uint32)


@dataclass(frozen=True)
class GramSets:
    """The grams of many texts: text i has `values[starts[i] : starts[i + 1]]`, rising, each once."""

    values: NDArray[np.uint32]
    """Hashes of the grams. Two grams share one by chance once in four billion."""
    starts: Ids
    """Where each text begins, and the end."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sizes(self, ids: Ids) -> Ids:
        """How many grams each of these texts has."""
        return self.starts[ids + 1] - self.starts[ids]


class GramPile:
    """Gram sets of texts that are added in lots; room is doubled when it runs out, so that adding one stays cheap."""

    def __init__(self) -> None:
        self._values, self._starts = np.empty(1024, np.uint32), np.zeros(64, np.int64)
        self._texts = 0

    def put(self, more: GramSets) -> None:
        """Add texts after those that are there."""
        start, texts = self._starts[self._texts], self._texts + len(more)
        self._values = _roomy(self._values, start + len(more.values))
        self._starts = _roomy(self._starts, texts + 1)
        self._values[start : start + len(more.values)] = more.values
        self._starts[self._texts + 1 : texts + 1] = start + more.starts[1:]
        self._texts = texts

    @property
    def sets(self) -> GramSets:
        """All of them, for now: valid until more are put."""
        return GramSets(self._values, self._starts[: self._texts + 1])


def _roomy(array: NDArray[T], size: int) -> NDArray[T]:
    if size <= len(array):
        return array
    larger = np.empty(2 * size, array.dtype)
    larger[: len(array)] = array
    return larger


def gram_sets(folded: Sequence[str]) -> GramSets:
    """The 4-grams of folded texts, a space before and after each; a shorter text is one gram."""
    parts, sizes = [np.empty(0, np.uint32)], [np.zeros(1, np.int64)]
    for lot in _lots(folded):
        owners, values = _grams(lot)
        parts.append(values)
        sizes.append(np.bincount(owners, minlength=len(lot)))
    return GramSets(np.concatenate(parts), np.cumsum(np.concatenate(sizes)))


def _lots(texts: Sequence[str]) -> Iterator[list[str]]:
    lot, letters = list[str](), 0
    for text in texts:
        lot.append(f" {text} ".ljust(4, "\0"))
        letters += len(lot[-1])
        if letters >= _LETTERS:
            yield lot
            lot, letters = [], 0
    if lot:
        yield lot


def _grams(texts: list[str]) -> tuple[Ids, NDArray[np.uint32]]:
    """Every distinct gram of every text: whose it is, and its hash."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    hashes = codes[:-3] * _RANDOM[0]
    for at in (1, 2, 3):
        hashes += codes[at : len(codes) - 3 + at] * (_RANDOM[at] | np.uint64(1))
    owners = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    whole = owners[:-3] == owners[3:]  # grams do not reach into the next text
    marked = (owners[:-3][whole] << np.uint64(32)) | (_mix(hashes[whole]) >> np.uint64(32))
    marked.sort()
    marked = marked[np.concatenate(([True], marked[1:] != marked[:-1]))]
    return (marked >> np.uint64(32)).astype(np.int64), marked.astype(np.uint32)


def bitmaps(sets: GramSets) -> NDArray[np.uint64]:
    """A bit out of 512 for each gram of each text, as eight words a text: see `possible`."""
    made = np.zeros((len(sets), 8), np.uint64)
    for start in range(0, len(sets), _AT_ONCE):
        starts = sets.starts[start : start + _AT_ONCE + 1]
        values = sets.values[starts[0] : starts[-1]].astype(np.uint64)
        words, bits = (values >> np.uint64(6)) & np.uint64(7), np.uint64(1) << (values & np.uint64(63))
        for word in range(8):
            here = np.where(words == word, bits, np.uint64(0))
            made[start : start + _AT_ONCE, word] = np.bitwise_or.reduceat(here, starts[:-1] - starts[0])
    return made


def possible(bits: NDArray[np.uint64], sizes: Ids, left: Ids, right: Ids, threshold: float) -> NDArray[np.bool_]:
    """Whether each pair may be that alike: every bit in which two bitmaps differ is a gram that only one of them has."""
    total = sizes[left] + sizes[right]
    differ = np.bitwise_count(bits[left] ^ bits[right]).sum(axis=1, dtype=np.int64)
    return (total - differ) >= (threshold - 1e-9) * (total + differ)


def overlaps(left: GramSets, lefts: Ids, right: GramSets, rights: Ids) -> NDArray[np.float64]:
    """Jaccard similarity of each pair: text lefts[k] of `left` and text rights[k] of `right`."""
    sizes = left.sizes(lefts) + right.sizes(rights)
    shared = np.zeros(len(lefts), np.int64)
    lots = np.cumsum(sizes) // (16 * _CELLS)
    cuts = [0, *(np.flatnonzero(np.diff(lots)) + 1).tolist(), len(lefts)]
    for start, stop in pairwise(cuts):
        part = slice(start, stop)
        both = np.concatenate((_marked(left, lefts[part]), _marked(right, rights[part])))
        both.sort()
        twice = both[1:][both[1:] == both[:-1]] >> np.uint64(32)
        shared[part] = np.bincount(twice.astype(np.int64), minlength=stop - start)
    return shared / np.maximum(1, sizes - shared)


def _marked(sets: GramSets, ids: Ids) -> Keys:
    """The grams of these texts, each with the place in `ids` above it."""
    places, owners = spread(sets.starts[ids], sets.sizes(ids))
    return (owners.astype(np.uint64) << np.uint64(32)) | sets.values[places]


def spread(starts: Ids, counts: Ids) -> tuple[Ids, Ids]:
    """Every position of many ranges, and which range it is of."""
    owners = np.repeat(np.arange(len(starts)), counts)
    return np.arange(len(owners)) + np.repeat(starts - np.cumsum(counts) + counts, counts), owners


@dataclass(frozen=True)
class Bands:
    """How MinHash values are grouped."""

    rows: int
    """Values that must agree for two texts to meet in a band."""
    count: int
    """Chances to meet."""


def bands_for(threshold: float) -> Bands:
    """The strictest bands in which all but MISSED of the pairs that are `threshold` alike meet."""
    for rows in range(16, 1, -1):
        count = math.ceil(math.log(MISSED) / math.log1p(-min(0.999, max(0.0, threshold) ** rows) - 1e-12))
        if rows * count <= _HASHES:
            return Bands(rows, count)
    return Bands(1, 128)


Block = tuple[Ids, NDArray[np.uint32]]
"""Some texts, and their grams as columns of equal length: a set's first gram is repeated, which changes no minimum."""


def blocks(sets: GramSets) -> list[Block]:
    """All texts, those of like size together."""
    sizes = np.diff(sets.starts)
    order = np.argsort(sizes, kind="stable")
    made: list[Block] = []
    at = 0
    while at < len(order):
        ahead = sizes[order[at : at + 4096]] * np.arange(1, min(4096, len(order) - at) + 1)
        ids = order[at : at + max(1, int(np.searchsorted(ahead, _CELLS, side="right")))]
        deep = np.arange(int(sizes[ids[-1]]))[:, None]
        made.append((ids, sets.values[sets.starts[ids] + np.minimum(deep, sizes[ids] - 1)]))
        at += len(ids)
    return made


def band_keys(made: Sequence[Block], bands: Bands, first: int = 0, last: int | None = None) -> Keys:
    """The keys of bands `first` up to `last`: an array of bands by texts."""
    last = bands.count if last is None else last
    total = sum(len(ids) for ids, _ in made)
    lows = np.empty(((last - first) * bands.rows + 4, total), np.uint32)
    for ids, values in made:
        at_once = min(len(lows), max(1, _CELLS // values.size))
        room = np.empty((at_once, *values.shape), np.uint32)
        for start in range(0, len(lows), at_once):
            stop = min(len(lows), start + at_once)
            which = slice(first * bands.rows + start, first * bands.rows + stop)
            hashed = np.multiply(values, _FACTORS[which, None, None], out=room[: stop - start])
            hashed += _OFFSETS[which, None, None]
            lows[start:stop, ids] = hashed.min(axis=1)
    return _keys(lows, bands.rows, first)


def _keys(lows: NDArray[np.uint32], rows: int, first: int) -> Keys:
    count = (len(lows) - 4) // rows
    heads = lows[: count * rows].reshape(count, rows, -1)
    keys = np.zeros((count, lows.shape[1]), np.uint64)
    for row in range(rows):
        keys = _mix(keys ^ heads[:, row])
    keys >>= np.uint64(36)
    for step in range(4):  # seven low bits of each of the next band's first values: the order within the band
        keys = (keys << np.uint64(7)) | (lows[rows + step :: rows][:count] & np.uint32(127))
    return keys | (np.arange(first, first + count, dtype=np.uint64)[:, None] << np.uint64(56))
