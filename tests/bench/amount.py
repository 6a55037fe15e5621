"""What more lessons bring, and as many real labels: students of the seeds and ever more of either. Resumable; writing takes an hour a draw.

In: the run folders that `gain.py` left in `--place`. For every draw the program's defaults write `--lessons` lessons in one round, from
the failures of the draw's own run. Then students learn the seeds with a growing part of the accepted ones, drawn without regard to what
they are for, and the seeds with as many further labelled items. They are examined on training questions that are none of these and not
in `test`: what the recipe is chosen by must not be what it is judged by.

    python tests/bench/amount.py --tasks trec,snips --draws 3 --lessons 480 [--data FOLDER] [--place FOLDER] [--trainings N] [--items N]
        [--only 60,120]

Prints a line for each student, then for each task and number the mean right with lessons and with labels. `--only` names the numbers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from typing import Any

import gain
import numpy as np
from alone import attempts_of, crew_of
from draws import Cell, arguments, cells_of

from loops.run_folder import RunFolder
from loops.settings import RunSettings
from student.records import Lesson, Seed, text_hash

NUMBERS = (0, 30, 60, 120, 240, 480)
"""How many are learned beside the seeds, unless there are fewer or `--only` says otherwise; all that there are, too."""
Key = tuple[str, str, int]
"""Task, `lessons` or `labels`, number of them."""


def written(cell: Cell, lessons: int) -> list[Lesson]:
    """What the defaults make of so many lessons asked for, in another order."""
    tree = {"evals": cell.evals(), "student": {"shots": 0}, "seed": cell.seed,
            "generate": {"lessons": lessons, "per_seed": None}}  # fmt: skip
    folder = cell.run(f"ours-of-{lessons}")
    gain.go(folder, tree, like=cell.run("ours"), failures=True)
    return sorted(gain.lessons_of(folder), key=lambda one: text_hash("amount", one.id))


def parts(taught: Sequence[Lesson], labels: Sequence[Seed], numbers: Sequence[int]) -> Iterator[tuple[str, int]]:
    """What students learn: the seeds alone once, then so many of either, and as many as there are lessons in all."""
    yield "labels", 0
    for number in sorted({*numbers, len(taught)} - {0}):
        if number <= len(taught):
            yield "lessons", number
        if number <= len(labels):
            yield "labels", number


def measured(cell: Cell, lessons: int, numbers: Sequence[int], trainings: int, count: int) -> dict[Key, list[float]]:
    """The share right of every student of one draw."""
    taught, found = written(cell, lessons), defaultdict[Key, list[float]](list)
    most = max(*numbers, len(taught))
    further, evals = cell.further(most + count), cell.opened()
    labels, items = further[:most], further[most:]
    settings = RunSettings.model_validate(gain.merged(gain.SETTINGS, {"evals": cell.evals(), "seed": cell.seed}))
    with crew_of(RunFolder(cell.folder / f"amount-{lessons}-{most}").path, settings, evals) as crew:
        for luck, (what, number) in product(range(trainings), parts(taught, labels, numbers)):
            real = [*evals.seeds, *(labels[:number] if what == "labels" else ())]
            made = taught[:number] if what == "lessons" else ()
            attempts = attempts_of(crew, f"{what}-{number}", real, made, items, "select", luck)
            found[cell.task, what, number].append(sum(one.right for one in attempts) / len(attempts))
            print(json.dumps({"bench": "amount", "task": cell.task, "draw": cell.draw, "training": luck + 1, "what": what,
                              "number": number, "right": gain.points(found[cell.task, what, number][-1])}), flush=True)  # fmt: skip
    evals.close()
    return found


def table(found: Mapping[Key, Sequence[float]]) -> Iterator[dict[str, Any]]:
    """A line for each task, what was learned and how much of it."""
    for (task, what, number), shares in sorted(found.items()):
        right = gain.points(float(np.mean(shares)))
        yield {"bench": "amount", "task": task, "what": what, "number": number, "students": len(shares), "right": right}


def main() -> None:
    """Write and measure what is asked for, then print the table."""
    parser = arguments(trainings=2, items=300)
    parser.add_argument("--lessons", type=int, default=480)
    given = parser.parse_args()
    numbers = [int(number) for number in given.only.split(",")] if given.only else NUMBERS
    every = defaultdict[Key, list[float]](list)
    for task, group in groupby(cells_of(given), lambda cell: cell.task):
        for cell in group:
            if not (cell.run("ours").path / "claim" / "claim.json").exists():
                left = {"task": task, "draw": cell.draw, "left_out": "gain.py has not finished it here"}
                print(json.dumps({"bench": "amount", **left}))
                continue
            for key, shares in measured(cell, given.lessons, numbers, given.trainings, given.items).items():
                every[key] += shares
    for row in table(every):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
