"""A report on a run that lacks something says so; a damaged file is one paragraph that names it; nothing in the run is changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from dry_run import command_line
from report_runs import SECTIONS, made_run, report

from loops.run_folder import RunError
from teacher.errors import TeacherUnusable


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A finished run of this test's own."""
    shutil.copytree(made.parent, tmp_path / "runs")
    return tmp_path / "runs" / made.name


def test_a_run_killed_after_round_0_says_what_is_missing(run: Path) -> None:
    for place in ("claim", "rounds/001", "rounds/002", "rounds/003"):
        shutil.rmtree(run / place)
    (run.parent / "test-openings.jsonl").unlink()
    whole = (run / "events.jsonl").read_text().splitlines(keepends=True)
    (run / "events.jsonl").write_text("".join(whole[:5]) + '{"event": "verb.st')
    page, _, markdown = report(run)
    said = [
        "No claim yet",
        "There is no teaching round",
        "No claim has been made",
        "Left out of events.jsonl: 1 damaged line",
    ]
    for text in [*said, "unfinished"]:
        assert text in page.text() and text in markdown
    assert ["round 0 (seed-only), kept", "27 of 60", "45.0 % (33.1 to 57.5)", "–", "0"] in page.rows()


PLACES = ["config.yaml", "splits.json", "events.jsonl", "machine.json", "baseline", "claim", "rounds", "rounds/002/lessons.jsonl",
          "rounds/002/verdicts.jsonl", "rounds/002/candidates.jsonl", "rounds/002/weaknesses.jsonl", "rounds/002/attempts.mine.jsonl",
          "rounds/002/witnesses.json", "rounds/002/diversity.json", "rounds/002/adapter", "rounds/000", "rounds/003/decision.json",
          "claim/claim.json", "claim/attempts.best.test.jsonl", "claim/attempts.seed-only.test.jsonl"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_missing_the_rest_is_told(place: str, run: Path) -> None:
    gone = run / place
    if gone.is_dir():
        shutil.rmtree(gone)
    else:
        gone.unlink()
    page, _, markdown = report(run)
    assert page.each("h2") == SECTIONS
    assert re.findall("^## (.*)$", markdown, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("splits.json", "splits.json is missing"),
        ("machine.json", "machine.json is missing"),
        ("rounds/002/witnesses.json", "No cross-checks of answers are on record for round 2"),
        ("rounds/002/diversity.json", "was not measured in round 2"),
        ("rounds/002/adapter/training.json", "not on record for round 2"),
        ("../test-openings.jsonl", "no record of openings"),
        ("events.jsonl", "events.jsonl is missing"),
    ],
)
def test_what_is_missing_is_named(place: str, says: str, run: Path) -> None:
    (run / place).unlink()
    page, _, markdown = report(run)
    assert says in page.text() and says in markdown


DAMAGED = ["config.yaml", "splits.json", "machine.json", "baseline/attempts.few-shot.select.jsonl", "baseline/attempts.teacher.mine.jsonl",
           "rounds/000/attempts.select.jsonl", "rounds/001/decision.json", "rounds/001/adapter/training.json", "rounds/001/lessons.jsonl",
           "rounds/001/verdicts.jsonl", "rounds/001/witnesses.json", "rounds/001/diversity.json", "claim/claim.json",
           "claim/attempts.best.test.jsonl"]  # fmt: skip


@pytest.mark.parametrize("place", DAMAGED)
@pytest.mark.parametrize("bytes", [b'{"item_id": \xff', b"[3]\n"], ids=["no text", "a list"])
def test_a_damaged_file_is_named(place: str, bytes: bytes, run: Path) -> None:
    (run / place).write_bytes(bytes)
    with pytest.raises(RunError, match=re.escape(f"{place} cannot be read")):
        report(run)
    assert not (run / "report.html").exists()


def test_a_damaged_ledger_is_named(run: Path) -> None:
    (run / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(TeacherUnusable, match=r"ledger\.sqlite"):
        report(run)


# The command.


def test_the_command_writes_both_files_and_says_where(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert command_line(["report", "made", "--runs", str(run.parent)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(run / "report.html"), str(run / "report.md")]
    assert {path: path.read_bytes() for path in before} == before, "a report changes nothing it reads"
    again = tmp_path / "else" / "where"
    assert command_line(["report", str(run), "--to", str(again), "--runs", str(run.parent)]) == 0
    assert (again / "report.html").read_bytes() == (run / "report.html").read_bytes(), "the same run is the same page"
    assert (again / "report.md").read_bytes() == (run / "report.md").read_bytes()


def test_what_a_person_can_mend_is_one_paragraph(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = ["--runs", str(run.parent)]
    (tmp_path / "file").write_text("")
    assert command_line(["report", "nothing", *runs]) == 2
    assert "There is no run 'nothing'" in capsys.readouterr().err
    assert command_line(["report", "made", "--to", str(tmp_path / "file"), *runs]) == 2
    assert "Name another folder with --to" in capsys.readouterr().err
    (run / "claim" / "claim.json").write_text("{")
    assert command_line(["report", "made", *runs]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "claim.json cannot be read" in told
