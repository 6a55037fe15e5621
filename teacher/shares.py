"""Share a round's lessons out among weaknesses by expected gain, and keep a part for finding out.

A lesson is expected to help a weakness by its size, times how much there is to win on its ground (headroom), times what
earlier lessons did for it: the share of its failures that had flipped by the next mining, shrunk towards the share over all
weaknesses, since a few flips may be luck. Pure functions of plain records.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from student.records import Attempt, Failure, Seed, Weakness

PRIOR = 4.0
"""How many failures' worth of evidence the overall flip rate counts for."""
BARELY = 0.5
"""What a right answer that was nearly wrong counts for, beside a wrong one."""


@dataclass(frozen=True)
class Terms:
    """How a round's lessons may be shared out."""

    lessons: int
    """How many there are."""
    least: int = 1
    """No weakness gets fewer, unless it gets none: a request's worth."""
    explore: float = 0.0
    """The share, 0 to 1, that is spread evenly."""


@dataclass(frozen=True)
class Past:
    """One earlier round."""

    weaknesses: tuple[Weakness, ...]
    """What was wrong, and how many lessons each got."""
    after: tuple[Attempt, ...]
    """How the seeds were answered when next mined: with those lessons learned."""


def expected_gains(weaknesses: Sequence[Weakness], seeds: Sequence[Seed], past: Sequence[Past]) -> list[float]:
    """What lessons for each weakness may be worth, in failures that would flip; only the proportions matter."""
    weights = {one.seed.id: _weight(one) for weakness in weaknesses for one in weakness.failures}
    rates = flip_rates([weakness.name for weakness in weaknesses], past)
    return [
        sum(map(_weight, weakness.failures)) * headroom(weakness, seeds, weights) * rate
        for weakness, rate in zip(weaknesses, rates, strict=True)
    ]


def _weight(failure: Failure) -> float:
    return BARELY if failure.barely else 1.0


def headroom(weakness: Weakness, seeds: Sequence[Seed], weights: Mapping[str, float]) -> float:
    """The share of the seeds of its label or skill that fail: how much can be won there at most. By Laplace's rule."""
    ground = [one.id for one in seeds if not weakness.skill or weakness.skill in (one.skill, one.answer)]
    ground = ground or [one.seed.id for one in weakness.failures]
    return (sum(weights.get(name, 0.0) for name in ground) + 1) / (len(ground) + 2)


def flip_rates(names: Sequence[str], past: Sequence[Past]) -> list[float]:
    """For each weakness by name, which share of its failures had flipped after lessons; shrunk, never 0 or 1."""
    flipped, tried = Counter[str](), Counter[str]()
    for before in past:
        right = {one.item_id for one in before.after if one.right}
        for weakness in before.weaknesses:
            members = [
                one.seed.id for one in weakness.failures if not one.barely
            ]  # a barely right one has no flip to make
            if weakness.lessons:
                tried[weakness.name] += len(members)
                flipped[weakness.name] += sum(name in right for name in members)
    overall = (flipped.total() + 1) / (tried.total() + 2)
    return [(flipped[name] + PRIOR * overall) / (tried[name] + PRIOR) for name in names]


def lessons_so_far(names: Sequence[str], past: Sequence[Past]) -> list[int]:
    """How many lessons were asked for each weakness, by name, in earlier rounds."""
    asked = Counter[str]()
    for before in past:
        asked.update({weakness.name: weakness.lessons for weakness in before.weaknesses})
    return [asked[name] for name in names]


def give_lessons(
    weaknesses: Sequence[Weakness], gains: Sequence[float], so_far: Sequence[int], terms: Terms
) -> list[Weakness]:
    """The weaknesses with `terms.lessons` shared out among them: a part evenly, the rest by expected gain.

    The even part goes out in requests' worth, first to those that had fewest lessons so far.
    """
    even = int(terms.lessons * terms.explore) // terms.least if weaknesses else 0
    shares = share_out(gains, terms.lessons - even * terms.least, terms.least)
    waiting = sorted(range(len(weaknesses)), key=lambda at: (so_far[at], -gains[at], at))
    for turn in range(even):
        shares[waiting[turn % len(waiting)]] += terms.least
    return [one.model_copy(update={"lessons": share}) for one, share in zip(weaknesses, shares, strict=True)]


def share_out(gains: Sequence[float], total: int, least: int = 1) -> list[int]:
    """`total` split over the largest gains: `least` each while there are enough, the rest in proportion.

    By largest remainder; the smallest get nothing when `total` does not go round.
    """
    shares = [0] * len(gains)
    if not gains or total < 1:
        return shares
    ranked = sorted(range(len(gains)), key=lambda at: (-gains[at], at))
    served = ranked[: max(1, total // max(1, least))]
    floor = min(least, total // len(served))
    left, whole = total - floor * len(served), sum(gains[at] for at in served)
    parts = {at: left * gains[at] / whole if whole else left / len(served) for at in served}
    for at in served:
        shares[at] = floor + int(parts[at])
    by_remainder = sorted(served, key=lambda at: (int(parts[at]) - parts[at], ranked.index(at)))
    for at in by_remainder[: total - sum(shares)]:
        shares[at] += 1
    return shares


def in_turn(weights: Sequence[int], total: int) -> list[int]:
    """`total` given out one by one, always to whom most is owed by weight (above 0), so that a larger total takes nothing back: by the
    divisor method of Sainte-Laguë, which begins anew whenever all have their weight."""
    if not weights:
        return []
    whole, rest = divmod(total, sum(weights))
    given = [0] * len(weights)
    owed = [(1 / weight, at) for at, weight in enumerate(weights)]
    heapq.heapify(owed)
    for _ in range(rest):
        at = owed[0][1]
        given[at] += 1
        heapq.heapreplace(owed, ((2 * given[at] + 1) / weights[at], at))
    return [whole * weight + more for weight, more in zip(weights, given, strict=True)]
