"""What aim can bring at best: real labelled items chosen by what a student of the seeds makes of them, against any. Resumable.

No teacher and no lessons. For every draw a student learns the seeds and is asked `POOL` further labelled items. Then students learn the
seeds and as many of these as `TAKE` says, and are examined on training items that are none of them and not in `test`:

- any: the first ones;
- any, level: the first ones of each label, by its share of the seeds;
- hardest, unsure: those whose right label lies farthest behind the best other one, or nearest to it, by the student's scores;
- half failed: as many that it has wrong as that it has right;
- half failed, level: the same within each label, and of every label its share of the seeds.

    python tests/bench/aim.py --tasks trec --draws 3,4,5 [--data FOLDER] [--place FOLDER] [--trainings N] [--items N] [--only NAME;NAME]

Prints a line for each student, then for each task and choice the mean right and how far it is from any in each draw.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, groupby, product, zip_longest

import gain
import numpy as np
from alone import attempts_of, crew_of
from draws import Cell, arguments, cells_of

from loops.settings import RunSettings
from student.records import Attempt, Seed
from teacher.shares import share_out

POOL = 400
"""Items that are chosen from."""
TAKE = 90
"""Items that are learned: about as many as a run has lessons."""


def choices_of(
    pool: Sequence[Seed], said: Mapping[str, Attempt], seeds: Sequence[Seed], take: int
) -> dict[str, list[Seed]]:
    """The items of each choice. `said`: what the student of the seeds answered, by item."""

    def lead(one: Seed) -> float:
        return said[one.id].margin or 0.0

    def half(items: Sequence[Seed]) -> list[Seed]:
        """Wrong and right ones in turn, as long as there are both."""
        parts = [[one for one in items if said[one.id].right == right] for right in (False, True)]
        return [one for one in chain(*zip_longest(*parts)) if one is not None]

    def level(order: Sequence[Seed]) -> list[Seed]:
        """The first ones of each label, by its share of the seeds."""
        labels = Counter(one.answer for one in seeds)
        shares = dict(zip(labels, share_out([*labels.values()], take, least=0), strict=True))
        return [
            one for label, share in shares.items() for one in [each for each in order if each.answer == label][:share]
        ]

    of_label = [[one for one in pool if one.answer == label] for label in dict.fromkeys(one.answer for one in pool)]
    return {
        "any": list(pool[:take]),
        "any, level": level(pool),
        "hardest": sorted(pool, key=lead)[:take],
        "unsure": sorted(pool, key=lambda one: abs(lead(one)))[:take],
        "half failed": half(pool)[:take],
        "half failed, level": level([one for items in of_label for one in half(items)]),
    }


def measured(cell: Cell, names: Sequence[str], trainings: int, count: int) -> dict[str, list[float]]:
    """The share right of every training of every choice of one draw."""
    further, evals, found = cell.further(POOL + count), cell.opened(), dict[str, list[float]]()
    pool, items = further[:POOL], further[POOL:]
    settings = RunSettings.model_validate(gain.merged(gain.SETTINGS, {"evals": cell.evals(), "seed": cell.seed}))
    with crew_of(cell.folder / f"aim-{POOL}-{count}", settings, evals) as crew:
        said = {one.item_id: one for one in attempts_of(crew, "pool", evals.seeds, [], pool, "mine", 0)}
        every = choices_of(pool, said, evals.seeds, TAKE)
        if unknown := set(names) - every.keys():
            raise SystemExit(f"--only {sorted(unknown)} is no choice here. There are: {'; '.join(every)}.")
        for luck, (name, chosen) in product(range(trainings), every.items()):
            if not names or name in names:
                folder = name.replace(" ", "-").replace(",", "")
                attempts = attempts_of(crew, folder, [*evals.seeds, *chosen], [], items, "select", luck)
                found.setdefault(name, []).append(sum(one.right for one in attempts) / len(attempts))
                failed = gain.points(float(np.mean([not said[one.id].right for one in chosen])))
                print(json.dumps({"bench": "aim", "task": cell.task, "draw": cell.draw, "training": luck + 1, "choice": name,
                                  "failed": failed, "right": gain.points(found[name][-1])}), flush=True)  # fmt: skip
    evals.close()
    return found


def main() -> None:
    """Measure what is asked for, then print the table."""
    given = arguments(trainings=1, items=400).parse_args()
    names = given.only.split(";") if given.only else []
    for task, group in groupby(cells_of(given), lambda cell: cell.task):
        found = [measured(cell, names, given.trainings, given.items) for cell in group]
        for name in found[0]:
            apart = [gain.points(float(np.mean(one[name]) - np.mean(one["any"]))) for one in found if "any" in one]
            right = gain.points(float(np.mean([share for one in found for share in one[name]])))
            print(json.dumps({"bench": "aim", "task": task, "choice": name, "right": right, "against_any": apart}))


if __name__ == "__main__":
    main()
