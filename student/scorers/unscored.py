"""How many answers could not be scored in time, by reason: so that a deadline never passes for a wrong answer unnoticed.

In: a reason, from a pattern or from the maths process. Out: the counts of this process, for the run's report.
"""

from __future__ import annotations

from collections import Counter

_COUNTS: Counter[str] = Counter()


def note(reason: str) -> None:
    """Count one answer that got no score: `pattern-deadline`, `math-deadline`, `math-crash`."""
    _COUNTS[reason] += 1


def unscored() -> dict[str, int]:
    """Answers without a score so far in this process, by reason. They are graded as malformed."""
    return dict(_COUNTS)
