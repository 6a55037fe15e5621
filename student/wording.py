"""Texts as words that may be compared: folded, weighed by rarity, a slip of the keyboard apart from another or not.

In: texts. Out: their words and numbers, and a `Vocabulary` that reads further texts in the words of the first ones.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from student.similar import Letters, fold
from student.sketch import Ids

Words = tuple[str, ...]

_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")  # scripts that set no spaces are read letter by letter
_GLUED = Letters(dict.fromkeys("'’‘`´-‐‑.,:/&@_", ""))
_NUMBER = re.compile(r"\d+")
_FIGURE = re.compile(r"\d+|[-+*/=<>^%]")
_SPELLED = 5
"""Shorter words are not taken for slips of one another."""


def words(text: str) -> Words:
    """The folded words of a text, every number as 0; `don't`, `per-capita` and `10:30` are one each."""
    return tuple(_WORD.findall(_NUMBER.sub("0", text.translate(_GLUED)))) or tuple(text.split())


def letters(said: Words) -> str:
    """Words without the spaces between them: `top-20` and `top 20` are the same then."""
    return _NUMBER.sub("0", "".join(said))


def numbers(text: str) -> Words:
    """The numbers of a text, in order."""
    return tuple(_NUMBER.findall(fold(text, numbers="keep")))


def figures(text: str) -> Words:
    """The numbers of a text and the signs of arithmetic, in order."""
    return tuple(_FIGURE.findall(fold(text, numbers="keep")))


class Vocabulary:
    """The words of some texts as numbers from 0, and what each weighs."""

    def __init__(self, texts: Sequence[Words], around: Sequence[Words]) -> None:
        """A word weighs the logarithm of how seldom a text of `around`, to which `texts` belong, has it."""
        counts = Counter(word for text in around for word in set(text))
        self._codes = {word: code for code, word in enumerate(dict.fromkeys(word for text in texts for word in text))}
        self._slips = defaultdict[str, list[int]](list)
        for word, code in self._codes.items():
            for one in set(_variants(word)):
                self._slips[one].append(code)
        self.weights: NDArray[np.float64] = np.log2(
            1 + len(around) / np.array([counts[word] for word in self._codes], float)
        )
        """By word."""
        self.heaviest = float(np.log2(1 + len(around)))
        """What a word weighs that one text alone has."""

    def __len__(self) -> int:
        return len(self._codes)

    def read(self, said: Words) -> Ids:
        """The words' numbers: of a word nobody knows that of one it is a slip of, or else -1."""
        return np.array([self._code(word) for word in said], np.int64)

    def _code(self, word: str) -> int:
        if (code := self._codes.get(word)) is not None:
            return code
        meant = Counter(code for one in set(_variants(word)) for code in self._slips.get(one, ()))
        return max(meant, key=lambda code: (meant[code], -code), default=-1)


def _variants(word: str) -> Iterator[str]:
    """What `is_slip` compares, of a longer word."""
    return _without_a_letter(word) if len(word) >= _SPELLED else iter(())


def is_slip(word: str, other: str) -> bool:
    """Whether two words, also short ones, are a slip of the keyboard apart: a letter dropped, added, changed or swapped."""
    return not set(_without_a_letter(word)).isdisjoint(_without_a_letter(other))


def _without_a_letter(word: str) -> Iterator[str]:
    """A word, and it without each of its letters."""
    yield word
    yield from (word[:at] + word[at + 1 :] for at in range(len(word)))


def distance(left: Sequence[int], right: Sequence[int], limit: int) -> int:
    """Words to change, drop, add, or swap with the next to make one of the other; above `limit` any larger number."""
    before, last = list[int](), list(range(len(right) + 1))
    for at, one in enumerate(left, 1):
        low, high = max(1, at - limit), min(len(right), at + limit)
        now = [at] + [limit + 1] * len(right)
        for to in range(low, high + 1):
            now[to] = min(last[to] + 1, now[to - 1] + 1, last[to - 1] + (one != right[to - 1]))
            if at > 1 and to > 1 and one == right[to - 2] and left[at - 2] == right[to - 1]:
                now[to] = min(now[to], before[to - 2] + 1)
        before, last = last, now
    return last[-1]
