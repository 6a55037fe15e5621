"""Find near-copies of a text among many: MinHash to shortlist, exact overlap to decide.

Texts are compared as sets of character 4-grams after folding case, accents and punctuation, and spelling every number as
`0`, so that a changed digit, a typo or a reordered comma does not hide a copy. Similarity is the Jaccard overlap, 0 to 1.
Where the numbers are the question (`12 + 7`, `9 - 4`), ask for `numbers="keep"`: digits and signs then count like letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from student.shelf import Shelves
from student.sketch import GramPile, GramSets, Ids, Keys, band_keys, bands_for, blocks, gram_sets, overlaps

Numbers = Literal["fold", "keep"]
"""Whether every number is the same word, or each counts as it is written."""
_AT_ONCE = 512
"""Texts sketched at a time: bounds the memory."""


class Letters(dict[int, str]):
    """What `str.translate` makes of each character: base letters in lower case, decimal digits, a gap for the rest.

    Filled as characters are met. `own` says what becomes of some characters instead.
    """

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        super().__init__({ord(mark): same for mark, same in (own or {}).items()})

    def __missing__(self, code: int) -> str:
        plain = chr(code)
        for _ in range(2):  # some letters are capitals again once they are taken apart
            plain = unicodedata.normalize("NFKD", plain.casefold())
        self[code] = "".join(map(_letter, plain))
        return self[code]


def _letter(mark: str) -> str:
    """Accents and points vanish; vowel signs, and marks that make another consonant, are letters."""
    if (rank := unicodedata.combining(mark)) >= 200 or 10 <= rank <= 36:
        return ""
    if unicodedata.category(mark) == "Cf":  # invisible ones, as a soft hyphen: they part no word
        return ""
    if mark.isdecimal():
        return str(unicodedata.decimal(mark))
    return mark if mark.isalnum() or unicodedata.category(mark)[0] == "M" else " "


_FOLDED = Letters()
_KEPT = Letters({sign: f" {same} " for sign, same in zip("+-−*×/÷=<>^%", "+--**//=<>^%", strict=True)})
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBERS = re.compile(r"\d+(?: \d+)*")  # 9, 10:30, 1,000.50 and 2/3 are all one number
_LOOSE = re.compile(r"(?<!\d)(?<!\d )[-+*/=<>^%](?! ?\d)")  # a hyphen, a bullet, emphasis: no arithmetic


def fold(text: str, numbers: Numbers = "fold") -> str:
    """Lower case, no accents, one space for anything that is no letter or digit, every number as 0.

    With `numbers="keep"` digits stay, and so do the signs of arithmetic beside them. A text of nothing but marks stays as it is.
    """
    if numbers == "keep":
        plain = " ".join(_THOUSANDS.sub("", text).translate(_KEPT).split())
        plain = " ".join(_LOOSE.sub(" ", plain).split())
    else:
        plain = _NUMBERS.sub("0", " ".join(text.translate(_FOLDED).split()))
    return plain or " ".join(text.split())


def grams(text: str, numbers: Numbers = "fold") -> frozenset[str]:
    """The character 4-grams of the folded text; a shorter text is one gram."""
    folded = f" {fold(text, numbers)} "
    return frozenset(folded[at : at + 4] for at in range(max(1, len(folded) - 3)))


def overlap(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard similarity of two gram sets."""
    return len(left & right) / max(1, len(left | right))


class TextIndex:
    """Named texts, searchable by likeness.

    Of the texts at least `least` alike one in a thousand is overlooked, and more of those less alike. Where a great many
    are half alike, as with one long frame around every text, only the nearest of them are looked at.
    """

    def __init__(self, least: float = 0.6, numbers: Numbers = "fold") -> None:
        self._bands = bands_for(least)
        self._numbers: Numbers = numbers
        self._taken = set[str]()
        self._places = dict[str, int]()
        self._names = list[list[str]]()
        self._grams = GramPile()
        self._shelves = Shelves(self._bands.count)
        self._latest: tuple[list[str], GramSets, Keys] | None = None

    def __len__(self) -> int:
        return len(self._taken)

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def add(self, name: str, text: str) -> None:
        """Remember a text; a name that is known already is left as it is."""
        self.add_many([(name, text)])

    def add_many(self, named: Iterable[tuple[str, str]]) -> None:
        """Remember names with their texts, as if one by one; a few thousand at a time are quicker."""
        fresh = list[str]()
        for name, text in named:
            if name in self._taken:
                continue
            self._taken.add(name)
            folded = fold(text, self._numbers)
            place = self._places.setdefault(folded, len(self._names))
            if place == len(self._names):
                self._names.append([])
                fresh.append(folded)
            self._names[place].append(name)
        for start in range(0, len(fresh), _AT_ONCE):
            sets, keys = self._sketched(fresh[start : start + _AT_ONCE])
            self._grams.put(sets)
            self._shelves.put(keys)

    def nearest(self, text: str) -> tuple[str, float]:
        """The most similar text's name and its similarity, or ("", 0.0) when nothing is remotely alike."""
        return self.nearest_many([text])[0]

    def nearest_many(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """`nearest` of each text, quicker."""
        found = list[tuple[str, float]]()
        for start in range(0, len(texts), _AT_ONCE):
            folded = [fold(text, self._numbers) for text in texts[start : start + _AT_ONCE]]
            columns, places, likeness = self._met(folded)
            order = np.lexsort((places, -likeness, columns))
            best = dict[int, tuple[str, float]]()
            for column, at in zip(*np.unique(columns[order], return_index=True), strict=True):
                best[int(column)] = self._names[places[order[at]]][0], float(likeness[order[at]])
            found += [best.get(at, ("", 0.0)) for at in range(len(folded))]
        return found

    def alike(self, text: str, threshold: float) -> list[str]:
        """The names of all texts at least that similar, sorted."""
        _, places, likeness = self._met([fold(text, self._numbers)])
        return sorted(name for place in places[likeness >= threshold] for name in self._names[place])

    def _met(self, folded: list[str]) -> tuple[Ids, Ids, NDArray[np.float64]]:
        """Which of these texts met which known ones, each pair once, and how alike the two are."""
        sets, keys = self._sketched(folded)
        columns, places = self._shelves.find(keys)
        met = np.unique(columns << 32 | places)
        columns, places = met >> 32, met & 0xFFFFFFFF
        return columns, places, overlaps(sets, columns, self._grams.sets, places)

    def _sketched(self, folded: list[str]) -> tuple[GramSets, Keys]:
        """Grams and band keys; kept, because a text is most often looked up just before it is added."""
        if self._latest is None or self._latest[0] != folded:
            sets = gram_sets(folded)
            self._latest = folded, sets, band_keys(blocks(sets), self._bands)
        return self._latest[1:]
