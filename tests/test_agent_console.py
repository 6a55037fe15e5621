"""Whatever the data says and wherever the terminal goes, the screen stays whole and the run goes on."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from agent.console import JsonLines, LiveScreen, Pipe, PlainLines, Quiet, choose_ui, frame
from agent.plots import ASCII, UNICODE
from agent.progress import RunView
from agent.safe import clip, safe
from loops.events import Event, read_events

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "tests" / "fixtures" / "events_sample.jsonl"
SIZES = [(80, 24), (140, 40), (126, 30), (60, 15), (40, 10), (20, 5), (200, 60)]
HOSTILE = "\x1b[2J\x1b]0;owned\x07[/nope][bold]\u202eevil\u2066\x9b31m\r\nnext\tline\ud800 \U000e0041 漢字漢字 e\u0301"


def sample() -> list[Event]:
    return list(read_events(SAMPLE))


def seen(events: list[Event]) -> RunView:
    """What a screen knows at the moment of the last of these events, whatever the day."""
    return RunView(lambda: events[-1]["time"]).replay(events)


def hostile(value: object) -> Any:
    """Every text of an event, made hostile."""
    return f"{HOSTILE} {value}" * 8 if isinstance(value, str) else value


def hostile_events() -> list[Event]:
    keep = {"event", "verb", "split"}
    return [{name: value if name in keep else hostile(value) for name, value in e.items()} for e in sample()]


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text)


def shown(view: RunView, width: int, height: int) -> str:
    return "\n".join(line.plain for line in frame(view, width, height))


def test_safe_keeps_words_and_drops_what_moves_a_terminal():
    assert is_harmless(safe(HOSTILE))
    assert "[/nope][bold]evil" in safe(HOSTILE)
    assert safe("a\nb") == "a b"
    assert safe("a\r\nb\x1b", keep_newlines=True) == "a\nb"
    assert safe("naïve 漢字 😀") == "naïve 漢字 😀"


@pytest.mark.parametrize("width", range(12))
def test_clip_counts_cells_not_characters(width: int):
    assert cell_len(clip("漢字 and words", width)) <= width
    assert clip("short", 5) == "short"


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("hostility", [False, True])
def test_every_frame_fits_at_every_moment(width: int, height: int, hostility: bool):
    view = RunView(lambda: view.last_time)
    for count, event in enumerate(hostile_events() if hostility else sample()):
        view.update(event)
        if count % 9 == 0 or event["event"] in ("claim", "run.ended", "decided", "loss"):
            lines = frame(view, width, height, ASCII if count % 2 else UNICODE)
            assert len(lines) <= height
            assert all(cell_len(line.plain) <= width for line in lines)
            assert all(is_harmless(line.plain) for line in lines)


def test_eighty_by_twenty_four_shows_what_matters_while_lessons_are_written():
    view = seen(sample()[:228])
    text = shown(view, 79, 23)
    for part in ("trec-003", "round 2 of 2", "generate", "lessons", "eta", "round 1 (best)", "accepted", "left"):
        assert part in text
    assert "74.7 %" in text
    assert "├" in text


def test_the_end_shows_the_whole_claim_also_on_a_small_screen():
    text = " ".join(shown(seen(sample()), 79, 23).split())
    assert "exact McNemar p = 0.011)." in text
    assert "All 2 rounds are done" in text


@pytest.mark.parametrize("height", range(8, 50, 3))
def test_control_arms_have_their_place_in_the_story(height: int):
    score = next(one for one in reversed(sample()) if one["event"] == "score" and one["split"] == "test")
    events = sample()
    arms = [{**score, "student": f"control: {name}"} for name in ("untargeted, equal spend", "seeds, as many steps")]
    text = shown(seen([*events[:-1], *arms, events[-1]]), 120, height)
    if height > 40:
        order = [text.index(name) for name in ("seed-only, test", "untargeted, equal sp", "round 2 (best), test")]
        assert order == sorted(order)


def test_a_number_that_does_not_fit_is_left_out_not_cut():
    view = seen(sample()[:228])
    assert shown(view, 40, 20).splitlines()[4].split()[0] == "✓"


@pytest.mark.parametrize("width", [80, 140])
def test_the_live_screen_writes_no_raw_data_and_no_long_line(width: int):
    out = io.StringIO()
    console = Console(file=out, width=width, height=30, force_terminal=True, color_system=None, _environ={})
    screen = LiveScreen(console, clock=lambda: 1795341600.0)
    for event in hostile_events():
        screen(event)
    screen.close()
    text = out.getvalue()
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text
    assert "\u202e" not in text
    assert "[/nope]" in text
    last = text[text.rindex("\x1b[2K") if "\x1b[2K" in text else 0 :]
    assert all(cell_len(safe(line)) <= width + 20 for line in last.splitlines())  # cursor controls are counted, too


def test_a_terminal_that_went_away_does_not_stop_the_live_screen(monkeypatch: pytest.MonkeyPatch):
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Gone())
    screen = LiveScreen()
    for event in sample()[:20]:
        screen(event)
    screen.close()


def test_no_color_is_honoured():
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, _environ={"NO_COLOR": "1", "TERM": "xterm"})
    console.print(*frame(seen(sample()[:228]), 79, 23), sep="\n")
    assert "\x1b[36m" not in out.getvalue()
    assert "\x1b[1;36m" not in out.getvalue()


def plain(events: list[Event]) -> list[str]:
    out = io.StringIO()
    lines = PlainLines(Pipe(out))
    for event in events:
        lines(event)
    return out.getvalue().splitlines()


def test_plain_lines_are_aligned_and_greppable():
    lines = plain(sample())
    assert "round 1  generate  40/60 lessons  eta 1:24  NUM taken for DESC" in lines
    assert "round 1  score     round 1              select  112/150   74.7 % (67.2 to 81.0)" in lines
    assert any(line.startswith("round 1  curate    33 accepted  rejected: duplicate 14") for line in lines)
    assert lines[-1].startswith("         ended     done (rounds) after")
    assert all(line == line.rstrip() for line in lines)


def test_plain_progress_speaks_at_ten_percent_or_thirty_seconds():
    def progress(at: float, done: int) -> Event:
        fields = {"round": 0, "verb": "train", "done": done, "total": 1000, "unit": "steps"}
        return {"time": at, "event": "verb.progress", **fields}

    start: Event = {"time": 0.0, "event": "verb.started", "round": 0, "verb": "train"}
    said = plain([start, *(progress(float(second), second) for second in range(1, 200))])
    assert [line.split()[3] for line in said] == [f"{n}/1,000" for n in (30, 60, 90, 120, 150, 180)]
    assert said[0].split()[4:] == ["steps", "eta", "16:10"], "by the events' own times, not by today's"
    fast = plain([start, *(progress(n / 1000, n) for n in range(1, 1001))])
    assert [line.split()[3] for line in fast] == [f"{n}/1,000" for n in range(100, 1000, 100)]


def test_plain_lines_carry_no_control_characters_and_no_floods():
    lines = plain(hostile_events())
    assert all(is_harmless(line) for line in lines)
    assert max(map(cell_len, lines)) < 500


def test_json_lines_are_the_events_and_safe_to_look_at():
    out = io.StringIO()
    lines = JsonLines(Pipe(out))
    events = hostile_events()
    for event in events:
        lines(event)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == events
    assert all(is_harmless(line) for line in out.getvalue().splitlines())


@pytest.mark.parametrize("ui", ["plain", "json"])
@pytest.mark.parametrize("closing", ["| head -n 1", ">&-"])
def test_a_closed_pipe_neither_stops_the_run_nor_complains_at_exit(ui: str, closing: str):
    program = (
        "import sys; from pathlib import Path\n"
        "from agent.console import choose_ui; from loops.events import read_events\n"
        f"watch = choose_ui({ui!r}, False, False)()\n"
        f"for _ in range(8):\n  for event in read_events(Path({str(SAMPLE)!r})): watch(event)\n"
        "watch.close(); print('finished', file=sys.stderr)\n"
    )
    command = ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {closing}', sys.executable, program]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "finished\n")


def test_a_stream_closed_by_somebody_else_is_silence():
    out = io.StringIO()
    pipe = Pipe(out)
    out.close()
    pipe.line("into the void")
    pipe.line("again")


def test_text_a_terminal_cannot_encode_is_replaced():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Pipe(stream).line("café ├●┤")
    assert raw.getvalue() == b"caf? ???\n"


@pytest.mark.parametrize(
    ("ui", "stdout_tty", "stderr_tty", "kind"),
    [
        ("auto", True, True, LiveScreen),
        ("auto", False, True, LiveScreen),
        ("auto", True, False, PlainLines),
        ("rich", True, True, LiveScreen),
        ("plain", True, True, PlainLines),
        ("json", True, True, JsonLines),
        ("quiet", True, True, Quiet),
    ],
)
def test_the_ui_suits_where_the_output_goes(
    ui: Any, stdout_tty: bool, stderr_tty: bool, kind: type, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TERM", "xterm-256color")
    assert choose_ui(ui, stdout_tty, stderr_tty) is kind


@pytest.mark.parametrize("ui", ["auto", "rich"])
def test_without_any_terminal_lines_go_to_stderr_and_stdout_keeps_the_results(
    ui: Any, capsys: pytest.CaptureFixture[str]
):
    watch = choose_ui(ui, False, False)()
    watch(sample()[0])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "trec-003" in captured.err
