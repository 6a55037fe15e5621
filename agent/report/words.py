"""Numbers as a report writes them: every accuracy with its n and interval, every difference with its sign, never a bare zero for
what nobody knows.
"""

from __future__ import annotations

from datetime import UTC, datetime

from agent.report.facts import Change, Strategy
from agent.tables import UNKNOWN, amount, duration, percent
from loops.stats import Score

NOTHING = "–"
"""Where a table has nothing to say."""
CI = "(95\u00a0%)"
"""What the brackets behind a number hold."""


def right(score: Score | None) -> str:
    """`13 of 24`."""
    return f"{score.right:,} of {score.n:,}" if score else NOTHING


def accuracy(score: Score | None) -> str:
    """`54.2 % (35.1 to 72.1)`."""
    return f"{percent(score.accuracy)} ({100 * score.low:.1f} to {100 * score.high:.1f})" if score else NOTHING


def points(gain: float, low: float, high: float) -> str:
    """`+11.2 (+6.0 to +16.0)`, in points of accuracy."""
    return f"{100 * gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def difference(change: Change | None) -> str:
    """The same of a paired change."""
    return points(change.gain, change.low, change.high) if change else NOTHING


def significance(p: float) -> str:
    """`p 0.031`, or that it is tiny."""
    return f"p {p:.3f}" if p >= 0.001 else "p below 0.001"


def share(part: int, whole: int) -> str:
    """`12 of 30`; nothing of none."""
    return f"{part:,} of {whole:,}" if whole else NOTHING


def more(noun: str, nouns: str, count: int, listed: int) -> str:
    """How many are not shown; nothing where all are."""
    left = count - listed
    return f"{left:,} more {noun if left == 1 else nouns} not shown." if left > 0 else ""


def count(value: float | None) -> str:
    """A number, or `unknown`."""
    return amount(value)


def rounded(value: float | None) -> str:
    """A quotient: whole from 10 on, three figures below."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.3g}"


def seconds(value: float | None) -> str:
    """A length of time; fractions where it is short."""
    if value is None:
        return UNKNOWN
    return f"{value:.1f} s" if value < 60 else duration(value)


def for_each(one: Strategy) -> tuple[str, str, str]:
    """Tokens, money and time for each accepted lesson; nothing where none was, or no teacher was asked."""
    if one.spent is None or not one.accepted:
        return NOTHING, NOTHING, NOTHING
    return rounded(one.tokens_each), rounded(one.money_each), seconds(one.seconds_each)


def date(when: float | None) -> str:
    """`2026-11-21 14:54 UTC`: a page is read in more than one time zone."""
    if not when:
        return UNKNOWN
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M UTC")
