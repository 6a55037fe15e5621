"""Small plots keep their scale and their width in Unicode and in ASCII, and `show` says in a terminal what the report says."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from dry_run import command_line
from report_runs import change_json, made_run
from rich.cells import cell_len
from rich.console import Console

from agent.plots import ASCII, UNICODE, around_zero, axis_labels, gain_bar, interval_bar, length_bar, span
from agent.report.gather import facts_of
from agent.shown import SKILLS, shown
from loops.run_folder import RunFolder
from loops.stats import Comparison, Score

SIZES = {"size": {"tokens": 990, "lessons": 21, "steps": 40}, "wanted": {"tokens": 1000, "lessons": 18, "steps": 45}}
ARM = {"name": "untargeted, equal spend", "n": 60, "gain": 0.031, "low": -0.004, "high": 0.065, "gained": 4, "lost": 2, "p": 0.69,
       "sentence": "Against untargeted: no.", **SIZES}  # fmt: skip


def score(accuracy: float, low: float, high: float) -> Score:
    return Score(n=100, right=round(100 * accuracy), low=low, high=high)


def gain(value: float, low: float, high: float) -> Comparison:
    return Comparison(n=100, gain=value, low=low, high=high, gained=1, lost=1, p=0.5)


def test_a_difference_is_drawn_around_zero() -> None:
    ends = (-0.5, 0.5)
    assert gain_bar(gain(0.3, 0.1, 0.5), 11, ends) == "     ┊├─●─┤"
    assert gain_bar(gain(0.1, -0.2, 0.4), 11, ends) == "   ├─┊●──┤ "
    assert gain_bar(gain(0.1, -0.2, 0.4), 11, ends, ASCII) == "   |-:o--| "
    assert gain_bar(gain(0.0, 0.0, 0.0), 11, ends) == "     ●     "
    assert gain_bar(gain(0.3, 0.1, 0.5), 2, ends) == ""


def test_axes_hold_every_interval() -> None:
    assert span([score(0.5, 0.41, 0.62), score(0.7, 0.6, 0.83)]) == (0.4, 0.9)
    assert around_zero([gain(0.1, -0.02, 0.22), gain(-0.1, -0.31, 0.0)]) == (-0.35, 0.35)
    assert around_zero([]) == (-0.05, 0.05)
    assert axis_labels(14, (-0.35, 0.35)) == "-35        +35"
    assert axis_labels(14, (0.4, 0.9)) == "40 %      90 %"


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", range(12))
def test_no_bar_is_wider_than_its_column(width: int, glyphs: object) -> None:
    for low in (-0.3, 0.0, 0.6):
        assert len(interval_bar(score(low + 0.1, low, low + 0.9), width, (0.2, 0.7), glyphs)) <= width  # type: ignore[arg-type]
        assert len(gain_bar(gain(low + 0.1, low, low + 0.9), width, (-0.4, 0.4), glyphs)) <= width  # type: ignore[arg-type]
    assert len(length_bar(9, 3, width, glyphs)) <= width  # type: ignore[arg-type]


def test_a_little_is_not_drawn_as_nothing() -> None:
    assert [length_bar(value, 1000, 10) for value in (0, 1, 500, 1000)] == ["", "━", "━━━━━", "━━━━━━━━━━"]
    assert length_bar(1, 0, 10) == ""


# --- what `show` prints


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = made_run(tmp_path_factory.mktemp("made"), rounds=3, items=80, lessons=30)
    change_json(
        run / "claim" / "claim.json",
        controls=[ARM],
        controls_missing={"untargeted, equal number": "The budget is spent."},
    )
    return run


def printed(run: Path, width: int, encoding: str = "utf-8") -> str:
    bytes_ = io.BytesIO()
    out = io.TextIOWrapper(bytes_, encoding=encoding, write_through=True)
    Console(file=out, width=width, color_system=None).print(shown(facts_of(RunFolder(run))))
    return bytes_.getvalue().decode(encoding)


def words(text: str) -> str:
    return " ".join(text.split())


def test_show_says_what_the_report_says(made: Path) -> None:
    facts, text = facts_of(RunFolder(made)), words(printed(made, 140))
    for one in facts.rounds:
        assert one.select and f"{one.select.right}/{one.select.n} {100 * one.select.accuracy:.1f} %" in text
    assert facts.skills
    for skill in facts.skills.rows[:SKILLS]:
        assert f"{skill.before.right}/{skill.before.n} {100 * skill.before.accuracy:.1f} %" in text
    for reason, count in facts.rounds[1].teaching.rejected.items() if facts.rounds[1].teaching else ():
        assert re.search(rf"{re.escape(words(reason))[:20]}.* \d+", text), (reason, count)
    accepted = sum(one.teaching.accepted for one in facts.rounds if one.teaching)
    assert re.search(rf"accepted {accepted:,} ━", text)
    for verb in facts.cost.seconds_by_verb:
        assert re.search(rf"\b{verb} [\d:.]+", text), verb
    assert "untargeted, equal spend +3.1 (-0.4 to +6.5) not shown" in text
    assert "990 teacher tokens to the kept student's 1,000, 21 lessons to 18, 40 steps to 45" in text
    assert "untargeted, equal number: missing. The budget is spent." in text
    assert "What was not shown" in text and "Against untargeted: no." in text


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_line_fits_and_what_cannot_be_encoded_is_drawn_otherwise(made: Path, width: int, encoding: str) -> None:
    text = printed(made, width, encoding)
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert ("├" in text) == (encoding == "utf-8")
    assert re.search(r"[├|][─-]*[●o]", text), "intervals are drawn"
    assert "\x1b" not in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    run = made_run(tmp_path, hostile=True)
    text = printed(run, 80)
    assert "\x1b" not in text and "\u202e" not in text


def test_a_run_that_has_just_begun_is_shown(tmp_path: Path) -> None:
    run = tmp_path / "new-1"
    run.mkdir()
    (run / "config.yaml").write_text("{}")
    text = printed(run, 80)
    assert "No round has been examined yet." in text and "config.yaml" not in text.split("What was not shown")[0]


def test_show_is_plain_in_a_pipe(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert command_line(["show", made.name, "--runs", str(made.parent)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "by round" in out and all(cell_len(line) <= 80 for line in out.splitlines())
