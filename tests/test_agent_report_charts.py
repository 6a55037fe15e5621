"""Charts stay in their frame, say in shapes what they say in colours, and take no label for markup."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from report_runs import HOSTILE

from agent.report.charts import Level, Mark, bars, dots, over_rounds, stacks


def numbers(svg: str, *names: str) -> list[float]:
    return [float(value) for name in names for value in re.findall(rf'\b{name}="(-?[\d.]+)"', svg)]


@pytest.mark.parametrize("count", [1, 2, 12, 40])
def test_a_chart_over_rounds_stays_in_its_frame_and_its_labels_do_not_meet(count: int) -> None:
    marks = [Mark(str(at), 0.5, 0.4, 0.6, "50.0 %", at == 1) for at in range(count)]
    svg = str(over_rounds("c", "title", marks, [Level("guessing", 0.25, "25.0 %")]).svg)
    places = numbers(svg, "x", "x1", "x2", "cx")
    assert min(places) >= 0 and max(places) <= 360
    assert svg.count("<circle") + svg.count("dot strong") == count
    labels = sorted(float(x) for x in re.findall(r'x="([\d.]+)" y="218"', svg))
    assert all(new - old >= 16 for old, new in pairwise(labels))


def test_a_difference_is_drawn_around_zero_and_a_better_value_further_right() -> None:
    marks = [
        Mark("worse", -0.2, -0.3, -0.1, "", True),
        Mark("same", 0.0, -0.1, 0.1, ""),
        Mark("better", 0.2, 0.1, 0.3, "", True),
    ]
    svg = str(dots("c", "title", marks, signed=True).svg)
    zero = float(re.search(r'class="zero" x1="([\d.]+)"', svg)[1])  # type: ignore[index]
    same = float(re.search(r'<circle class="dot" cx="([\d.]+)"', svg)[1])  # type: ignore[index]
    left, right = (float(one) for one in re.findall(r'class="dot strong" points="([\d.]+),', svg))
    assert same == zero and left < zero < right


def test_bars_are_as_long_as_their_values_and_parts_of_a_stack_lie_end_to_end() -> None:
    widths = re.findall(r'class="bar"[^>]*width="([\d.]+)"', str(bars("c", "t", [("a", 1, "1"), ("b", 4, "4")]).svg))
    assert [float(width) for width in widths] == [90.0, 360.0]
    shares = re.findall(r'class="bar"[^>]*width="([\d.]+)"', str(bars("c", "t", [("a", 1, "1")], whole=4).svg))
    assert [float(width) for width in shares] == [90.0]
    svg = str(stacks("c", "t", ("x", "y"), [("row", (3, 1))]).svg)
    parts = [
        (float(x), float(width))
        for x, width in re.findall(r'class="s\d" x="([\d.]+)" y="6\d[\d.]*" width="([\d.]+)"', svg)
    ]
    assert parts == [(0.0, 270.0), (270.0, 90.0)]


def test_a_hostile_label_stays_in_its_chart() -> None:
    svg = str(bars("c", "t", [(HOSTILE, 1, "1")]).svg)
    assert "<script" not in svg and svg.count("</svg>") == 1 and not set("\x1b\x07\u202e\u200b") & set(svg)
