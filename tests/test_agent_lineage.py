"""One lesson's life can be followed, from the files of a real run with the scripted teacher and of runs made up for the purpose.

A made-up run has two rounds, so that failures are mined again: one flips, one does not.
"""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dry_run import command_line, table_student, words
from rich.console import Console

from agent import lineage
from agent.trail import Trail, read_trail
from loops.run_folder import RunError, RunFolder
from student.records import Attempt, Candidate, Failure, Lesson, Seed, Verdict, Weakness, write_json, write_records
from teacher.ledger import Budget, Ledger
from teacher.prompts import every_prompt
from teacher.prompts import version as version_of
from teacher.requests import Message, Reply, Request

LABELS = ("billing", "access")
REQUEST = Request(
    purpose="write", messages=(Message(role="user", content="Write tickets.\nDATA:\n[red]{}"),), max_tokens=9, temperature=0,
    seed=0,
)  # fmt: skip
KEY = REQUEST.key("anyone")


def text_of(renderable: Any, width: int = 300) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def seed(name: str) -> Seed:
    return Seed(id=name, prompt=f"text of {name}", answer="billing", skill="billing", choices=LABELS)


def candidate(name: str, parent: str, strategy: str = "contrast", **more: Any) -> Candidate:
    about: dict[str, Any] = {
        "prompt": f"new text {name}",
        "answer": "billing",
        "request_key": KEY,
        "shown_ids": (parent, "beside"),
        **more,
    }
    return Candidate(
        id=name, choices=LABELS, round=1, weakness_id="001-01", parent_id=parent, strategy=strategy, **about
    )


def attempt(item: str, right: bool) -> Attempt:
    return Attempt(
        item_id=item, output="billing" if right else "access", outcome="right" if right else "wrong", score=right
    )


CANDIDATES = [
    candidate("aaaa1111", "flips"), candidate("aaab2222", "stays"),
    candidate("bbbb3333", "flips", prompt="too \x1b[2Jmuch [bold]markup[/bold]"),
    candidate("cccc4444", "flips", "rephrase", request_key=""), candidate("dddd5555", "stays", "skill", prompt="wordy"),
]  # fmt: skip
VERDICTS = [
    Verdict(candidate_id="aaaa1111", accepted=True, reason="accepted", belief=0.93,
            witnesses={"teacher": "billing", "student": "access"}),
    Verdict(candidate_id="aaab2222", accepted=True, reason="accepted"),
    Verdict(candidate_id="bbbb3333", accepted=False, reason="control-character"),
    Verdict(candidate_id="cccc4444", accepted=False, reason="near-duplicate", detail="0.71 alike seed 9"),
    Verdict(candidate_id="dddd5555", accepted=False, reason="near-duplicate", detail="0.66 alike seed 8"),
]  # fmt: skip


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    """A run of two rounds."""
    folder = RunFolder(tmp_path / "tickets-1")
    for number, flipped in ((1, False), (2, True)):
        mined = [attempt("flips", flipped), attempt("stays", False), attempt("beside", True)]
        write_records(folder.round(number) / "attempts.mine.jsonl", mined)
    failures = tuple(Failure(seed=seed(name), wrong_answer="access") for name in ("flips", "stays"))
    weakness = Weakness(id="001-01", name="billing taken for access", failures=failures, lessons=6)
    write_records(folder.round(1) / "weaknesses.jsonl", [weakness])
    write_records(folder.round(1) / "candidates.jsonl", CANDIDATES)
    write_records(folder.round(1) / "verdicts.jsonl", VERDICTS)
    write_records(folder.round(1) / "lessons.jsonl", [Lesson(**one.model_dump()) for one in CANDIDATES[:2]])
    asked = {"name": "teacher", "asked": 60, "right": 41, "table": {}}
    write_json(folder.round(1) / "witnesses.json", [asked])
    with Ledger(folder.ledger, Budget()) as ledger:
        ledger.reserve(REQUEST, KEY, 1)
        ledger.settle(KEY, Reply(text='{"items": ["new text aaaa1111"]}', finish_reason="stop"))
    return read_trail(folder)


# --- one lesson


def test_a_lessons_life_is_told_from_the_failure_to_the_next_mining(trail: Trail) -> None:
    told = text_of(lineage.lesson(trail, "aaaa1111"))
    for part in (
        "text of flips", "right is billing, the student said access", "001-01", "billing taken for access", "2 failures",
        "6 lessons asked for", KEY[:16], "[user] Write tickets.", '{"items": ["new text aaaa1111"]}', "-> billing",
        "accepted", "teacher: billing (right about 41 of 60 seeds)", "student: access", "0.93",
        "trained on from round 1 on", "right in round 2",
    ):  # fmt: skip
        assert part in told
    story = [told.index(word) for word in ("failure", "weakness", "prompt", "reply", "verdict", "when mined again")]
    assert story == sorted(story)


def test_the_start_of_an_id_is_enough_where_it_is_one_lessons(trail: Trail) -> None:
    assert "aaab2222" in text_of(lineage.lesson(trail, "aaab"))
    with pytest.raises(RunError, match=r"'aaa' is how 2 ids begin .*aaaa1111, aaab2222"):
        lineage.lesson(trail, "aaa")
    with pytest.raises(RunError, match=r"no candidate whose id is or starts with 'zzz'.*for example aaaa1111"):
        lineage.lesson(trail, "zzz")


def test_a_lesson_without_aim_is_no_lesson_for_the_failure_that_it_was_written_beside(trail: Trail) -> None:
    aside = Weakness(id="001-02", name="every label, without aim", failures=(), lessons=2)
    write_records(trail.folder.round(1) / "weaknesses.jsonl", [*trail.rounds[0].weaknesses, aside])
    lessons = [one.model_copy(update={"weakness_id": "001-02"}) for one in CANDIDATES[:1]] + CANDIDATES[1:2]
    write_records(trail.folder.round(1) / "candidates.jsonl", [*lessons, *CANDIDATES[2:]])
    write_records(trail.folder.round(1) / "lessons.jsonl", [Lesson(**one.model_dump()) for one in lessons])
    told = text_of(lineage.failure(read_trail(trail.folder), "flips"))
    assert "no lesson for it was accepted" in told and "aaaa1111" not in told and "bbbb3333" in told
    assert "1 other candidate, 1 of them accepted" in told


def test_a_rejected_candidate_has_a_life_too(trail: Trail) -> None:
    told = text_of(lineage.lesson(trail, "cccc"))
    for part in ("candidate", "near-duplicate: 0.71 alike seed 9", "never trained on", "without a teacher"):
        assert part in told


def test_a_lesson_a_person_edited_is_shown_as_it_was_trained_on(trail: Trail) -> None:
    edited = [Lesson.model_validate({**one.model_dump(), "prompt": "put better"}) for one in CANDIDATES[:1]]
    write_records(trail.folder.round(1) / "lessons.jsonl", edited)
    told = text_of(lineage.lesson(read_trail(trail.folder), "aaaa1111"))
    assert "new text aaaa1111" in told and "put better" in told


def test_what_a_person_decided_takes_the_place_of_what_curation_said(trail: Trail) -> None:
    rejected = [VERDICTS[0].model_copy(update={"accepted": False, "reason": "rejected by a person"}), *VERDICTS[1:]]
    write_records(trail.folder.round(1) / "reviewed.jsonl", rejected)
    told = text_of(lineage.lesson(read_trail(trail.folder), "aaaa1111"))
    assert "rejected by a person" in told


# --- one failure


def test_a_failures_story_says_what_was_tried_and_that_it_flipped(trail: Trail) -> None:
    told = text_of(lineage.failure(trail, "flips"))
    for part in ("round 1: wrong (access), round 2: right", "aaaa1111  contrast  accepted", "cccc4444  rephrase",
                 "with 1 other failure", "flipped: right in round 2"):  # fmt: skip
        assert part in told
    assert "aaab2222" not in told, "that one was written for another failure"


def test_a_failure_that_lessons_did_not_mend_is_called_that(trail: Trail) -> None:
    assert "not flipped: wrong (access) in round 2" in text_of(lineage.failure(trail, "st"))


def test_nothing_is_said_to_have_flipped_before_it_was_mined_again(trail: Trail) -> None:
    first = Trail(trail.folder, trail.rounds[:1])
    assert "not mined again" in text_of(lineage.failure(first, "flips"))
    assert "not mined again" in text_of(lineage.lesson(first, "aaaa1111"))


def test_an_item_that_never_failed_is_no_failure(trail: Trail) -> None:
    with pytest.raises(RunError, match="no failure"):
        lineage.failure(trail, "beside")


# --- tables


def test_weaknesses_are_counted_with_what_came_of_them(trail: Trail) -> None:
    (line,) = [line for line in text_of(lineage.weaknesses(trail)).splitlines() if "001-01" in line]
    assert line.split()[-6:] == ["2", "6", "2", "1", "of", "2"]
    first = Trail(trail.folder, trail.rounds[:1])
    (line,) = [line for line in text_of(lineage.weaknesses(first)).splitlines() if "001-01" in line]
    assert line.split()[-1] == "-"


def test_a_weakness_shows_the_wrong_move_and_a_failure(trail: Trail) -> None:
    told = text_of(lineage.weaknesses(trail))
    failed = trail.rounds[0].weaknesses[0].failures[0].seed
    assert f"{failed.prompt} -> billing; the student said access" in told and "drops the unit" not in told
    weak = trail.rounds[0].weaknesses[0].model_copy(update={"wrong_move": "drops the unit"})
    named = Trail(trail.folder, [replace(trail.rounds[0], weaknesses=[weak])])
    assert "drops the unit" in text_of(lineage.weaknesses(named))


def test_rejected_candidates_are_counted_by_reason_and_strategy_with_examples(trail: Trail) -> None:
    told = text_of(lineage.rejected(trail))
    assert "near-duplicate 2  (rephrase 1, skill 1)" in told
    assert "control-character 1  (contrast 1)" in told
    assert told.index("near-duplicate 2") < told.index("control-character 1"), "the most frequent first"
    assert "wordy -> billing" in told and "0.66 alike seed 8" in told


def test_text_from_data_is_neither_escape_nor_markup(trail: Trail) -> None:
    for part in (lineage.rejected(trail), lineage.lesson(trail, "bbbb"), lineage.failure(trail, "flips")):
        told = text_of(part)
        assert "\x1b" not in told
        assert "[bold]markup[/bold]" in told


# --- runs that are not whole


def test_a_run_that_has_not_come_far_is_told_as_far_as_it_goes(tmp_path: Path, trail: Trail) -> None:
    empty = read_trail(RunFolder(tmp_path / "nothing-1"))
    assert "No weakness" in text_of(lineage.weaknesses(empty))
    assert "Nothing has been rejected" in text_of(lineage.rejected(empty))
    with pytest.raises(RunError, match="none yet"):
        lineage.lesson(empty, "a")
    (trail.folder.round(1) / "verdicts.jsonl").unlink()
    assert "not judged yet" in text_of(lineage.lesson(read_trail(trail.folder), "aaaa1111"))


def test_a_damaged_file_is_named(trail: Trail) -> None:
    (trail.folder.round(1) / "candidates.jsonl").write_text("{]\n")
    with pytest.raises(RunError, match=r"candidates\.jsonl"):
        read_trail(trail.folder)


# --- from the command line, on a whole run


@pytest.fixture(scope="module")
def errands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with a table student and the scripted teacher."""
    runs = tmp_path_factory.mktemp("runs")
    with table_student():
        assert command_line(words("run", "--ui", "quiet", "--name", "errands", runs=runs)) == 0
    return runs / "errands-1"


def show(folder: Path, capsys: Any, *options: str) -> str:
    capsys.readouterr()
    code = command_line(["show", str(folder), *options])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def test_show_tells_of_a_runs_lessons(errands: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    lessons = [json.loads(line) for line in (errands / "rounds/001/lessons.jsonl").read_text().splitlines()]
    one = next(lesson for lesson in lessons if lesson["request_key"])
    told = show(errands, capsys, "--lesson", one["id"][:10])
    for part in (
        one["prompt"],
        one["answer"],
        "DATA:",
        "teacher: ",
        "nearest seeds: ",
        "student: ",
        "right about",
    ):
        assert part in told
    assert one["parent_id"] in show(errands, capsys, "--failure", one["parent_id"])
    assert one["weakness_id"] in show(errands, capsys, "--weaknesses")
    counted = show(errands, capsys, "--rejected", "--weaknesses")
    verdicts = [json.loads(line) for line in (errands / "rounds/001/verdicts.jsonl").read_text().splitlines()]
    for reason in {row["reason"] for row in verdicts if not row["accepted"]}:
        assert f"{reason} {sum(row['reason'] == reason for row in verdicts)}" in counted


def test_prompts_are_shown_with_their_hash_and_where_the_run_had_others(
    errands: Path, tmp_path: Path, capsys: Any
) -> None:
    told = show(errands, capsys, "--prompts")
    assert all(f"--- {name} ({version})\n" in told for name, version, _ in every_prompt())
    run = tmp_path / "errands-1"
    shutil.copytree(errands, run)
    lines = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(
        lines.replace(f'"contrast_label": "{version_of("contrast_label")}"', '"contrast_label": "0badc0de"')
    )
    told = show(run, capsys, "--prompts")
    assert f"contrast_label ({version_of('contrast_label')}; the run had another, 0badc0de" in told
    assert told.count("the run had another") == 1


def test_an_unknown_id_is_one_paragraph(errands: Path, capsys: Any) -> None:
    capsys.readouterr()
    assert command_line(["show", str(errands), "--lesson", "nope"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "'nope'" in err
