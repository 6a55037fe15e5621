"""The doubt that goes with every number: intervals and paired tests.

Accuracies carry a 95 % Wilson interval (Wilson 1927). Two students are compared on the same items only: exact McNemar
test on right/wrong (McNemar 1947; the binomial form), and the interval of Bonett and Price (2012) for the size of the gain, which with
few changed items agrees with that test where a percentile bootstrap says something else (5 gained and none lost: p = 0.06).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import binomtest, norm

from student.records import Attempt, Record

LEVEL = 0.95


class Score(Record):
    """How one student did on one split."""

    n: int
    """Items examined."""
    right: int
    """Answered right."""
    truncated: int = 0
    """Cut at the token limit."""
    malformed: int = 0
    """Held no answer of the expected form."""
    low: float
    """Lower end of the 95 % Wilson interval of the accuracy."""
    high: float
    """Upper end."""

    @property
    def accuracy(self) -> float:
        return self.right / self.n if self.n else 0.0


class Comparison(Record):
    """One student against another on the same items."""

    n: int
    """Items both answered."""
    gain: float
    """Difference in accuracy, -1 to 1."""
    low: float
    """Lower end of the 95 % interval of the gain (`paired_bounds`)."""
    high: float
    """Upper end."""
    gained: int
    """Items only the new student has right."""
    lost: int
    """Items only the old student has right."""
    p: float
    """Exact two-sided McNemar test of no difference."""

    @property
    def shown(self) -> bool:
        """Whether the new student is better beyond the doubt of this many items."""
        return self.gain > 0 and self.p < 1 - LEVEL


def score(attempts: Sequence[Attempt]) -> Score:
    """Counts with their interval."""
    n, right = len(attempts), sum(one.right for one in attempts)
    low, high = wilson(right, n)
    return Score(
        n=n, right=right, low=low, high=high,
        truncated=sum(one.outcome == "truncated" for one in attempts),
        malformed=sum(one.outcome == "malformed" for one in attempts),
    )  # fmt: skip


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a proportion; the whole range when nothing was examined."""
    if n == 0:
        return 0.0, 1.0
    interval = binomtest(right, n).proportion_ci(confidence_level=LEVEL, method="wilson")
    return round(float(interval.low), 6), round(float(interval.high), 6)


def compare(new: Sequence[Attempt], old: Sequence[Attempt]) -> Comparison:
    """Paired comparison on the items both were asked. Raises ValueError when they were asked different items."""
    before = {one.item_id: one.right for one in old}
    if {one.item_id for one in new} != before.keys():
        raise ValueError("a paired comparison needs the same items on both sides")
    changes = [int(one.right) - int(before[one.item_id]) for one in new]
    gained, lost = changes.count(1), changes.count(-1)
    _, p = compare_counts(gained, lost, len(changes))
    low, high = paired_bounds(gained, lost, len(changes))
    gain = sum(changes) / len(changes)
    return Comparison(
        n=len(changes), gain=round(gain, 6), low=round(low, 6), high=round(high, 6), gained=gained, lost=lost, p=round(p, 6)
    )  # fmt: skip


def compare_counts(gained: int, lost: int, n: int) -> tuple[float, float]:
    """The gain, -1 to 1, and the exact two-sided McNemar p-value of so many items gained and lost among n."""
    p = float(binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0
    return (gained - lost) / n, p


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for how many there are, in their order: Holm (1979). One alone stays as it is."""
    ranked = sorted(range(len(values)), key=lambda at: values[at])
    corrected, floor = [0.0] * len(values), 0.0
    for rank, at in enumerate(ranked):
        floor = max(floor, min(1.0, values[at] * (len(values) - rank)))
        corrected[at] = floor
    return corrected


def paired_bounds(gained: int, lost: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """An interval of a paired difference of proportions that stays honest on few items: Bonett and Price (2012).

    Wald's interval with one item added to either discordant cell and two to the total; the whole range for no items.
    """
    if n == 0:
        return -1.0, 1.0
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    reach = float(norm.ppf((1 + level) / 2)) * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return max(-1.0, up - down - reach), min(1.0, up - down + reach)
