"""What the nearest seeds say a text's label is: a witness that knows nothing but real items, and costs nothing.

Texts are compared by words and character n-grams weighted by how rare they are (TF-IDF), so that word forms and typos
still meet. The nearest seeds vote, each with its likeness. For labels that every item has in common.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from student.records import Seed

NEIGHBOURS = 5
_AT_ONCE = 1024
"""Texts compared at a time: bounds the memory."""


class NearestSeeds:
    """Votes among the seeds of one eval set."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self._seeds = list(seeds)
        words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]+", ngram_range=(1, 2), sublinear_tf=True)
        parts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        self._vectorizer: Any = FeatureUnion([("words", words), ("parts", parts)])
        self._vectors: Any = self._vectorizer.fit_transform([seed.prompt for seed in self._seeds])

    def labels(self, texts: Sequence[str]) -> list[str]:
        """A label for each text; empty where no seed is anything like it."""
        found: list[str] = []
        for start in range(0, len(texts), _AT_ONCE):
            likeness = self._likeness(self._vectorizer.transform(texts[start : start + _AT_ONCE]))
            found += [self._vote(row) for row in likeness]
        return found

    def leave_one_out(self) -> list[str]:
        """A label for each seed, by the votes of the others."""
        found: list[str] = []
        for start in range(0, len(self._seeds), _AT_ONCE):
            likeness = self._likeness(self._vectors[start : start + _AT_ONCE])
            rows = np.arange(len(likeness))
            likeness[rows, start + rows] = 0.0
            found += [self._vote(row) for row in likeness]
        return found

    def _likeness(self, vectors: Any) -> NDArray[np.float64]:
        return (vectors @ self._vectors.T).toarray()

    def _vote(self, likeness: NDArray[np.float64]) -> str:
        votes: dict[str, float] = defaultdict(float)
        for at in np.argsort(-likeness, kind="stable")[:NEIGHBOURS]:
            votes[self._seeds[at].answer] += float(likeness[at])
        best = max(votes, key=lambda label: votes[label], default="")
        return best if votes[best] > 0 else ""
