"""Group the student's failures into named weaknesses and share the round's lessons out among them.

With fixed labels a weakness is a confusion: items of one label taken for another. With written answers it is a skill.
Lessons go to weaknesses in proportion to their size, at least one to each while there are enough, so that rare mistakes
are explored too. Truncated and malformed answers are counted but not taught: they are a matter of length and format.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from student.records import Failure, Weakness

MOST = 24
"""Weaknesses beyond this many are merged into their label's or skill's own group."""


def diagnose(failures: Sequence[Failure], round_number: int, lessons: int) -> list[Weakness]:
    """Weaknesses, largest first, with `lessons` candidates shared out among them."""
    groups = _groups(failures)
    shares = share_out([len(group) for group in groups.values()], lessons)
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


def share_out(sizes: Sequence[int], total: int) -> list[int]:
    """`total` split in proportion to `sizes` by largest remainder, one each first while there are enough."""
    if not sizes:
        return []
    floor = 1 if total >= len(sizes) else 0
    left = total - floor * len(sizes)
    whole = sum(sizes)
    exact = [left * size / whole for size in sizes]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda at: (shares[at] - exact[at], at))
    for at in by_remainder[: left - sum(shares)]:
        shares[at] += 1
    return [floor + share for share in shares]
