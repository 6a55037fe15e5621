"""The parts charts are made of: a scale, and dots, whiskers, words and axes as SVG text.

Everything is 360 units wide with letters of 12, so it can be read on a telephone. Colours come from the page's style sheet by
class, so they follow its light and dark. Labels are data: they are cut short, cleaned and escaped here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agent.safe import clip, safe

WIDTH = 360
ROW = 40
"""Height of one row of dots or bars: a line of text, and the drawing below it."""
_LETTER = 6.4
"""Width of a letter of size 12, about."""


@dataclass(frozen=True)
class Scale:
    """From a value to a place."""

    low: float
    """The least value."""
    high: float
    """The greatest value."""
    start: float
    """Where the least lies."""
    end: float
    """Where the greatest lies."""

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Round values to write at the axis."""
        spread = self.high - self.low
        step = 0.1 if spread <= 0.6 else 0.2 if spread <= 1.2 else 0.5
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(step * number, 1) for number in range(first, last + 1)]


def around(values: Iterable[float], least: float, most: float) -> tuple[float, float]:
    """The whole tenths around all values, never less than two tenths apart, within `least` and `most`."""
    known = list(values)
    low, high = math.floor(10 * min(known) + 1e-9) / 10, math.ceil(10 * max(known) - 1e-9) / 10
    if high - low < 0.2:
        low, high = low - 0.1, high + 0.1
    return max(least, low), min(most, high)


@dataclass(frozen=True)
class Picture:
    """A drawing, and what it is called."""

    title: str
    """What it shows and how to read it."""
    svg: Markup
    """The drawing."""


def picture(id: str, title: str, said: str, height: float, parts: Sequence[Markup]) -> Picture:
    """A whole drawing, with its title and description for those who do not see it."""
    drawn = Markup(
        '<svg role="img" aria-labelledby="{0}-t {0}-d" viewBox="0 0 {1} {2}"><title id="{0}-t">{3}</title>'
        '<desc id="{0}-d">{4}</desc>{5}</svg>'
    ).format(id, WIDTH, round(height), title, safe(said), Markup("").join(parts))
    return Picture(title, drawn)


def words(x: float, y: float, text: str, anchor: str = "start", style: str = "ink") -> Markup:
    """A piece of text on one line."""
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(style, x, y, anchor, safe(text))


def row_words(label: str, text: str, y: float) -> Markup:
    """The line of text above a row's drawing: its label, as much as fits, and its value."""
    room = int(WIDTH / _LETTER - len(text) - 1)
    return words(0, y - 12, clip(safe(label), max(8, room))) + words(WIDTH, y - 12, text, "end", "soft")


def segment(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """A straight line."""
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(style, x1, y1, x2, y2)


def box(style: str, x: float, y: float, width: float, height: float = 10) -> Markup:
    """A filled rectangle."""
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        style, x, y, round(width, 1), height
    )


def points(style: str, places: Iterable[tuple[float, float]], closed: bool = False) -> Markup:
    """A line through points, or the area within them."""
    text = " ".join(f"{x},{y}" for x, y in places)
    return Markup('<{0} class="{1}" points="{2}"/>').format("polygon" if closed else "polyline", style, text)


def dot(x: float, y: float, strong: bool) -> Markup:
    """A value: a ring, or a filled diamond for one that stands out."""
    if strong:
        return points("dot strong", [(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)], closed=True)
    return Markup('<circle class="dot" cx="{}" cy="{}" r="4.5"/>').format(x, y)


def whiskers(x1: float, y1: float, x2: float, y2: float) -> Markup:
    """An interval, upright or lying, with a bar across each end."""
    dx, dy = (4.0, 0.0) if x1 == x2 else (0.0, 4.0)
    ends = [segment("whisker", x - dx, y - dy, x + dx, y + dy) for x, y in ((x1, y1), (x2, y2))]
    return segment("whisker", x1, y1, x2, y2) + Markup("").join(ends)


def side_axis(scale: Scale, left: float, right: float) -> Markup:
    """Percentages at the left, with a fine line across for each."""
    return Markup("").join(
        segment("grid", left, scale(tick), right, scale(tick))
        + words(
            left - 6, scale(tick) + 4, f"{100 * tick:.0f}{' %' if tick == scale.ticks()[-1] else ''}", "end", "soft"
        )
        for tick in scale.ticks()
    )


def foot_axis(scale: Scale, rows: Sequence[float], bottom: float, signed: bool) -> Markup:
    """Percentages, or points with their sign, at the foot, and a short fine line for each in every row, clear of the words."""
    parts: list[Markup] = []
    for tick in scale.ticks():
        x, text = scale(tick), f"{100 * tick:+.0f}" if signed and tick else f"{100 * tick:.0f}"
        style = "zero" if signed and not tick else "grid"
        anchor = "start" if x < 16 else "end" if x > WIDTH - 16 else "middle"
        parts += [segment(style, x, y - 9, x, y + 9) for y in rows]
        parts.append(words(x, bottom + 16, text if signed else f"{text} %", anchor, "soft"))
    return Markup("").join(parts)
