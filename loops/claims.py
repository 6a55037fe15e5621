"""The claim on `test`: what may be said about the best round's student against another, and in which words.

One training of each shows that *this model* is better: exact McNemar test on the items (McNemar 1947). Whether *the lessons*
help is a question about trainings, and one training cannot answer it: another seed moves a small student by points. With
several training seeds the gain is a crossed random effect (every seed meets every item), so its variance has a part of the
seeds and a part of the items. A bootstrap over three to five seeds makes that interval too narrow (docs/evidence.md shows by how
much), so the interval is Student's t with Satterthwaite's degrees of freedom (Satterthwaite 1946).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.stats import t as student_t

from loops.stats import LEVEL, Comparison
from student.records import Attempt, Record


class Gain(Record):
    """A gain over several trainings of both sides."""

    seeds: int
    """Trainings of each side."""
    n: int
    """Items of the test split."""
    gain: float
    """Mean difference in accuracy, -1 to 1."""
    low: float
    """Lower end of the 95 % interval over seeds and items."""
    high: float
    """Upper end."""
    p: float
    """Two-sided p-value of no difference."""
    per_seed: tuple[float, ...]
    """The gain of each pair of trainings."""

    @property
    def shown(self) -> bool:
        """Whether the gain is above zero beyond the doubt of so many seeds and items."""
        return self.low > 0


def gain_over_seeds(pairs: Sequence[tuple[Sequence[Attempt], Sequence[Attempt]]]) -> Gain:
    """The gain of (new, old) attempts, one pair for each training seed, all on the same items.

    Raises ValueError for fewer than two pairs or differing items.
    """
    if len(pairs) < 2:
        raise ValueError("a claim about the lessons needs at least two training seeds")
    rows = [_changes(new, old) for new, old in pairs]
    if any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError("every training seed needs the same items")
    return gain_of_changes([[row[item] for item in sorted(rows[0])] for row in rows])


def gain_of_changes(changes: Sequence[Sequence[int]]) -> Gain:
    """The same of a table of changes, [seeds, items], each -1, 0 or 1."""
    seeds, n = len(changes), len(changes[0])
    per_seed = [sum(row) / n for row in changes]
    per_item = [sum(column) / seeds for column in zip(*changes, strict=True)]
    gain = sum(per_seed) / seeds
    if n < 2:  # of one item nothing is known beyond itself
        return Gain(seeds=seeds, n=n, gain=gain, low=-1.0, high=1.0, p=1.0, per_seed=tuple(per_seed))
    by_seed = _variance(per_seed, gain) / seeds
    by_item = _variance(per_item, gain) / n
    spread = by_seed + by_item
    if spread == 0:  # every pair changed alike on every item: all that is known is the size of the table
        reach = 0.0 if gain else 3.0 / n
        return Gain(seeds=seeds, n=n, gain=gain, low=gain - reach, high=gain + reach, p=1.0 if not gain else 0.0,
                    per_seed=tuple(per_seed))  # fmt: skip
    freedom = spread**2 / (by_seed**2 / (seeds - 1) + by_item**2 / (n - 1))
    reach = float(student_t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(spread)
    p = 2 * float(student_t.sf(abs(gain) / math.sqrt(spread), freedom))
    return Gain(
        seeds=seeds, n=n, gain=round(gain, 6), low=round(max(-1, gain - reach), 6), high=round(min(1, gain + reach), 6),
        p=round(p, 6), per_seed=tuple(round(one, 6) for one in per_seed),
    )  # fmt: skip


def _changes(new: Sequence[Attempt], old: Sequence[Attempt]) -> dict[str, int]:
    before = {one.item_id: one.right for one in old}
    if {one.item_id for one in new} != before.keys():
        raise ValueError("a paired comparison needs the same items on both sides")
    return {one.item_id: int(one.right) - int(before[one.item_id]) for one in new}


def _variance(values: Sequence[float], mean: float) -> float:
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def points(gain: float, low: float, high: float) -> str:
    """A gain with its interval, as a person reads it."""
    return f"{100 * gain:+.1f} points (95 % CI {100 * low:+.1f} to {100 * high:+.1f})"


def model_sentence(
    comparison: Comparison, best: int, against: str = "the seed-only student", chosen_on: str | None = "select"
) -> str:
    """What one training of each side shows: something about this model. `chosen_on`: the items that chose the round, if any did."""
    if best == 0 and chosen_on is None:
        return "Not shown: no teaching round left a lesson, so the seed-only student is kept."
    if best == 0:
        return (
            f"Not shown: no teaching round beat the seed-only student on {chosen_on}, so the seed-only student is kept."
        )
    size = points(comparison.gain, comparison.low, comparison.high)
    facts = (
        f"{size}, n={comparison.n}, {comparison.gained} gained, {comparison.lost} lost, McNemar p={comparison.p:.3f}"
    )
    if comparison.shown:
        return f"Shown on test: the student of round {best} is better than {against}: {facts}."
    return f"Not shown: the student of round {best} against {against} on test: {facts}."


def lessons_sentence(gain: Gain, best: int, against: str = "seeds alone") -> str:
    """What several trainings of each side show: something about the lessons."""
    facts = f"{points(gain.gain, gain.low, gain.high)} over {gain.seeds} training seeds, n={gain.n}, p={gain.p:.3f}"
    if gain.shown:
        return f"Shown on test: the lessons up to round {best} help against {against}: {facts}."
    return f"Not shown: the lessons up to round {best} against {against} on test: {facts}."


def control_sentence(found: Comparison | Gain, against: str) -> str:
    """How the best student did against a control arm; of several trainings, over all of them."""
    size = f"{100 * abs(found.gain):.1f} points (95 % CI {100 * found.low:.1f} to {100 * found.high:.1f})"
    tested = f"{f' over {found.seeds} training seeds' if isinstance(found, Gain) else ''}, p={found.p:.3f}"
    if found.gain > 0:
        return f"Better than {against} by {size}{tested}: {'' if found.shown else 'not '}shown."
    if found.gain == 0:
        return f"No better than {against}: {size}{tested}: not shown."
    return f"Worse than {against} by {size.replace('CI', 'CI of the difference')}{tested}: better is not shown."
