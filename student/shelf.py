"""Band keys on shelves: which texts met which others in a band, found by binary search, filled a few texts at a time.

In: the band keys of texts, in the order of their numbers. Out: for other keys, the numbers of the texts that share one.
Sorting all anew for every text would be slow, so there are three places: a tray of the latest, a small shelf and a large one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from student.sketch import ORDER, Ids, Keys, spread

_TRAY = 512
"""Texts that wait unsorted."""
_ASKED = 32
"""Texts that are compared with the tray at a time: bounds the memory."""
_NEAREST = 32
"""Of a crowd in one band only so many are looked at, the nearest in order."""


@dataclass(frozen=True)
class _Shelf:
    keys: Keys
    """Bands by texts, each band in rising order."""
    ids: NDArray[np.int32]
    """Whose key stands there."""

    def __len__(self) -> int:
        return self.keys.shape[1]

    def find(self, keys: Keys) -> tuple[Ids, Ids]:
        """As `Shelves.find`."""
        flat, wanted = self.keys.ravel(), keys.ravel()
        low = np.searchsorted(flat, wanted & ~ORDER)
        high = np.searchsorted(flat, wanted | ORDER, side="right")
        crowded = np.flatnonzero(high - low > _NEAREST)
        middle = np.searchsorted(flat, wanted[crowded]) - _NEAREST // 2
        low[crowded] = np.clip(middle, low[crowded], high[crowded] - _NEAREST)
        high[crowded] = low[crowded] + _NEAREST
        places, owners = spread(low, high - low)
        return owners % keys.shape[1], self.ids.ravel()[places].astype(np.int64)


def _sorted(keys: Keys, ids: NDArray[np.int32]) -> _Shelf:
    order = np.argsort(keys, axis=1, kind="stable")  # makes use of what is in order already
    return _Shelf(np.take_along_axis(keys, order, axis=1), np.take_along_axis(ids, order, axis=1))


def _joined(left: _Shelf, right: _Shelf) -> _Shelf:
    return _sorted(np.concatenate((left.keys, right.keys), axis=1), np.concatenate((left.ids, right.ids), axis=1))


def _empty(bands: int) -> _Shelf:
    return _Shelf(np.empty((bands, 0), np.uint64), np.empty((bands, 0), np.int32))


class Shelves:
    """The keys of all texts so far."""

    def __init__(self, bands: int) -> None:
        self._large, self._small = _empty(bands), _empty(bands)
        self._tray = np.empty((bands, _TRAY), np.uint64)
        self._waiting = 0

    def __len__(self) -> int:
        return len(self._large) + len(self._small) + self._waiting

    def put(self, keys: Keys) -> None:
        """Add the keys of the next texts: bands by texts."""
        if self._waiting + keys.shape[1] > _TRAY:
            self._tidy(keys)
            return
        self._tray[:, self._waiting : self._waiting + keys.shape[1]] = keys
        self._waiting += keys.shape[1]

    def _tidy(self, keys: Keys) -> None:
        """Everything unsorted goes to the small shelf, and all of that to the large one when it is no longer small."""
        fresh = np.concatenate((self._tray[:, : self._waiting], keys), axis=1)
        ids = np.arange(len(self) - self._waiting, len(self) + keys.shape[1], dtype=np.int32)
        self._small = _joined(self._small, _sorted(fresh, np.broadcast_to(ids, fresh.shape)))
        self._waiting = 0
        if 8 * len(self._small) > len(self._large):
            self._large = _joined(self._large, self._small)
            self._small = _empty(len(keys))

    def find(self, keys: Keys) -> tuple[Ids, Ids]:
        """Pairs of a column of `keys`, of which there is at least one, and a text that share a band; some come twice."""
        found = [shelf.find(keys) for shelf in (self._large, self._small) if len(shelf)]
        tray = self._tray[:, None, : self._waiting]
        for start in range(0, keys.shape[1], _ASKED):
            met = (tray ^ keys[:, start : start + _ASKED, None]) <= ORDER
            column, place = np.nonzero(met.any(axis=0))
            found.append((column + start, place + len(self) - self._waiting))
        columns, ids = zip(*found, strict=True)
        return np.concatenate(columns), np.concatenate(ids)
