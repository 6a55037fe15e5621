"""How a student is to be trained: one change of the settings at a time, over many draws of the seeds and many trainings. Resumable.

No teacher and no lessons: for every draw a student learns the seeds alone, and the seeds with as many further labelled items as a run
would accept lessons, and is examined on training items that are neither. `test` is not opened. What is best here is the default, for
every arm alike (docs/evidence.md).

    python tests/bench/training.py --tasks trec,snips --draws 1,2,3 --trainings 2 [--data FOLDER] [--place FOLDER] [--items N]
        [--only "NAME;NAME"] [--table]

Prints a line for each student, then for each task and way of training the mean over draws and trainings, how far it is from the first
way of the list on the same draws, and how far one training is from the next (standard deviation within a draw). `--table` prints those
alone, of what is there already. On a GPU it takes seconds a student, on one core minutes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import gain
import numpy as np
from alone import attempts_of, crew_of
from draws import Cell, arguments, cells_of

from loops.settings import RunSettings
from student.records import Attempt, read_records

FURTHER = {"trec": 79, "snips": 77, "sst2": 40}
"""Further labelled items that are learned beside the seeds: as many as the first draw's lessons."""
APART = 200
"""Items are asked that come after so many, among which those are."""


def way(steps: int, rate: float, smoothing: float, **lora: Any) -> dict[str, Any]:
    """One way of training."""
    train = {"min_steps": steps, "learning_rate": rate, "smoothing": smoothing}
    return {"train": train, "student": {"lora": {"layers": 0.34, **lora}}}


WAYS = {
    "60 steps at 0.004": way(60, 4e-3, 0.0),
    "120 steps at 0.004": way(120, 4e-3, 0.0),
    "120 steps at 0.002": way(120, 2e-3, 0.0),
    "240 steps at 0.001": way(240, 1e-3, 0.0),
    "smoothed": way(60, 4e-3, 0.1),
    "smoothed, 120 steps at 0.002": way(120, 2e-3, 0.1),
    "smoothed, 120 steps at 0.004": way(120, 4e-3, 0.1),
    "smoothed, 240 steps at 0.001": way(240, 1e-3, 0.1),
    "smoothed, 120 steps at 0.002, rank 64": way(120, 2e-3, 0.1, rank=64, alpha=128),
    "smoothed, 120 steps at 0.002, half of the layers": way(120, 2e-3, 0.1, layers=0.5),
}
"""Every way of training by name; the first is what the others are compared with."""
Key = tuple[str, str, str, int]
"""Task, way, what is learned, draw."""


def settings_of(cell: Cell, name: str) -> RunSettings:
    """The defaults but for the way of training."""
    tree = gain.merged({"evals": cell.evals(), "seed": cell.seed}, WAYS[name])
    return RunSettings.model_validate(gain.merged(gain.SETTINGS, tree))


def measured(cell: Cell, names: Sequence[str], trainings: int, count: int) -> None:
    """Train and examine every student of one draw that is not there yet."""
    further, evals = cell.further(APART + count), cell.opened()
    learned = {"seeds": evals.seeds, "seeds and labels": [*evals.seeds, *further[: FURTHER[cell.task]]]}
    for name in names:
        with crew_of(cell.folder / "training" / folder_name(name), settings_of(cell, name), evals) as crew:
            for (what, rows), luck in product(learned.items(), range(trainings)):
                right = share(attempts_of(crew, folder_name(what), rows, [], further[APART:], "select", luck))
                print(json.dumps({"bench": "training", "task": cell.task, "draw": cell.draw, "way": name, "learned": what,
                                  "training": luck + 1, "right": gain.points(right)}), flush=True)  # fmt: skip
    evals.close()


def folder_name(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")


def share(attempts: Sequence[Attempt]) -> float:
    return sum(one.right for one in attempts) / len(attempts)


def found_in(cells: Sequence[Cell], trainings: int, count: int) -> dict[Key, list[float]]:
    """The share right of every training that is there: of the first `trainings`, and on `count` items."""
    found: dict[Key, list[float]] = defaultdict(list)
    for cell, name, what in product(cells, WAYS, ("seeds", "seeds and labels")):
        folder = cell.folder / "training" / folder_name(name)
        for luck in range(trainings):
            file = folder / f"attempts.{folder_name(what)}-{luck + 1}.select.jsonl"
            attempts = read_records(file, Attempt) if file.exists() else []
            if len(attempts) == count:
                found[cell.task, name, what, cell.draw].append(share(attempts))
    return found


def rows_of(found: Mapping[Key, list[float]], task: str, what: str) -> list[dict[str, Any]]:
    """The table's rows for one task and what is learned: each way on the draws that it and the first way have."""
    first, rows = next(iter(WAYS)), list[dict[str, Any]]()
    for name in WAYS:
        both = [(one, found[task, first, what, draw]) for (a, b, c, draw), one in found.items()
                if (a, b, c) == (task, name, what) and (task, first, what, draw) in found]  # fmt: skip
        if both:
            apart = [float(np.mean(one) - np.mean(other)) for one, other in both]
            within = [float(np.var(one, ddof=1)) for one, _ in both if len(one) > 1]
            rows.append({"way": name, "students": sum(len(one) for one, _ in both),
                         "right": gain.points(float(np.mean([np.mean(one) for one, _ in both]))),
                         "against_first": gain.points(float(np.mean(apart))),
                         "luck": gain.points(float(np.sqrt(np.mean(within)))) if within else None})  # fmt: skip
    return rows


def main() -> None:
    """Measure what is asked for, then print the tables."""
    parser = arguments(trainings=2, items=220)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    names = given.only.split(";") if given.only else list(WAYS)
    if unknown := set(names) - set(WAYS):
        raise SystemExit(f"--only {sorted(unknown)} is no way of training here. There are: {'; '.join(WAYS)}.")
    cells = cells_of(given)
    for cell in () if given.table else cells:
        measured(cell, names, given.trainings, given.items)
    found = found_in(cells, given.trainings, given.items)
    for task, what in product(dict.fromkeys(cell.task for cell in cells), ("seeds", "seeds and labels")):
        for row in rows_of(found, task, what):
            print(json.dumps({"bench": "training", "task": task, "learned": what, **row}), flush=True)


if __name__ == "__main__":
    main()
