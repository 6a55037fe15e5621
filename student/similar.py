"""Find near-copies of a text among many: MinHash to shortlist, exact overlap to decide.

Texts are compared as sets of character 4-grams after folding case, accents and punctuation, and spelling every number as
`0`, so that a changed digit, a typo or a reordered comma does not hide a copy. Similarity is the Jaccard overlap, 0 to 1.
MinHash after Broder (1997), by datasketch.
"""

from __future__ import annotations

import re
import unicodedata

from datasketch import MinHash, MinHashLSH

_PERMUTATIONS = 64
_SHORTLIST = 0.3
"""The shortlist is drawn well below any threshold in use, so that MinHash's error loses no copy."""


def fold(text: str) -> str:
    """Lower case, no accents, one space for anything that is no letter or digit, every number as 0."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(mark for mark in plain if not unicodedata.combining(mark))
    return re.sub(r"\d+", "0", re.sub(r"[^\w]+", " ", letters)).strip()


def grams(text: str) -> frozenset[str]:
    """The character 4-grams of the folded text; a shorter text is one gram."""
    folded = f" {fold(text)} "
    return frozenset(folded[at : at + 4] for at in range(max(1, len(folded) - 3)))


def overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard similarity of two gram sets."""
    return len(left & right) / max(1, len(left | right))


class TextIndex:
    """Named texts, searchable by likeness."""

    def __init__(self) -> None:
        self._grams: dict[str, frozenset[str]] = {}
        self._exact: dict[str, str] = {}
        self._lsh = MinHashLSH(threshold=_SHORTLIST, num_perm=_PERMUTATIONS)

    def __len__(self) -> int:
        return len(self._grams)

    def add(self, name: str, text: str) -> None:
        """Remember a text; a name that is known already is left as it is."""
        if name in self._grams:
            return
        self._grams[name] = grams(text)
        self._exact.setdefault(fold(text), name)
        self._lsh.insert(name, _sketch(self._grams[name]))

    def nearest(self, text: str) -> tuple[str, float]:
        """The most similar text's name and its similarity, or ("", 0.0) when nothing is remotely alike."""
        if (name := self._exact.get(fold(text))) is not None:
            return name, 1.0
        mine = grams(text)
        near: list[str] = [str(name) for name in self._lsh.query(_sketch(mine))]
        ranked = sorted(((overlap(mine, self._grams[name]), name) for name in near), reverse=True)
        return (ranked[0][1], ranked[0][0]) if ranked else ("", 0.0)

    def alike(self, text: str, threshold: float) -> list[str]:
        """The names of all texts at least that similar, sorted."""
        mine = grams(text)
        near = [str(name) for name in self._lsh.query(_sketch(mine))]
        return sorted(name for name in near if overlap(mine, self._grams[name]) >= threshold)


def _sketch(values: frozenset[str]) -> MinHash:
    sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
    sketch.update_batch([value.encode() for value in sorted(values)])
    return sketch
