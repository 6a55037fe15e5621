"""Keep any one label or skill from taking over what the student is trained on.

Lessons are aimed, so a weak label gets more than its share on purpose; but a student that hears little else begins to answer it
everywhere. What counts is seeds and lessons together, as they are trained on. The least believed lessons go first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from student.records import Candidate, Lesson, Seed, Verdict
from teacher.verdicts import reject

Item = Seed | Lesson | Candidate
Group = Callable[[Item], Hashable]


def balance(
    candidates: Sequence[Candidate], verdicts: Sequence[Verdict], seeds: Sequence[Seed], earlier: Sequence[Lesson],
    most: float,
) -> list[Verdict]:  # fmt: skip
    """The verdicts, with the surplus of each label and skill rejected for `balance`.

    A label's share is that of the seeds, or an even share where that is larger. Seeds and lessons of one label together may be
    at most `most` times that share of all seeds and lessons.
    """
    final, before = list(verdicts), list[Verdict]()
    while final != before:  # what goes for its skill may leave a label with too large a share
        before = final
        for group in _groupings(seeds):
            final = _trimmed(candidates, final, [*seeds, *earlier], _caps(seeds, group, most), group)
    return final


def _groupings(seeds: Sequence[Seed]) -> list[Group]:
    """By label where all seeds have the same choices; by skill where there are several and they are not the labels."""
    found: list[Group] = []
    labelled = bool(seeds) and bool(seeds[0].choices) and all(seed.choices == seeds[0].choices for seed in seeds)
    if labelled:
        found.append(lambda one: one.answer)
    if len({seed.skill for seed in seeds}) > 1 and not (labelled and all(seed.skill == seed.answer for seed in seeds)):
        found.append(lambda one: one.skill)
    return found


def _caps(seeds: Sequence[Seed], group: Group, most: float) -> dict[Hashable, float]:
    """The share of all rows that each label or skill may have; what no seed has is not capped."""
    counts = Counter(group(seed) for seed in seeds)
    return {name: most * max(count / len(seeds), 1 / len(counts)) for name, count in counts.items()}


def _trimmed(
    candidates: Sequence[Candidate], verdicts: Sequence[Verdict], before: Sequence[Item], caps: dict[Hashable, float],
    group: Group,
) -> list[Verdict]:  # fmt: skip
    kept = [at for at, verdict in enumerate(verdicts) if verdict.accepted]
    believed = sorted(kept, key=lambda at: (-(verdicts[at].belief or 0.0), at))
    surplus, rows = dict[int, int](), -1
    while rows != len(before) + len(kept) - len(surplus):  # with each that goes there are fewer rows to have a share of
        rows = len(before) + len(kept) - len(surplus)
        surplus, taken = dict[int, int](), Counter(group(one) for one in before)
        for at in believed:
            name = group(candidates[at])
            if name in caps and taken[name] + 1 > caps[name] * rows:
                surplus[at] = taken[name]
            else:
                taken[name] += 1
    final = list(verdicts)
    for at, count in surplus.items():
        name = group(candidates[at])
        detail = f"{name} has {count} of {rows} rows, and no more than {caps[name]:.0%} are good for the others"
        final[at] = reject(candidates[at], "balance", detail, verdicts[at])
    return final
