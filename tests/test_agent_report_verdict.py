"""A report puts first what was shown and what was not, and holds earlier openings, control arms and lost skills against the claim."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from report_runs import change_json, made_run, report


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A finished run of this test's own."""
    shutil.copytree(made.parent, tmp_path / "runs")
    return tmp_path / "runs" / made.name


def test_a_gain_that_is_not_shown_is_said_first(run: Path) -> None:
    change_json(run / "claim" / "claim.json", p=0.2, low=-0.02, sentence="Not shown: the student of round 2 on test.")
    page, _, markdown = report(run)
    assert page.text("section").startswith("Verdict Not shown Not shown: the student of round 2")
    assert "What this shows Nothing beyond what each interval says." in page.text()
    assert "a smaller one often does not" in page.text() and "No gain is shown, so there are no points" in page.text()
    assert markdown.index("Not shown") < markdown.index("## Accuracy by round")


def test_a_student_that_got_worse_is_called_worse(run: Path) -> None:
    change_json(run / "claim" / "claim.json", gain=-0.1, low=-0.15, high=-0.05)
    assert report(run)[0].text("section").startswith("Verdict Worse")


def test_when_no_round_beat_the_seeds_nothing_is_called_a_gain(run: Path) -> None:
    change_json(
        run / "claim" / "claim.json",
        best=0,
        gain=0.0,
        low=0.0,
        high=0.0,
        p=1.0,
        sentence="Not shown: no teaching round beat it.",
    )
    (run / "claim" / "attempts.best.test.jsonl").unlink()
    page, _, _ = report(run)
    assert page.text("section").startswith("Verdict Not shown")
    assert "no teaching round beat the seed-only student" in page.text() and "gain on test, points" not in page.text()


def test_where_the_last_round_is_kept_nothing_was_chosen(run: Path) -> None:
    config = run / "config.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"stop": {"keep": "last", "rounds": 2}}))
    page, _, _ = report(run)
    assert "The last round is kept, whatever it did" in page.text() and "flatters" not in page.text()
    change_json(run / "claim" / "claim.json", best=0, gain=0.0, low=0.0, high=0.0, p=1.0, sentence="Not shown: none.")
    assert "no teaching round left a lesson" in report(run)[0].text()


def test_control_arms_and_training_seeds_are_shown_where_they_ran(run: Path) -> None:
    sizes = {
        "size": {"tokens": 990, "lessons": 21, "steps": 40},
        "wanted": {"tokens": 1000, "lessons": 18, "steps": 45},
    }
    arms = [
        {"name": "untargeted, equal spend", "n": 60, "gain": 0.031, "low": -0.004, "high": 0.065, "gained": 4, "lost": 2, "p": 0.69,
         "sentence": "Against untargeted: no.", **sizes},
        {"name": "seeds, as many steps", "n": 60, "gain": 0.09, "low": 0.05, "high": 0.13, "gained": 8, "lost": 0, "p": 0.008,
         "sentence": "Against more steps: yes.", **sizes},
    ]  # fmt: skip
    missing = {"untargeted, equal number": "The budget is spent."}
    several = {
        "seeds": 5,
        "n": 60,
        "gain": 0.1,
        "low": 0.02,
        "high": 0.18,
        "p": 0.02,
        "per_seed": [0.1, 0.1, 0.1, 0.1, 0.1],
    }
    change_json(
        run / "claim" / "claim.json", controls=arms, controls_missing=missing, lessons=several, something_newer=1
    )
    page, _, _ = report(run)
    text = page.text()
    assert (
        "Shown on test: the lessons up to round 2 help against seeds alone: +10.0 points (95 % CI +2.0 to +18.0)"
        in text
    )
    size = ["990 of 1,000", "21 of 18", "40 of 45"]
    assert ["untargeted, equal spend", "+3.1 (-0.4 to +6.5)", "not shown", *size] in page.rows()
    first = page.text("section").partition("Shown on test: the lessons")[0]
    assert "Against untargeted: no. Against more steps: yes." in first, "the first line names every arm"
    shown, _, open_ = text.partition("What this does not show")
    assert "Against more steps: yes." in shown.partition("What this shows")[2] and "Against untargeted: no." in open_
    assert "stands against untargeted, equal number: that control arm is missing. The budget is spent." in text
    assert "no control arm ran" not in text and "each side was trained once" not in text


def test_every_opening_of_test_is_listed_and_earlier_ones_are_held_against_the_claim(run: Path) -> None:
    page, _, _ = report(run)
    rows = page.rows()
    assert ["older-", "2026-09-21 14:13 UTC", "before this run"] in rows and [
        "made-1",
        "2026-09-28 12:53 UTC",
        "this run",
    ] in rows
    assert not [row for row in rows if row[0] == "another-1"], "another split's opening"
    assert "this test split had been opened before by 1 run" in page.text()


def test_skills_that_got_worse_are_named(run: Path) -> None:
    skills = json.loads((run / "splits.json").read_text())["skills"]
    change_json(run / "splits.json", skills={item: "tidy" if item[0] == "t" else name for item, name in skills.items()})
    best = run / "claim" / "attempts.best.test.jsonl"
    best.write_text(best.read_text().replace('"right"', '"wrong"'))
    assert "on 1 skill the whole interval lies below zero (tidy)" in report(run)[0].text()
