"""Small plots made of characters: intervals on an axis, differences around zero, and bars as long as a number.

Numbers in, one line of text out, as wide as there is room; nothing is told by colour alone. Where the terminal has no Unicode, and
in a pipe that cannot encode it, the same is drawn with ASCII. The renderables draw themselves as wide as their column.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment

from agent.viewed import Score

Ends = tuple[float, float]
"""Where an axis begins and ends."""


class Measured(Protocol):
    """An accuracy with its interval, 0 to 1."""

    @property
    def low(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def high(self) -> float: ...


class Differs(Protocol):
    """A difference with its interval, -1 to 1."""

    @property
    def low(self) -> float: ...
    @property
    def gain(self) -> float: ...
    @property
    def high(self) -> float: ...


@dataclass(frozen=True)
class Glyphs:
    """The characters drawings are made of."""

    low: str = "├"
    """Lower end of an interval."""
    high: str = "┤"
    """Upper end of an interval."""
    line: str = "─"
    """Between the ends, and the unfilled part of a bar."""
    point: str = "●"
    """The measured value."""
    below: str = "◂"
    """An interval that goes on to the left of the axis."""
    above: str = "▸"
    """An interval that goes on to the right of the axis."""
    full: str = "━"
    """The filled part of a bar."""
    done: str = "✓"
    """A finished verb."""
    now: str = "▶"
    """The running verb."""
    wait: str = "·"
    """A verb that is still ahead."""
    taught: str = "←"
    """student <- teacher."""
    dot: str = " · "
    """Between the members of a list."""
    more: str = "…"
    """Where something was cut."""
    zero: str = "┊"
    """Where a difference is nothing."""
    sparks: str = "▁▂▃▄▅▆▇█"
    """Levels of a curve, from low to high."""


UNICODE = Glyphs()
ASCII = Glyphs("|", "|", "-", "o", "<", ">", "#", "ok", ">", ".", "<-", ", ", "..", ":", "_.-=^")


def glyphs_for(encoding: str) -> Glyphs:
    """Unicode drawings where the terminal can show them."""
    return UNICODE if encoding.lower().replace("-", "").startswith("utf") else ASCII


def axis(scores: Iterable[Score]) -> Ends:
    """`span` of every trained student.

    Untouched students are often far below and would squeeze what is to be compared; they count until one is trained.
    """
    rows = list(scores)
    return span([score for score in rows if score.role in ("seed-only", "round")] or rows)


def span(rows: Sequence[Measured]) -> Ends:
    """The stretch of 0..1 that holds every interval, widened to whole tenths."""
    low = math.floor(10 * min((one.low for one in rows), default=0.0)) / 10
    high = math.ceil(10 * max((one.high for one in rows), default=1.0)) / 10
    return (low, high) if high - low >= 0.2 else (max(0.0, low - 0.1), min(1.0, high + 0.1))


def around_zero(rows: Sequence[Differs]) -> Ends:
    """The stretch of -1..1, with zero in its middle, that holds every interval, widened to whole twentieths."""
    reach = max((max(abs(one.low), abs(one.high)) for one in rows), default=0.0)
    reach = max(0.05, math.ceil(20 * reach - 1e-9) / 20)
    return -reach, reach


def interval_bar(score: Measured, width: int, ends: Ends, glyphs: Glyphs = UNICODE) -> str:
    """A dot with whiskers, `width` cells wide, drawn on the axis from `ends[0]` to `ends[1]`; an arrow where it ends
    outside."""
    return _whiskers((score.low, score.accuracy, score.high), width, ends, glyphs)


def gain_bar(gain: Differs, width: int, ends: Ends, glyphs: Glyphs = UNICODE) -> str:
    """The same of a difference, with a mark at zero."""
    return _whiskers((gain.low, gain.gain, gain.high), width, ends, glyphs, zero=True)


def _whiskers(values: tuple[float, float, float], width: int, ends: Ends, glyphs: Glyphs, zero: bool = False) -> str:
    if width < 3:
        return ""
    none, low, middle, high = (
        round((value - ends[0]) / (ends[1] - ends[0]) * (width - 1)) for value in (0.0, *values)
    )  # fmt: skip
    drawn = dict.fromkeys(range(low, high + 1), glyphs.line)
    drawn |= {none: glyphs.zero} if zero else {}
    drawn |= {low: glyphs.low, high: glyphs.high, middle: glyphs.point}
    cells = [drawn.get(at, " ") for at in range(width)]
    cells[0] = glyphs.below if low < 0 else cells[0]
    cells[-1] = glyphs.above if high >= width else cells[-1]
    return "".join(cells)


def length_bar(value: float, most: float, width: int, glyphs: Glyphs = UNICODE) -> str:
    """A bar that fills the width at `most`; what is more than nothing is never drawn as nothing."""
    if width < 1 or most <= 0 or value <= 0:
        return ""
    return glyphs.full * max(1, min(width, round(width * value / most)))


def axis_labels(width: int, ends: Ends) -> str:
    """The two ends of an axis, written below or above its bars."""
    left, right = (f"{100 * end:{'+' if ends[0] < 0 else ''}.0f}{'' if ends[0] < 0 else ' %'}" for end in ends)
    return left + right.rjust(width - len(left)) if width > len(left) + len(right) else ""


@dataclass(frozen=True)
class AxisLabels:
    """`axis_labels` as wide as its column: the header above a column of bars."""

    ends: Ends
    """The axis the bars share."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(axis_labels(options.max_width, self.ends), console.get_style("dim"))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return _wide(options, least=15)


@dataclass(frozen=True)
class IntervalBar:
    """`interval_bar` as wide as its column."""

    score: Measured
    """What is drawn."""
    ends: Ends
    """The axis all bars of a table share."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(interval_bar(self.score, options.max_width, self.ends, glyphs_for(options.encoding)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return _wide(options)


@dataclass(frozen=True)
class GainBar:
    """`gain_bar` as wide as its column."""

    gain: Differs
    """What is drawn."""
    ends: Ends
    """The axis all bars of a table share."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(gain_bar(self.gain, options.max_width, self.ends, glyphs_for(options.encoding)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return _wide(options)


@dataclass(frozen=True)
class LengthBar:
    """`length_bar` as wide as its column."""

    value: float
    """What is drawn."""
    most: float
    """What fills the column."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(length_bar(self.value, self.most, options.max_width, glyphs_for(options.encoding)))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return _wide(options)


def _wide(options: ConsoleOptions, least: int = 8) -> Measurement:
    return Measurement(min(least, options.max_width), min(40, options.max_width))
