"""The tables say every number with its doubt, fit eighty columns, and show hostile names as text."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from agent.plots import ASCII, axis, interval_bar
from agent.progress import RunView
from agent.tables import RunRow, amount, duration, run_row, runs_table, summary
from agent.viewed import Score
from loops.events import Event, read_events

SAMPLE = Path(__file__).parent / "fixtures" / "events_sample.jsonl"


def sample() -> list[Event]:
    return list(read_events(SAMPLE))


def printed(what: RenderableType, width: int = 80, terminal: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=terminal, color_system=None).print(what)
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_summary_tells_the_whole_story():
    text = words(printed(summary(RunView().replay(sample()))))
    for part in (
        "trec-003 done: rounds",
        "untouched zero-shot test 500 139 27.8 % (24.1 to 31.9)",
        "untouched few-shot test 500 188",
        "teacher mine 60 47 78.3 % (66.4 to 86.9)",
        "seed-only test 500 337 67.4 %",
        "round 2 (best) test 500 362 72.4 % (68.3 to 76.1)",
        "Shown: on 500 test items",
        "120 written, 60 accepted, 60 rejected: duplicate 33, answer-disagrees 20",
        "84 requests, 24,000 prompt + 6,070 completion tokens, money unknown",
        "84 of 400 requests (21 %)",
        "train 7:25",
        "server busy (503) 2",
        "malformed 30",
    ):
        assert part in text


def test_an_unfinished_run_claims_nothing_and_compares_on_select():
    text = words(printed(summary(RunView().replay(sample()[:228]))))
    assert "No claim" in text
    assert "round 1 (best) select 150 112" in text
    assert " test " not in text.split("No claim")[0]


def test_money_is_shown_where_it_is_known():
    event = {"event": "spent", "requests": 1, "prompt_tokens": 2, "completion_tokens": 3, "money": 0.0421}
    assert "1 request, 2 prompt + 3 completion tokens, money 0.0421" in words(
        printed(summary(RunView().replay([event])))
    )


def test_an_empty_view_prints():
    view = RunView()
    assert "No claim" in printed(summary(view))
    assert "No runs" in printed(runs_table([]))


def test_the_list_of_runs():
    view = RunView().replay(sample())
    half = run_row(RunView().replay(sample()[:100]), "trec-003", "running")
    text = words(printed(runs_table([run_row(view, "trec-003"), half, RunRow("new", "interrupted", None, None, 0.0)])))
    assert "trec-003 done 2 76.0 % (68.6 to 82.1) n 150" in text
    assert "trec-003 running 1" in text
    assert "new interrupted - -" in text


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("terminal", [False, True])
def test_every_line_fits_and_hostile_text_stays_text(width: int, terminal: bool):
    bad = "\x1b[2J[/nope]\u202e[red]漢字漢字\n"
    events = [
        {k: f"{bad}{v}" * 5 if isinstance(v, str) and k not in ("event", "verb", "split") else v for k, v in e.items()}
        for e in sample()
    ]
    view = RunView().replay(events)
    text = printed(summary(view), width, terminal)
    text += printed(runs_table([RunRow(bad * 5, bad * 5, 1, None, 0.0)]), width, terminal)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert "[/nope]" in text
    assert all(cell_len(line) <= width for line in text.splitlines())


def test_a_piped_list_of_runs_has_no_boxes_and_no_colour():
    assert printed(runs_table([run_row(RunView().replay(sample()), "trec-003")])).isascii()


def score(right: int, low: float, high: float, student: str = "round 1") -> Score:
    return Score(1, student, "select", 100, right, low, high)


def test_interval_bars_share_an_axis_and_say_where_they_leave_it():
    ends = (0.5, 0.9)
    assert interval_bar(score(70, 0.6, 0.8), 9, ends) == "  ├─●─┤  "
    assert interval_bar(score(70, 0.6, 0.8), 9, ends, ASCII) == "  |-o-|  "
    assert interval_bar(score(20, 0.1, 0.3), 9, ends) == "◂        "
    assert interval_bar(score(88, 0.8, 0.95), 9, ends) == "      ├─▸"
    assert interval_bar(score(70, 0.6, 0.8), 2, ends) == ""


def test_the_axis_is_made_for_the_trained_students():
    trained = score(70, 0.62, 0.78)
    assert axis([trained, score(10, 0.05, 0.2, "untouched zero-shot")]) == (0.6, 0.8)
    assert axis([score(10, 0.05, 0.2, "untouched zero-shot")]) == (0.0, 0.2)
    assert axis([]) == (0.0, 1.0)


def test_numbers_read_as_people_write_them():
    assert [duration(s) for s in (0, 5, 760, 3723, 100_000)] == ["0:00", "0:05", "12:40", "1:02:03", "1d 3h"]
    assert [amount(v) for v in (None, 18204, 0.42, 0.0031)] == ["unknown", "18,204", "0.42", "0.0031"]
