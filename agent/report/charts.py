"""The four charts of a report: values over rounds, dots with whiskers, bars, and stacked bars.

What a colour says is also said by a shape, a pattern or a word, and the same numbers stand in a table beside each chart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from agent.report.drawing import (
    ROW,
    WIDTH,
    Picture,
    Scale,
    around,
    box,
    dot,
    foot_axis,
    picture,
    points,
    row_words,
    segment,
    side_axis,
    whiskers,
    words,
)
from agent.safe import clip, safe

LEFT, RIGHT = 40, 350
"""Where the plot over rounds begins and ends."""


@dataclass(frozen=True)
class Mark:
    """One measured value with its interval."""

    label: str
    """What was measured; data."""
    value: float
    """The value, 0 to 1, or -1 to 1 for a difference."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end."""
    text: str
    """The value in words."""
    strong: bool = False
    """Drawn so that it stands out: the kept round, a difference beyond doubt."""


@dataclass(frozen=True)
class Level:
    """A line to compare with."""

    label: str
    """What it is."""
    value: float
    """Where it lies, 0 to 1."""
    text: str
    """The value in words."""


def over_rounds(id: str, title: str, marks: Sequence[Mark], levels: Sequence[Level]) -> Picture:
    """A band between the intervals' ends, a line, a dot and whiskers for each round; dashed levels, named below."""
    known = [value for one in marks for value in (one.low, one.high)] + [one.value for one in levels]
    y = Scale(*around(known, 0, 1), start=200, end=12)
    at = _places(len(marks))
    upper = [(x, y(one.high)) for x, one in zip(at, marks, strict=True)]
    lower = [(x, y(one.low)) for x, one in zip(at, marks, strict=True)]
    middle = [(x, y(one.value)) for x, one in zip(at, marks, strict=True)]
    parts = [side_axis(y, LEFT, RIGHT), points("band", [*upper, *reversed(lower)], closed=True)]
    parts += [segment(f"level l{at % 3}", LEFT, y(one.value), RIGHT, y(one.value)) for at, one in enumerate(levels)]
    parts.append(points("curve", middle))
    every = math.ceil(len(marks) / 12)
    for number, (x, one) in enumerate(zip(at, marks, strict=True)):
        parts += [whiskers(x, y(one.low), x, y(one.high)), dot(x, y(one.value), one.strong)]
        parts += [words(x, 218, one.label, "middle", "soft")] * (number % every == 0)
    for number, one in enumerate(levels):
        foot = 242 + 18 * number
        parts += [
            segment(f"level l{number % 3}", LEFT, foot - 4, LEFT + 36, foot - 4),
            words(LEFT + 44, foot, f"{one.label} {one.text}"),
        ]
    said = _said([*((one.label, one.text) for one in marks), *((one.label, one.text) for one in levels)])
    return picture(id, title, said, 228 + 18 * len(levels), parts)


def _places(count: int) -> list[float]:
    inner = Scale(0, max(1, count - 1), LEFT + 14, RIGHT - 14)
    return [inner(at) for at in range(count)] if count > 1 else [(LEFT + RIGHT) / 2]


def dots(id: str, title: str, marks: Sequence[Mark], signed: bool = False) -> Picture:
    """A row each: label and value, and below them a dot with whiskers. `signed`: differences, drawn around no change."""
    known = [value for one in marks for value in (one.low, one.high)] + [0.0] * signed
    x = Scale(*around(known, -1 if signed else 0, 1), start=8, end=WIDTH - 8)
    base = ROW * len(marks) + 6
    rows = [ROW * number + 30 for number in range(len(marks))]
    parts = [foot_axis(x, rows, base, signed)]
    for y, one in zip(rows, marks, strict=True):
        parts += [
            row_words(one.label, one.text, y),
            whiskers(x(one.low), y, x(one.high), y),
            dot(x(one.value), y, one.strong),
        ]
    return picture(id, title, _said([(one.label, one.text) for one in marks]), base + 22, parts)


def bars(id: str, title: str, rows: Sequence[tuple[str, float, str]], whole: float = 0) -> Picture:
    """A row each: label, value in words, and a bar as long as the value. `whole`: what a full bar is; 0 for the greatest value."""
    most = whole or max((value for _, value, _ in rows), default=0) or 1
    parts: list[Markup] = []
    for number, (label, value, text) in enumerate(rows):
        y = ROW * number + 28
        parts += [row_words(label, text, y), box("track", 0, y - 5, WIDTH), box("bar", 0, y - 5, WIDTH * value / most)]
    return picture(id, title, _said([(label, text) for label, _, text in rows]), ROW * len(rows), parts)


def stacks(id: str, title: str, series: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> Picture:
    """A row each, divided among up to three series that differ in pattern as well as in colour."""
    most = max((sum(values) for _, values in rows), default=0) or 1
    top, parts = 20 * len(series), [_patterns(id)]
    for number, name in enumerate(series):
        parts += [_part(id, number, 0, 20 * number + 2, 18), words(26, 20 * number + 12, name)]
    for number, (label, values) in enumerate(rows):
        y, x = top + ROW * number + 28, 0.0
        parts.append(row_words(label, " + ".join(f"{value:,}" for value in values), y))
        for which, value in enumerate(values):
            parts += [_part(id, which, x, y - 5, WIDTH * value / most)] * (value > 0)
            x += WIDTH * value / most
    said = _said(
        [(label, " and ".join(f"{v:,} {n}" for n, v in zip(series, values, strict=True))) for label, values in rows]
    )
    return picture(id, title, said, top + ROW * len(rows), parts)


def _patterns(id: str) -> Markup:
    return Markup(
        '<defs><pattern id="{0}-p1" width="6" height="6" patternUnits="userSpaceOnUse"><path class="hatch" d="M-1 7L7 -1M-1 1L1 -1'
        'M5 7L7 5"/></pattern><pattern id="{0}-p2" width="5" height="5" patternUnits="userSpaceOnUse"><circle class="speck" '
        'cx="2.5" cy="2.5" r="1.3"/></pattern></defs>'
    ).format(id)


def _part(id: str, which: int, x: float, y: float, width: float) -> Markup:
    """One part of a stacked bar: its colour, its pattern over it, and an edge."""
    pattern = Markup('<rect x="{}" y="{}" width="{}" height="12" fill="url(#{}-p{})"/>').format(
        round(x, 1), y - 1, round(width, 1), id, which
    )
    return box(f"s{which}", round(x, 1), y - 1, width, 12) + (pattern if which else Markup(""))


def _said(rows: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{clip(safe(label), 80)}: {text}" for label, text in rows)
