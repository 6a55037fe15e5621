"""How near texts are: in meaning, by the vectors of `student.meaning`, and in spelling, by the letters they share. Both are cosines.

All vectors of a decoder point much the same way, and those of one task still more so, which says nothing about any one text. So
the mean of the task's texts is taken away, and the few directions in which these differ most ("all but the top", Mu &
Viswanath, arXiv 1702.01417): they hold how long a text is and what form it has. In spelling, character 4-grams that are rare in
the task count for more. The two err in different ways: their mean tells rewordings from other texts better than either
(docs/likeness.md).
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from student.similar import grams

Vectors = NDArray[np.float32]
"""[texts, width]"""
REMOVED = 6
"""Directions that are removed, at most."""
SHORTLIST = 20
"""So many of the nearest are looked at."""
_CELLS = 1 << 22
"""Cosines held at a time: bounds the memory."""


class Space:
    """The meanings that one task's texts have, seen from their middle."""

    def __init__(self, texts: Vectors) -> None:
        self._middle = texts.mean(0)
        spread = texts - self._middle
        values, directions = np.linalg.eigh(spread.T @ spread)
        count = min(REMOVED, len(texts) // 20)  # of few texts one cannot tell what they have in common
        self._top = directions[:, len(values) - count :]

    def place(self, vectors: Vectors) -> Vectors:
        """Where texts lie, each at length 1; a text in the very middle is near to nothing."""
        away = vectors - self._middle
        away -= away @ self._top @ self._top.T
        return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)


class Spelling:
    """How near texts are in their letters."""

    def __init__(self, texts: Sequence[str], around: Sequence[str]) -> None:
        """`around`: texts of the task, by which is told which grams are rare."""
        counts = Counter(gram for text in around for gram in grams(text))
        self._weights: list[dict[str, float]] = []
        for text in texts:
            weights = {gram: math.log((len(around) + 1) / (counts[gram] + 1)) + 0.5 for gram in sorted(grams(text))}
            length = math.sqrt(sum(weight * weight for weight in weights.values()))
            self._weights.append({gram: weight / length for gram, weight in weights.items()})

    def nearness(self, left: int, right: int) -> float:
        """The cosine of two of the texts, by their numbers."""
        one, other = self._weights[left], self._weights[right]
        return sum(weight * other[gram] for gram, weight in one.items() if gram in other)


def nearest(left: Vectors, right: Vectors, least: float) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """For each place of `left` that has any the places of `right` with at least that cosine, the SHORTLIST nearest first."""
    step = max(1, _CELLS // max(1, len(right)))
    for start in range(0, len(left), step):
        cosines = left[start : start + step] @ right.T
        for row in np.flatnonzero((cosines >= least).any(axis=1)).tolist():
            columns = np.flatnonzero(cosines[row] >= least)
            columns = columns[np.lexsort((columns, -cosines[row, columns]))][:SHORTLIST]
            yield start + row, [(int(at), float(cosines[row, at])) for at in columns]


def packed(vectors: list[Vectors]) -> dict[str, Any]:
    """Vectors as they travel in a line of JSON."""
    raw = np.stack(vectors).astype("<f4") if vectors else np.empty((0, 0), "<f4")
    return {"shape": raw.shape, "vectors": base64.b64encode(raw.tobytes()).decode()}


def unpacked(line: dict[str, Any]) -> Vectors:
    """Vectors that were `packed`."""
    return np.frombuffer(base64.b64decode(line["vectors"]), "<f4").reshape(line["shape"]).astype(np.float32)
