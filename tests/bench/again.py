"""The lessons of the evidence: how many are right, and what they teach over many trainings. Resumable; needs no teacher and no run.

In: `docs/evidence/lessons/`, where `gain.py` keeps what the arms of its draws were taught. A linear model that learned every training
question but those asked here says which labels are right. Then students learn the draw's seeds with the lessons of each arm, trained
as `gain.py` does, and are examined on training questions that are neither its seeds nor in `test`. Beside the arms that were kept:

- seeds: the seeds alone;
- real: as many further real labelled items as ours has lessons;
- right: ours without the lessons that the linear model calls something else;
- corrected: ours, each lesson with the label that the linear model gives it, which shows what wrong labels cost.

A single lesson can tip a whole label, so that one set against another says little. With `--part 0.8` every training learns another four
fifths of an arm's lessons, drawn at random: what such lessons teach on average, and not what these very ones do together.

`--words` calls the labels by words in the place of codes, in questions and lessons alike: what names are worth to a student.

    python tests/bench/again.py --tasks trec,snips --draws 3,4,5 [--data FOLDER] [--place FOLDER] [--trainings N] [--items N]
        [--only ARM,ARM] [--lessons FOLDER] [--part SHARE] [--words]

Prints a line for each set of lessons and each student, then for each task and arm the mean right, how far ours is ahead of it with the
95 % interval by Student's t over draws, whose seeds and questions differ, and the standard deviation of one training from the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path
from typing import Any, TypeVar

import gain
import numpy as np
from alone import attempts_of, crew_of
from draws import WORDS, Cell, arguments, cells_of
from scipy.stats import t as student_t
from strategies import Judge, linear_judge

from loops.settings import RunSettings
from student.records import Lesson, Record, Seed

Learned = dict[str, tuple[Sequence[Seed], Sequence[Lesson]]]
"""For each arm the further real items and the lessons that its students learn beside the seeds."""
T = TypeVar("T")
Rights = dict[str, np.ndarray]
"""For each arm [trainings, items] what its students have right, 0 or 1."""


class Kept(Record):
    """A lesson as the evidence keeps it."""

    prompt: str
    """The question."""
    answer: str
    """The label it was given."""

    def lesson(self, answer: str | None = None) -> Lesson:
        """As something to learn, with another label where one is told."""
        return Lesson(id="", prompt=self.prompt, answer=answer or self.answer, round=1, weakness_id="", parent_id="",
                      strategy="", request_key="")  # fmt: skip


def kept_lessons(cell: Cell, folder: Path) -> dict[str, list[Kept]]:
    """The lessons of a draw, arm by arm, with the labels as the cell calls them. Raises SystemExit where there are none."""
    file = gain.lessons_file(cell, folder)
    if not file.exists():
        raise SystemExit(f"{file} is not there: gain.py keeps the lessons of {cell.task}, draw {cell.draw}, in it.")
    names: dict[str, str] = WORDS[cell.task] if cell.words else {}
    return {
        arm: [Kept(prompt=one["prompt"], answer=names.get(str(one["answer"]), str(one["answer"]))) for one in rows]
        for arm, rows in json.loads(file.read_text("utf-8")).items()
    }


def learned_in(further: Sequence[Seed], arms: Mapping[str, Sequence[Kept]], judge: Judge) -> Learned:
    """What the students of every arm learn beside the seeds. `further`: real items enough."""
    ours, labels = arms["ours"], judge([one.prompt for one in arms["ours"]])
    agreed = [one.lesson() for one, label in zip(ours, labels, strict=True) if one.answer == label]
    corrected = [one.lesson(label) for one, label in zip(ours, labels, strict=True)]
    return {
        "seeds": ((), ()),
        **{arm: ((), [one.lesson() for one in rows]) for arm, rows in arms.items()},
        "right": ((), agreed),
        "corrected": ((), corrected),
        "real": (further[: len(ours)], ()),
    }


def part_of(learned: Sequence[T], share: float, luck: int) -> list[T]:
    """A random part of what an arm learns, for the training of that number, in its own order; all of it where the share is 1."""
    count = round(share * len(learned))
    return [learned[at] for at in sorted(np.random.default_rng(luck).choice(len(learned), count, replace=False))]


def measured(
    cell: Cell, arms: Mapping[str, Sequence[Kept]], only: Sequence[str], trainings: int, count: int, share: float
) -> Rights:
    """Judge the lessons of one draw, and train and examine every student on this share of them."""
    evals, number = cell.opened(), len(arms["ours"])
    further = cell.further(number + count)
    items = further[-count:]
    asked = {one.id for one in items}
    judge = linear_judge([one for one in cell.known() if one.id not in asked])
    said = judge([one.prompt for one in items])
    told = {
        "judge_right": gain.points(float(np.mean([one == item.answer for one, item in zip(said, items, strict=True)])))
    }
    for arm, rows in arms.items():
        labels = judge([one.prompt for one in rows])
        told[arm] = gain.points(float(np.mean([one.answer == label for one, label in zip(rows, labels, strict=True)])))
    tell(cell, labels_right=told)
    settings = RunSettings.model_validate(gain.merged(gain.SETTINGS, {"evals": cell.evals(), "seed": cell.seed}))
    every, found = learned_in(further, arms, judge), dict[str, list[list[bool]]]()
    if unknown := set(only) - every.keys():
        raise SystemExit(f"--only {sorted(unknown)} is no arm here. There are: {', '.join(every)}.")
    place = cell.folder / f"again-{count}{'' if share == 1 else f'-part-{share}'}{'-words' * cell.words}"
    with crew_of(place, settings, evals) as crew:
        for luck, (arm, (real, made)) in product(range(trainings), every.items()):
            if not only or arm in only:
                some, few = part_of(real, share, luck), part_of(made, share, luck)
                attempts = attempts_of(crew, arm, [*evals.seeds, *some], few, items, "select", luck)
                found.setdefault(arm, []).append([one.right for one in attempts])
                tell(
                    cell,
                    training=luck + 1,
                    arm=arm,
                    lessons=len(few),
                    right=gain.points(float(np.mean(found[arm][-1]))),
                )
    evals.close()
    return {arm: np.array(rows, dtype=float) for arm, rows in found.items()}


def tell(cell: Cell, **fields: Any) -> None:
    print(json.dumps({"bench": "again", "task": cell.task, "draw": cell.draw, **fields}), flush=True)


def rows_of(draws: Sequence[Rights]) -> Iterator[dict[str, Any]]:
    """The table's rows for one task: each arm that all draws have."""
    for arm in [arm for arm in draws[0] if all(arm in one for one in draws)]:
        shares = [one[arm].mean(1) for one in draws]
        row: dict[str, Any] = {"arm": arm, "right": gain.points(float(np.mean([one.mean() for one in shares])))}
        if all("ours" in one for one in draws):
            apart = np.array([one["ours"].mean() - one[arm].mean() for one in draws])
            row["ours_ahead"] = gain.points(float(apart.mean()))
            row["ours_ahead_each"] = [gain.points(float(one)) for one in apart]
            if len(apart) > 1:
                reach = float(student_t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart)))
                row["ours_ahead_t"] = [gain.points(float(apart.mean()) + side * reach) for side in (-1, 1)]
        if min(len(one) for one in shares) > 1:
            row["luck"] = gain.points(float(np.sqrt(np.mean([one.var(ddof=1) for one in shares]))))
        yield row


def main() -> None:
    """Measure what is asked for, then print the tables."""
    parser = arguments(trainings=3, items=400)
    parser.set_defaults(draws="3,4,5")
    parser.add_argument("--lessons", type=Path, default=gain.LESSONS)
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--words", action="store_true")
    given = parser.parse_args()
    if not 0 < given.part <= 1:
        parser.error(f"--part {given.part}: a share of the lessons, more than 0 and at most 1")
    only = [arm for arm in given.only.split(",") if arm]
    for task, group in groupby(cells_of(given), lambda cell: cell.task):
        cells = [replace(cell, words=given.words) for cell in group]
        arms = [kept_lessons(cell, given.lessons) for cell in cells]
        draws = [
            measured(cell, taught, only, given.trainings, given.items, given.part)
            for cell, taught in zip(cells, arms, strict=True)
        ]
        for row in rows_of(draws):
            print(json.dumps({"bench": "again", "task": task, "draws": len(draws), **row}), flush=True)


if __name__ == "__main__":
    main()
