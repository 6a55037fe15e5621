"""Which candidates say in other words what a seed, an earlier lesson or another candidate says.

In: a round's candidates and everything that is known. Out: for each candidate the texts that say the same, for `teacher.copies`
to decide by. The untouched student places all texts (`student.meaning`); the nearest are looked at for their letters, too. Two
texts say the same when they are nearer than `curate.meaning`, and nearer than all but a few seeds are to one another: how near the
honest texts of a task come is seen on its seeds. Texts that have different answers are different questions, where answers are
labels or numbers; where they are numbers, texts with different numbers are, too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from loops.crew import Crew
from loops.state import State
from student.nearness import Space, Spelling, Vectors, nearest
from student.records import Candidate, Lesson, Seed
from student.similar import Numbers, fold, grams, overlap
from student.wording import numbers
from teacher.copies import Alike

MOST = 20_000
"""More texts than this are not read for what they say: a core reads some 17 to 59 a second (tests/bench/meaning.py)."""
FEWEST = 50
"""Of fewer seeds one cannot tell how near the honest texts of a task come."""
SHARE = 0.01
"""So many of the seeds may be nearer to another seed than a candidate may come to any text."""
Text = Seed | Lesson | Candidate


def said_alike(
    crew: Crew, state: State, candidates: Sequence[Candidate], earlier: Sequence[Lesson], written: Numbers
) -> Alike:
    """Which texts say the same as a candidate; nothing where that is not asked for or cannot be told.

    `written`: whether texts with different numbers are different questions.
    """
    seeds, texts = crew.evals.seeds, [*crew.evals.seeds, *earlier, *candidates]
    if crew.settings.curate.meaning is None or not candidates:
        return {}
    if len(seeds) < FEWEST or len(texts) > MOST:
        why = f"fewer than {FEWEST} seeds" if len(seeds) < FEWEST else f"more than {MOST:,} texts"
        if not earlier or len(texts) > MOST:  # what does not change is said once
            crew.emit("note", text=f"with {why} lessons are compared by their letters, not by what they say")
        return {}
    found = _Nearness(_places(crew, state, candidates, earlier), texts, len(seeds), written)
    least = _least(crew, found)
    first = len(seeds) + len(earlier)
    return {
        texts[at].id: [(texts[other].id, round(nearness, 4)) for other, nearness in near]
        for at, near in found.of(range(first, len(texts)), range(len(texts)), least)
    }


class _Nearness:
    """How near texts of one kind are to one another."""

    def __init__(self, places: Vectors, texts: Sequence[Text], seeds: int, written: Numbers) -> None:
        """`seeds`: how many of the texts, from the first, show what is common in the task."""
        prompts = [one.prompt for one in texts]
        self._places, self._spelling = places, Spelling(prompts, prompts[:seeds])
        self._alike = defaultdict[tuple[str, ...], list[int]](list)
        for at, one in enumerate(texts):
            self._alike[kind_of(one, written)].append(at)

    def of(self, asked: range, among: range, least: float) -> Iterator[tuple[int, list[tuple[int, float]]]]:
        """For each text that is asked about and has any, the others that are at least so near, nearest first."""
        for alike in self._alike.values():
            here, there = ([at for at in alike if at in which] for which in (asked, among))
            for row, shortlist in nearest(self._places[here], self._places[there], 2 * least - 1):
                at = here[row]
                met = [(there[one], (nearness + self._spelling.nearness(at, there[one])) / 2)
                       for one, nearness in shortlist if there[one] != at]  # fmt: skip
                if near := [(other, nearness) for other, nearness in met if nearness >= least]:
                    yield at, sorted(near, key=lambda one: (-one[1], one[0]))


def _places(crew: Crew, state: State, candidates: Sequence[Candidate], earlier: Sequence[Lesson]) -> Vectors:
    """Where seeds, earlier lessons and candidates lie, in this order.

    They are read in lots that stay the same from round to round and after a resumption, so their places do, too.
    """

    def on(message: dict[str, Any]) -> None:
        crew.emit("verb.progress", round=state.round, verb="curate", done=message["done"], total=message["total"],
                  unit="item", note="reading what texts say")  # fmt: skip

    lots = [crew.evals.seeds, *(tuple(lot) for _, lot in groupby(earlier, lambda one: one.round)), candidates]
    around = [seed.prompt for seed in crew.evals.seeds]
    vectors = [crew.student.embed([one.prompt for one in lot], around, on) for lot in lots]
    space = Space(vectors[0])
    return np.concatenate([space.place(lot) for lot in vectors])


def kind_of(one: Text, written: Numbers) -> tuple[str, ...]:
    """Texts of different kinds say different things, however near they are."""
    if written == "keep":
        return one.answer.replace(",", ""), *sorted(numbers(one.prompt))
    return (fold(one.answer),) if one.choices else ()


def _least(crew: Crew, found: _Nearness) -> float:
    """How near texts are that say the same: nearer than the setting, and than seeds come to one another.

    What is spelt like another seed does not count: such seeds say the same, or all but the same.
    """
    settings, seeds, near = crew.settings.curate, crew.evals.seeds, list[float]()
    assert settings.meaning is not None
    every = range(len(seeds))
    for at, others in found.of(every, every, settings.meaning):
        own = grams(seeds[at].prompt)
        honest = (one for other, one in others if overlap(own, grams(seeds[other].prompt)) < settings.duplicate)
        near += [nearness for nearness in [next(honest, None)] if nearness is not None]
    left = sorted(near, reverse=True)[int(SHARE * len(seeds)) :]
    return math.nextafter(left[0], 2.0) if left else settings.meaning
