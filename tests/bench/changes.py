"""What one change of the recipe at a time does to the fine-tuned student. Resumable; a training takes minutes.

In: the run folders that `gain.py` left in `--place`. For every draw and each change a student is trained on the draw's own seeds as its
students were, but for that change, and examined on training questions of the task that are neither its seeds nor in `test`: what the
recipe is chosen by must not be what it is judged by. Changes of what is taught need no teacher, for the lessons are there:

- as shipped: the lessons of ours;
- no lessons: the seeds alone, for as many steps;
- not checked: also what was doubted, but no copies;
- half as many: every second lesson;
- two a failure: at most two lessons for each mined failure, as a smaller `generate.per_failure` would ask for, and those without aim;
- the aimed half, the half without aim: the lessons of ours that have a failure, and those that have none (`generate.spread`);
- not aimed: as many untargeted lessons, the same curation;
- the paper's prompt: on the same failures, unchecked;
- half the steps, twice the rate, not smoothed, a third of the layers, more real: `train.min_steps` 60, `train.learning_rate` 0.004,
  `train.smoothing` 0, `student.lora.layers` 0.34, `curate.real_share` 0.7.

    python tests/bench/changes.py --tasks trec,snips --draws 1,2 [--data FOLDER] [--place FOLDER] [--trainings N] [--items N]
        [--only NAME,NAME]

Prints a line for each student, then for each task and change the mean over draws and trainings, and how far it is from what is shipped
in each draw. One training differs from the next by some three points: with few, only large differences mean anything.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any

import gain
import numpy as np
from alone import attempts_of, crew_of
from draws import Cell, arguments, cells_of

from loops.settings import RunSettings
from student.records import Candidate, Lesson, Verdict, Weakness, read_records

DOUBTED = ("answer-doubted", "answer-disagrees")
"""Reasons of curation that are about whether an answer is right."""


@dataclass(frozen=True)
class Change:
    """One student of a draw: what it learns and how."""

    name: str
    """As the table calls it."""
    lessons: tuple[Lesson | Candidate, ...]
    """What it learns beside the seeds."""
    settings: tuple[tuple[str, str, Any], ...] = ()
    """(group, setting, value) that differ from the defaults."""

    @property
    def folder(self) -> str:
        return self.name.replace(" ", "-").replace("'", "")


def changes_of(cell: Cell) -> list[Change]:
    """Every change that can be made of what the draw's runs left."""
    ours, first = cell.run("ours"), cell.run("ours").round(1)
    lessons = tuple(gain.lessons_of(ours))
    verdicts = {one.candidate_id: one for one in read_records(first / "verdicts.jsonl", Verdict)}
    spread = {one.id for one in read_records(first / "weaknesses.jsonl", Weakness) if not one.failures}
    aimed = tuple(one for one in lessons if one.weakness_id not in spread)
    unaimed = tuple(one for one in lessons if one.weakness_id in spread)
    believed = ("accepted", *DOUBTED)
    unchecked = tuple(
        one for one in read_records(first / "candidates.jsonl", Candidate) if verdicts[one.id].reason in believed
    )
    return [
        Change("as shipped", lessons),
        Change("no lessons", ()),
        Change("not checked", unchecked),
        Change("half as many", lessons[::2]),
        Change("two a failure", (*at_most(aimed, 2), *unaimed)),
        Change("the aimed half", aimed),
        Change("the half without aim", unaimed),
        *(Change(name, found) for name, found in others(cell)),
        Change("half the steps", lessons, (("train", "min_steps", 60),)),
        Change("twice the rate", lessons, (("train", "learning_rate", 0.004),)),
        Change("not smoothed", lessons, (("train", "smoothing", 0.0),)),
        Change("more real", lessons, (("curate", "real_share", 0.7),)),
        Change("a third of the layers", lessons, (("student", "lora", {"layers": 0.34}),)),
    ]


def at_most(lessons: Sequence[Lesson], count: int) -> Iterator[Lesson]:
    """The first so many lessons of each mined failure."""
    seen: dict[str, int] = defaultdict(int)
    for one in lessons:
        seen[one.parent_id] += 1
        if seen[one.parent_id] <= count:
            yield one


def others(cell: Cell) -> Iterator[tuple[str, tuple[Lesson, ...]]]:
    """The lessons of other arms, where there are any."""
    untargeted = cell.run("ours").path / "control" / "equal-number" / "lessons.jsonl"
    if untargeted.exists():
        yield "not aimed", tuple(read_records(untargeted, Lesson))
    if (cell.run("prompt").path / "claim" / "claim.json").exists():
        yield "the paper's prompt", tuple(gain.lessons_of(cell.run("prompt")))


def settings_of(cell: Cell, change: Change) -> RunSettings:
    """The recipe's settings with the change."""
    tree: dict[str, Any] = {"evals": cell.evals(), "seed": cell.seed}
    for group, setting, value in change.settings:
        tree = gain.merged(tree, {group: {setting: value}})
    return RunSettings.model_validate(gain.merged(gain.SETTINGS, tree))


def measured(cell: Cell, trainings: int, count: int, names: Sequence[str]) -> dict[str, list[float]]:
    """The share right of every training of every change of one draw."""
    every = changes_of(cell)
    if unknown := set(names) - {one.name for one in every}:
        raise SystemExit(
            f"--only {sorted(unknown)} is no change here. There are: {', '.join(one.name for one in every)}."
        )
    changes = [one for one in every if not names or one.name in names]
    items, evals, found = cell.further(count), cell.opened(), dict[str, list[float]]()
    for lora, alike in groupby(changes, lambda one: settings_of(cell, one).student.lora):
        same, settings = [*alike], settings_of(cell, changes[0])
        settings = settings.model_copy(update={"student": settings.student.model_copy(update={"lora": lora})})
        with crew_of(cell.folder / "changes", settings, evals) as crew:
            for luck, change in product(range(trainings), same):
                here = replace(crew, settings=settings_of(cell, change))
                lessons = [Lesson.model_validate(one.model_dump()) for one in change.lessons]
                attempts = attempts_of(here, change.folder, evals.seeds, lessons, items, "select", luck)
                found.setdefault(change.name, []).append(sum(one.right for one in attempts) / len(attempts))
                print(json.dumps({"bench": "changes", "task": cell.task, "draw": cell.draw, "training": luck + 1, "change": change.name,
                                  "lessons": len(lessons), "right": gain.points(found[change.name][-1])}), flush=True)  # fmt: skip
    evals.close()
    return found


def main() -> None:
    """Measure every change of every draw that is there, then print the table."""
    given = arguments(trainings=2, items=300).parse_args()
    names = [one for one in given.only.split(",") if one]
    for task, group in groupby(cells_of(given), lambda cell: cell.task):
        cells = [*group]
        ready = [cell for cell in cells if (cell.run("ours").path / "claim" / "claim.json").exists()]
        for cell in [cell for cell in cells if cell not in ready]:
            left = {"task": task, "draw": cell.draw, "left_out": "gain.py has not finished it here"}
            print(json.dumps({"bench": "changes", **left}))
        found = [measured(cell, given.trainings, given.items, names) for cell in ready]
        for name in dict.fromkeys(name for one in found for name in one):
            having = [one for one in found if name in one and "as shipped" in one]
            apart = [gain.points(float(np.mean(one[name]) - np.mean(one["as shipped"]))) for one in having]
            print(json.dumps({"bench": "changes", "task": task, "change": name,
                              "right": gain.points(float(np.mean([x for one in found for x in one.get(name, [])]))),
                              "against_shipped": apart}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
