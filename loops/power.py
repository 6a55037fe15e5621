"""How small a gain a test split can show: the power of the very test that a claim is made with.

In: how many items, and how often the old student is right. Out: the smallest gain that the exact McNemar test (two-sided,
5 %) finds in 80 % of all draws of so many items, and how many items another gain would take. Exact, by summing over the
number of items on which two students differ (Connor 1987, Biometrics 43:207, before his approximation).

How often two students differ has to be assumed. Students fine-tuned from one base mostly fail on the same items: right and
wrong are taken to correlate with phi = 0.6 (the two students of the demo run in README.md had 0.61). Luck in training comes
on top of all this: it is not in the items, and no number of them removes it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom

from student.records import Record

LEVEL = 0.05
POWER = 0.8
CORRELATION = 0.6
"""Between being right of the two students that are compared, over the items."""
TARGETS = (0.1, 0.05, 0.03, 0.02, 0.01)
"""Gains that are worth naming as a goal."""


class Power(Record):
    """What one number of items can show."""

    n: int
    """Items."""
    baseline: float
    """How often the old student is taken to be right."""
    gain: float | None
    """The smallest gain in accuracy that shows in 80 % of all draws; None when not even a perfect student's would."""
    goal: float | None = None
    """A clearly smaller gain that would be worth showing."""
    more: int | None = None
    """How many items on top of `n` that takes."""


def what_shows(n: int, baseline: float = 0.7) -> Power:
    """What `n` test items can show of a student that is right on `baseline` of them."""
    gain = smallest_gain(n, baseline)
    goal = next((one for one in TARGETS if one <= 0.65 * (gain or 1) and one < 1 - baseline), None)
    needed = items_for(goal, baseline) if goal else None
    return Power(n=n, baseline=baseline, gain=gain, goal=goal, more=_rounded(needed - n) if needed else None)


def power(n: int, baseline: float, gain: float) -> float:
    """The probability, 0 to 1, that a true gain is claimed on `n` items."""
    won, lost = discordance(baseline, gain)
    apart = won + lost
    if n == 0 or apart <= 0:
        return 0.0
    spread = 9 * math.sqrt(n * apart * (1 - apart)) + 9
    differ = np.arange(max(0, int(n * apart - spread)), min(n, int(n * apart + spread)) + 1)
    # One-sided at half the level is two-sided at the level: the binomial with 1/2 is symmetric. `isf` may be one off.
    least = binom.isf(LEVEL / 2, differ, 0.5) + 1
    least += binom.sf(least - 1, differ, 0.5) >= LEVEL / 2
    return float(np.sum(binom.pmf(differ, n, apart) * binom.sf(least - 1, differ, won / apart)))


def discordance(baseline: float, gain: float) -> tuple[float, float]:
    """The shares of items that only the new student, and only the old one, has right."""
    new = baseline + gain
    common = CORRELATION * math.sqrt(baseline * (1 - baseline) * new * (1 - new)) if 0 < new < 1 else 0.0
    lost = max(0.0, baseline * (1 - new) - common)
    return lost + gain, lost


def smallest_gain(n: int, baseline: float) -> float | None:
    """The smallest gain that shows in 80 % of all draws, to a tenth of a point."""
    low, high = 0, math.floor(1000 * (1 - baseline) + 1e-9)
    if power(n, baseline, high / 1000) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(n, baseline, middle / 1000) >= POWER else (middle, high)
    return high / 1000


def items_for(gain: float, baseline: float) -> int:
    """How many items it takes to show `gain`. Power saws up and down with n: the first n that is enough for good is near."""
    high = 16
    while power(high, baseline, gain) < POWER:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, baseline, gain) >= POWER else (middle, high)
    return high


def _rounded(count: int) -> int:
    """Up to two leading digits: nobody counts 403 items out."""
    step = 10 ** max(0, len(str(max(1, count))) - 2)
    return math.ceil(max(0, count) / step) * step
