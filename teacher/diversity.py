"""How varied a round's lessons are, beside the seeds: a loop that feeds on its own writing can narrow without getting worse
on any one check (model collapse, arXiv 2305.17493; real data beside it bounds the harm, arXiv 2404.01413).

Distinct-n is the share of different n-grams among all (Li et al., 2016); self-similarity is the mean likeness of a text to
its nearest neighbour. Both depend on how many texts there are, so all are measured on equally many, drawn by a hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from student.records import Record

MOST = 200
"""Texts measured at most."""
FEWEST = 8
"""With fewer texts nothing is said: two short questions are no trend."""
# Scripts that put no spaces between words are read letter by letter.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u0e00-\u0eff\u3040-\u9fff]+"
)


class Spread(Record):
    """How varied some texts are."""

    texts: int
    """How many were measured."""
    distinct_1: float
    """Different words, as a share of all words."""
    distinct_2: float
    """Different pairs of words, as a share of all pairs."""
    distinct_3: float
    """Different triples of words, as a share of all triples."""
    self_similarity: float
    """Mean likeness, 0 to 1, of a text to the one nearest to it."""


class Diversity(Record):
    """One round's report."""

    seeds: Spread
    """The seeds: what real data looks like."""
    lessons: Spread
    """This round's lessons."""
    all_lessons: Spread
    """The lessons of all rounds so far."""
    real_share: float
    """Real rows among the rows the student will be trained on."""
    alarms: tuple[str, ...] = ()
    """What has become narrow, for a person."""


def diversity(
    seeds: Sequence[str], lessons: Sequence[str], earlier: Sequence[str], real_share: float, narrow: float
) -> Diversity:
    """The report on a round's lessons. `narrow`: below this share of the seeds' own variety an alarm is raised."""
    size = min(MOST, len(seeds), len(lessons))
    own, fresh, so_far = (spread(_drawn(texts, size)) for texts in (seeds, lessons, [*earlier, *lessons]))
    alarms = _alarms(own, fresh, "this round's lessons", narrow) or _alarms(own, so_far, "all lessons so far", narrow)
    return Diversity(
        seeds=own, lessons=fresh, all_lessons=so_far, real_share=round(real_share, 4),
        alarms=tuple(alarms) if size >= FEWEST else (),
    )  # fmt: skip


def _alarms(own: Spread, found: Spread, whose: str, narrow: float) -> list[str]:
    alarms: list[str] = []
    if found.distinct_2 < narrow * own.distinct_2:
        alarms.append(
            f"{whose} repeat themselves: {found.distinct_2:.0%} of their word pairs are different ones, {own.distinct_2:.0%} "
            "of the seeds'"
        )
    # The same share of what is left to be unlike: 0.2 alike with 0.7 allows 0.44.
    if 1 - found.self_similarity < narrow * (1 - own.self_similarity):
        alarms.append(
            f"{whose} resemble one another: {found.self_similarity:.2f} alike the nearest on average, where seeds are "
            f"{own.self_similarity:.2f}"
        )
    return alarms


def spread(texts: Sequence[str]) -> Spread:
    """Distinct-1, -2, -3 and self-similarity of some texts."""
    distinct = [round(_distinct(texts, size), 4) for size in (1, 2, 3)]
    return Spread(
        texts=len(texts), distinct_1=distinct[0], distinct_2=distinct[1], distinct_3=distinct[2],
        self_similarity=round(_self_similarity(texts), 4),
    )  # fmt: skip


def _drawn(texts: Sequence[str], size: int) -> list[str]:
    """So many of the texts, always the same ones."""
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())[:size]


def _distinct(texts: Sequence[str], size: int) -> float:
    found: list[tuple[str, ...]] = []
    for text in texts:
        words = _WORD.findall(text.lower())
        found += [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
    return len(set(found)) / len(found) if found else 1.0


def _self_similarity(texts: Sequence[str]) -> float:
    """Jaccard overlap of character 4-grams with the nearest other text, on average."""
    if len(texts) < 2:
        return 0.0
    counts: Any = CountVectorizer(analyzer="char_wb", ngram_range=(4, 4), binary=True)
    try:
        grams: Any = counts.fit_transform(texts)
    except ValueError:  # not one text holds a word
        return 1.0
    shared = (grams @ grams.T).toarray().astype(float)
    sizes = shared.diagonal()
    alike = shared / np.maximum(1.0, sizes[:, None] + sizes[None, :] - shared)
    np.fill_diagonal(alike, 0.0)
    return float(alike.max(axis=1).mean())
