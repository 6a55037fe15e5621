"""Group the student's failures into named weaknesses and share the round's lessons out among them.

With fixed labels a weakness is a confusion: items of one label taken for another. With written answers it is a skill.
Lessons go to the largest weaknesses in proportion to their size, at least a request's worth to each; the rest are listed
with none and come up again in the next round if they last. Truncated and malformed answers are counted but not taught:
they are a matter of length and format.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from student.records import Failure, Weakness

MOST = 24
"""Weaknesses beyond this many are merged into their label's or skill's own group."""


def diagnose(failures: Sequence[Failure], round_number: int, lessons: int, least: int = 1) -> list[Weakness]:
    """Weaknesses, largest first, with `lessons` candidates shared out among them, `least` or none to each."""
    groups = _groups(failures)
    shares = share_out([len(group) for group in groups.values()], lessons, least)
    return [
        Weakness(id=f"{round_number:03d}-{number:02d}", name=name, failures=tuple(group), lessons=share)
        for number, ((name, group), share) in enumerate(zip(groups.items(), shares, strict=True), 1)
    ]


def _groups(failures: Sequence[Failure]) -> dict[str, list[Failure]]:
    groups: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        groups[_name(failure)].append(failure)
    if len(groups) > MOST:
        groups = defaultdict(list)
        for failure in failures:
            groups[f"{failure.seed.skill or 'anything'} missed"].append(failure)
    ranked = sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return dict(ranked)


def _name(failure: Failure) -> str:
    if failure.seed.choices:
        return f"{failure.seed.answer} taken for {failure.wrong_answer}"
    return f"{failure.seed.skill or 'answers'} wrong"


def share_out(sizes: Sequence[int], total: int, least: int = 1) -> list[int]:
    """`total` split over the largest sizes: `least` each while there are enough, the rest in proportion.

    By largest remainder; the smallest get nothing when `total` does not go round.
    """
    shares = [0] * len(sizes)
    if not sizes or total < 1:
        return shares
    ranked = sorted(range(len(sizes)), key=lambda at: (-sizes[at], at))
    served = ranked[: max(1, total // max(1, least))]
    floor = min(least, total // len(served))
    left, whole = total - floor * len(served), sum(sizes[at] for at in served)
    for at in served:
        shares[at] = floor + left * sizes[at] // whole
    by_remainder = sorted(served, key=lambda at: (-(left * sizes[at] % whole), ranked.index(at)))
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    return shares
