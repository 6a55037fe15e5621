"""Which candidates say in other words what a seed, an earlier lesson or another candidate says.

In: a round's candidates and everything that is known. Out: for each candidate the texts that say the same, for `teacher.copies`
to decide by. The untouched student places all texts (`student.meaning`); two of them say the same when they are nearer than
`curate.meaning`, and nearer than all but a few seeds are to one another: how near honest texts of a task come is seen on the
seeds. Texts that have different answers are different questions, where answers are labels or numbers; where they are numbers,
texts with different numbers are, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from loops.crew import Crew
from loops.state import State
from student.nearness import Space, Vectors, nearest
from student.records import Candidate, Lesson, Seed
from student.similar import Numbers, fold, grams, overlap
from student.wording import numbers
from teacher.copies import Alike

MOST = 20_000
"""More texts than this are not read for what they say: on a CPU a student reads some hundred a second."""
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
    places, kinds = _places(crew, state, candidates, earlier), [kind_of(one, written) for one in texts]
    least = _least(crew, places[: len(seeds)], kinds[: len(seeds)])
    asked = np.arange(len(texts)) >= len(texts) - len(candidates)
    return {
        texts[at].id: [(texts[other].id, round(nearness, 4)) for other, nearness in found]
        for at, found in _nearest(places, kinds, asked, least)
    }


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


def _nearest(
    places: Vectors, kinds: Sequence[tuple[str, ...]], asked: np.ndarray, least: float
) -> Iterator[tuple[int, list[tuple[int, float]]]]:
    """For the texts that are asked about: others of their kind that are at least so near."""
    alike = defaultdict[tuple[str, ...], list[int]](list)
    for at, kind in enumerate(kinds):
        alike[kind].append(at)
    for members in map(np.array, alike.values()):
        here = members[asked[members]]
        for row, found in nearest(places[here], places[members], least):
            others = [(int(members[at]), nearness) for at, nearness in found if members[at] != here[row]]
            if others:
                yield int(here[row]), others


def _least(crew: Crew, places: Vectors, kinds: Sequence[tuple[str, ...]]) -> float:
    """How near texts are that say the same: nearer than the setting, and than seeds come to one another.

    What is spelt like another seed does not count: such seeds say the same, or all but the same.
    """
    settings, seeds = crew.settings.curate, crew.evals.seeds
    assert settings.meaning is not None
    near = list[float]()
    for at, found in _nearest(places, kinds, np.ones(len(seeds), np.bool_), settings.meaning):
        own = grams(seeds[at].prompt)
        honest = (one for other, one in found if overlap(own, grams(seeds[other].prompt)) < settings.duplicate)
        near += [value for value in [next(honest, 0.0)] if value]
    left = sorted(near, reverse=True)[int(SHARE * len(seeds)) :]
    return np.nextafter(left[0], 2.0) if left else settings.meaning
