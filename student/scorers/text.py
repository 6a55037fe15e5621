"""Compare words: the same text, the same after normalising, mentioned in the output, or overlapping with it.

In: the expected answer and what the student answered. Out: 1 or 0, for `f1` a fraction, and None where nothing was answered.
Normalising is SQuAD's (case, punctuation, articles, white space; https://arxiv.org/abs/1606.05250) without its three traps:
punctuation that belongs to a number stays (-5 is not 5, 1.5 is not 15), so does that of a name (C++ is not C), and a final
article is a name (vitamin A, answer A).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from pydantic import Field

from student.records import Record
from student.scorers.characters import folded, plain

Scorer = Callable[[str, str], float | None]
"""Of the expected answer and the output: 0 to 1, or None when the output holds no answer of the expected form."""

_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![,\d])")
_MARKS = re.compile(
    r"""(?P<keep> (?<=\d)[./:^_-](?=\d) | (?<![\w)])-(?=\.?\d|[$\u20ac\u00a3]) | (?<!\w)\.(?=\d) | (?<=[^\W\d_])(?:\+\+?|\#)(?!\w) )
      | (?P<inner> [.'\u2019\u2018"\u201c\u201d`] )
      | (?P<percent> % )
      | [^\w\s] | _""",
    re.VERBOSE,
)
_ARTICLE = re.compile(r"\b(?:a|an|the)\s+(?=\S)")
_LEADING = re.compile(r"^(?:a|an|the)\s+")
_NEAR = 8
"""Words around a mention in which `either` and `or` leave it open."""


class Exact(Record):
    """Options of `exact`: the same text, apart from case and white space."""

    case: bool = False
    """Whether upper and lower case are different."""
    verbatim: bool = False
    """Whether every character counts, but for white space at the ends; otherwise runs of white space are one space and
    characters that only look different (full-width letters, Unicode minus signs) are the same."""


class Normalised(Record):
    """Options of `normalised`: the same words, apart from case, punctuation, articles and white space."""


class Contains(Record):
    """Options of `contains`: the expected text is mentioned, as whole words. Case and punctuation do not count."""

    separator: str | None = Field(default=None, min_length=1)
    """Where the expected answer lists alternatives (`NYC|New York`): the text between them. One mentioned is enough."""


class F1(Record):
    """Options of `f1`: the overlap of the words of both, the harmonic mean of precision and recall, as in SQuAD."""

    threshold: float = Field(default=0.8, gt=0, le=1)
    """The score from which an answer counts as right. The score itself is reported as it is."""


def exact(options: Exact) -> Scorer:
    """1 when both are the same text, else 0."""
    fold = str.strip if options.verbatim else _cased if options.case else folded

    def score(expected: str, output: str) -> float | None:
        return float(fold(expected) == fold(output)) if output.strip() else None

    return score


def normalised(options: Normalised) -> Scorer:
    """1 when both are the same words, else 0. A hyphen or slash may stand for a space or for nothing."""

    def score(expected: str, output: str) -> float | None:
        if not output.strip():
            return None
        return float(any(normal(expected, gap) == normal(output, gap) for gap in ("", " ")))

    return score


def contains(options: Contains) -> Scorer:
    """1 when one of the alternatives stands in the output as whole words, and is neither denied nor left open."""

    def score(expected: str, output: str) -> float | None:
        if not output.strip():
            return None
        wanted = [one for one in expected.split(options.separator) if one.strip()] if options.separator else [expected]
        return float(any(_mentioned(one, output, gap) for one in wanted or [expected] for gap in (" ", "")))

    return score


def f1(options: F1) -> Scorer:
    """Token F1 of the normalised texts."""

    def score(expected: str, output: str) -> float | None:
        wanted, found = Counter(normal(expected).split()), Counter(normal(output).split())
        if not found:
            return None
        shared = (wanted & found).total()
        return 2 * shared / (wanted.total() + found.total())

    return score


def normal(text: str, gap: str = "", articles: bool = False) -> str:
    """The normalised text; `gap` is what punctuation between words becomes. Never empty unless the text is blank."""
    low = folded(text)
    if "," in low:
        low = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), low)
    words = " ".join(_MARKS.sub(lambda mark: _kept(mark, gap), low).split())
    words = words if articles else _ARTICLE.sub("", words)
    return words or low


def _kept(mark: re.Match[str], gap: str) -> str:
    if mark["keep"]:
        return mark["keep"]
    return " percent" if mark["percent"] else "" if mark["inner"] else gap


def _cased(text: str) -> str:
    return " ".join(plain(text).split())


def _mentioned(wanted: str, output: str, gap: str) -> bool:
    """Whether the words of `wanted` follow each other in `output`, somewhere where that is meant."""
    sought = _LEADING.sub("", normal(wanted, gap, articles=True)).split()
    text = normal(output, gap, articles=True)
    if not sought or " ".join(sought) not in text:
        return False
    words = text.split()
    places = [at for at, word in enumerate(words) if word == sought[0] and words[at : at + len(sought)] == sought]
    return any(_meant(words, at, at + len(sought)) for at in places[:1000])


def _meant(words: list[str], start: int, end: int) -> bool:
    article = bool(start) and words[start - 1] in {"a", "an", "the"}  # "not a cat" denies the cat, too
    if start > article and words[start - 1 - article] in {"not", "isnt", "wasnt", "arent", "never"}:
        return False
    before, after = words[max(0, start - _NEAR) : start], words[end : end + _NEAR]
    return not ("either" in before and ("or" in after or "or" in before[before.index("either") :]))
