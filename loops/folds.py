"""The folds of a cross-fitted run, and the grounds on which its prompts, weaknesses and judgements stand.

A ground is the set of seeds that one prompt may show, one weakness may hold and one judgement may be made from. In a run with a
`select` split there is one: all seeds. In a cross-fitted run there is one for each fold, so that a lesson is made entirely from
the fold of its parent and may be learned by the students of all others. Which seed is in which fold is frozen in
`splits.json` when the run is created. A lesson that was made from two folds is an error, never passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from loops.crew import Crew
from loops.run_folder import RunError, RunFolder
from student.evals.splits import make_folds
from student.records import Candidate, Lesson, Seed
from teacher.answers import shown_seeds

Folds = dict[str, int]
"""The fold, from 1, of each seed by id."""
ALL = 0
"""The number of the ground that is all seeds."""
STEP = 100_003
"""How far apart the draws of two grounds are."""


@dataclass(frozen=True)
class Ground:
    """Seeds that may stand together in one prompt, weakness or judgement."""

    number: int
    """The fold, from 1; `ALL` where it is not one of several."""
    seeds: tuple[Seed, ...] = field(compare=False)
    """Its seeds as a teacher may be told them, in the order of the eval set."""

    @cached_property
    def ids(self) -> frozenset[str]:
        """The names of its seeds."""
        return frozenset(seed.id for seed in self.seeds)

    @property
    def is_fold(self) -> bool:
        """Whether there are others."""
        return self.number != ALL

    @property
    def aside(self) -> str:
        """What tells it from the others behind a name; empty where there are none."""
        return f", fold {self.number}" if self.is_fold else ""

    def holds(self, seed_id: str) -> bool:
        """Whether a seed may be used here. All may where there is one ground only."""
        return not self.is_fold or seed_id in self.ids

    def check(self, what: str, seed_ids: Iterable[str]) -> None:
        """Raises RunError unless all that something is made from is here."""
        if all(map(self.holds, seed_ids)):
            return
        raise RunError(
            f"{what} is made from seeds of fold {self.number} and of others, so after it no student can be examined fairly: a "
            "cross-fitted run needs items that are each made from one fold. Where lessons of another run are learned (lessons_from), "
            "that run must have been cross-fitted with the same mine.folds."
        )

    def draw(self, seed: int) -> int:
        """The seed of this ground's draws: folds write in different voices and manners."""
        return seed + STEP * self.number


def deal_folds(seeds: Sequence[Seed], count: int) -> Folds:
    """`count` folds of the seeds, look-alikes in one; fewer where there are not as many groups of look-alikes."""
    return {seed.id: number for number, fold in enumerate(make_folds(seeds, count), 1) for seed in fold}


def read_folds(folder: RunFolder) -> Folds:
    """The folds as they were frozen. Raises RunError."""
    manifest = folder.path / "splits.json"
    try:
        return {str(name): int(number) for name, number in json.loads(manifest.read_text("utf-8"))["folds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{manifest} cannot be read, or does not say which seed is in which fold ({type(error).__name__}). Without that a "
            "cross-fitted run cannot go on: put the original file back and resume, or start a new run."
        ) from error


def grounds(crew: Crew) -> list[Ground]:
    """The grounds of a run: its folds in order, or all seeds at once. Raises RunError."""
    if crew.settings.mode != "cross-fit":
        return [Ground(ALL, crew.evals.for_teacher)]
    return grounds_of(crew.evals.for_teacher, read_folds(crew.folder))


def models_for(crew: Crew, part: Ground) -> list[Seed]:
    """The real items of a ground that the teacher is shown with their answers before it is asked for one."""
    return shown_seeds(crew.sheet(), part.seeds, crew.settings.curate.shown)


def grounds_of(seeds: Sequence[Seed], folds: Mapping[str, int]) -> list[Ground]:
    """One ground for each fold. Raises RunError for a seed that is in none."""
    if lost := [seed.id for seed in seeds if seed.id not in folds]:
        raise RunError(
            f"splits.json names no fold for {len(lost)} seeds, for example {lost[0]!r}. It is not the file this run was begun "
            "with: put that back and resume, or start a new run."
        )
    return [
        Ground(number, tuple(seed for seed in seeds if folds[seed.id] == number))
        for number in sorted({folds[seed.id] for seed in seeds})
    ]


def home(found: Sequence[Ground], seed_id: str) -> Ground:
    """The ground that a seed is in; the only one, where there is one. Raises RunError for a seed of none."""
    if ground := next((each for each in found if each.holds(seed_id)), None):
        return ground
    raise RunError(
        f"The seed {seed_id!r} is in no fold of splits.json, so nothing made from it can be kept apart. It may come from another "
        "eval set: put the original files of this run back and resume, or start a new run."
    )


def ground_of(found: Sequence[Ground], one: Candidate | Lesson) -> Ground:
    """The ground a candidate or lesson was made from: that of its parent. Raises RunError where it was made from several."""
    ground = home(found, one.parent_id)
    ground.check(f"The item {one.id} (round {one.round}, {one.strategy})", one.shown_ids)
    return ground
