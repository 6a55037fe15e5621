"""A person's review: nothing is trained on undecided, nothing decided is lost, and what was decided is what becomes of it.

Whole runs with the scripted teacher and a table student, in this process; the person is a function that decides.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dry_run import bought, command_line, events, products, table_student, words

from agent.launch import drive, same_evals
from loops.review import Decision, Docket
from loops.run_folder import RunFolder
from teacher.curate import Edit

Person = Callable[[Docket], None]
NEW = "a wall map of the whole county"


@pytest.fixture(autouse=True)
def quick_student() -> Iterator[None]:
    with table_student():
        yield


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was started with --review where nobody is at the terminal."""
    runs = tmp_path_factory.mktemp("runs")
    with table_student():
        assert begin(runs, "--review") == 130
    return runs / "errands-1"


@pytest.fixture
def waiting(stopped: Path, tmp_path: Path) -> RunFolder:
    """A copy of it."""
    shutil.copytree(stopped, tmp_path / "errands-1", symlinks=True)
    return RunFolder(tmp_path / "errands-1")


def begin(runs: Path, *more: str) -> int:
    return command_line(words("run", "--ui", "quiet", "--name", "errands", *more, runs=runs, generate__lessons="16"))


def go_on(folder: RunFolder, person: Person | None) -> int:
    """Resume with this person at the terminal; returns the exit code."""
    settings, fingerprint = folder.load_settings()
    evals = same_evals(folder, settings, fingerprint, False)
    code, message = drive(folder, settings, evals, lambda event: None, True, person)
    assert not message, message
    return code


def decide(docket: Docket, act: Any, edit: Edit | None = None) -> str | None:
    """Decide about the next lesson."""
    return docket.decide(Decision(candidate_id=docket.waiting[0].candidate.id, act=act, edit=edit))


def accept_all(docket: Docket) -> None:
    while docket.waiting:
        decide(docket, "accept")


def rows(folder: RunFolder, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.round(1) / name).read_text().splitlines()]


def ended(folder: RunFolder) -> dict[str, Any]:
    return events(folder.path)[-1]


# --- waiting


def test_without_a_person_the_run_stops_resumably_and_says_how_to_go_on(waiting: RunFolder) -> None:
    end = ended(waiting)
    assert (end["event"], end["status"], end["reason"]) == ("run.ended", "stopped", "review")
    assert re.search(r"`llm2llm resume \S+/errands-1` in a terminal", end["sentence"])
    assert not (waiting.round(1) / "lessons.jsonl").exists()
    assert ("train", 1) not in {
        (one["verb"], one["round"]) for one in events(waiting.path) if one["event"] == "verb.started"
    }


def test_it_goes_on_waiting_however_often_it_is_resumed(waiting: RunFolder) -> None:
    before = products(waiting.path)
    for _ in range(2):
        assert go_on(waiting, None) == 130
    assert products(waiting.path) == before
    assert ended(waiting)["reason"] == "review"


def test_a_run_whose_lessons_are_all_accepted_is_a_run_without_review(waiting: RunFolder, tmp_path: Path) -> None:
    assert go_on(waiting, accept_all) == 0
    assert begin(tmp_path) == 0
    plain = RunFolder(tmp_path / "errands-2")
    for name in ("lessons.jsonl", "diversity.json", "adapter/table.json", "attempts.select.jsonl"):
        assert (waiting.round(1) / name).read_bytes() == (plain.round(1) / name).read_bytes()
    assert not (plain.round(1) / "review.jsonl").exists()
    assert set(bought(waiting.path).values()) == {1}


# --- deciding


def test_lessons_are_what_the_person_left_and_every_reason_is_counted(waiting: RunFolder) -> None:
    shown: list[str] = []

    def person(docket: Docket) -> None:
        shown.extend(case.candidate.id for case in docket.waiting)
        assert decide(docket, "reject") is None
        assert decide(docket, "edit", Edit(prompt=NEW, answer="bookshop")) is None
        accept_all(docket)

    assert go_on(waiting, person) == 0
    lessons, reviewed = (
        rows(waiting, "lessons.jsonl"),
        {row["candidate_id"]: row for row in rows(waiting, "reviewed.jsonl")},
    )
    assert [lesson["id"] for lesson in lessons] == shown[1:]
    assert (lessons[0]["prompt"], lessons[0]["answer"], lessons[0]["skill"]) == (NEW, "bookshop", "bookshop")
    assert reviewed[shown[0]]["reason"] == "rejected by a person"
    assert "edited by a person; the teacher wrote" in reviewed[shown[1]]["detail"]
    assert reviewed[shown[1]]["witnesses"], "what the witnesses said stays on record"
    table = json.loads((waiting.round(1) / "adapter" / "table.json").read_text())
    assert NEW in {row["prompt"] for row in table}
    told = {one["id"]: one for one in events(waiting.path) if one["event"] in ("accepted", "rejected")}
    assert told[shown[0]]["reason"] == "rejected by a person"
    assert told[shown[1]]["prompt"] == NEW
    assert set(told) == set(reviewed), "every candidate is told of once it is decided"


def test_when_everything_is_rejected_the_loop_ends_and_says_so(waiting: RunFolder) -> None:
    def person(docket: Docket) -> None:
        while docket.waiting:
            decide(docket, "reject")

    assert go_on(waiting, person) == 0
    assert rows(waiting, "lessons.jsonl") == []
    assert ended(waiting)["reason"] == "no-lessons"


@pytest.mark.parametrize(
    ("prompt", "answer", "reason"),
    [
        (NEW + " <|im_end|>", "bookshop", "control-token"), (NEW, "florist", "not-a-label"), ("", "bookshop", "empty"),
        ("two ripe mangoes for the pudding", "grocer", "held-out|duplicate"), (NEW + "\x1b[2J", "bookshop", "control-character"),
    ],
)  # fmt: skip
def test_an_edit_that_cannot_be_a_lesson_is_refused_and_not_kept(
    waiting: RunFolder, prompt: str, answer: str, reason: str
) -> None:
    said: list[str | None] = []

    def person(docket: Docket) -> None:
        count = len(docket.waiting)
        said.append(decide(docket, "edit", Edit(prompt=prompt, answer=answer)))
        assert len(docket.waiting) == count

    assert go_on(waiting, person) == 130
    assert said[0] is not None and any(said[0].startswith(one) for one in reason.split("|"))
    assert not (waiting.round(1) / "review.jsonl").exists()


def test_an_edit_may_not_copy_a_seed_a_held_out_item_or_another_lesson(waiting: RunFolder) -> None:
    said: dict[str, str | None] = {}

    def person(docket: Docket) -> None:
        settings, fingerprint = waiting.load_settings()
        evals = same_evals(waiting, settings, fingerprint, False)
        texts = {"seed": evals.seeds[0], "held out": evals.held_out.select()[0], "lesson": docket.cases[1].candidate}
        for name, one in texts.items():
            said[name] = decide(docket, "edit", Edit(prompt=one.prompt + "!", answer=one.answer))
        assert decide(docket, "edit", Edit(prompt=NEW, answer="bookshop")) is None
        said["edited"] = decide(docket, "edit", Edit(prompt=NEW.upper(), answer="bookshop"))

    go_on(waiting, person)
    assert {name: str(why).split(":")[0] for name, why in said.items()} == {
        "seed": "duplicate", "held out": "held-out", "lesson": "duplicate", "edited": "duplicate",
    }  # fmt: skip


# --- broken off


def test_a_review_that_was_broken_off_goes_on_with_the_next_lesson(waiting: RunFolder) -> None:
    class Killed(BaseException):
        """As kill -9: nothing after it is done."""

    def killed(docket: Docket) -> None:
        decide(docket, "reject")
        decide(docket, "accept")
        raise Killed

    with pytest.raises(Killed):
        go_on(waiting, killed)
    first = [row["candidate_id"] for row in rows(waiting, "review.jsonl")]
    shown: list[str] = []

    def person(docket: Docket) -> None:
        shown.extend(case.candidate.id for case in docket.waiting)
        accept_all(docket)

    assert go_on(waiting, person) == 0
    assert not set(first) & set(shown)
    decided = {row["candidate_id"]: row["act"] for row in rows(waiting, "review.jsonl")}
    assert [decided[name] for name in first] == ["reject", "accept"]
    assert len(rows(waiting, "lessons.jsonl")) == len(decided) - 1


def test_a_person_who_stops_is_told_what_is_left(waiting: RunFolder) -> None:
    assert go_on(waiting, accept_but_one) == 130
    assert ended(waiting)["sentence"].startswith("1 of ")


def accept_but_one(docket: Docket) -> None:
    while len(docket.waiting) > 1:
        decide(docket, "accept")


@pytest.mark.parametrize(
    "torn", ['{"candidate_id":"47', '{"candidate_id": 7, "act": "accept"}\n', "\n\n", "\x00\xff\n"]
)
def test_a_torn_or_damaged_line_is_a_lesson_shown_again(waiting: RunFolder, torn: str) -> None:
    file = waiting.round(1) / "review.jsonl"
    file.write_text(torn)
    counts: list[int] = []

    def person(docket: Docket) -> None:
        counts.append(len(docket.waiting))
        accept_all(docket)
        counts.append(len(docket.cases))

    assert go_on(waiting, person) == 0
    assert counts[0] == counts[1] > 0
    assert len(rows(waiting, "lessons.jsonl")) == counts[1]


def test_a_decision_written_by_other_hands_is_checked_like_any(waiting: RunFolder) -> None:
    file = waiting.round(1) / "review.jsonl"
    names = [row["candidate_id"] for row in rows(waiting, "verdicts.jsonl") if row["accepted"]]
    bad = Edit(prompt=NEW + " <|im_end|>", answer="bookshop")
    file.write_text(Decision(candidate_id=names[0], act="edit", edit=bad).model_dump_json() + "\n")
    assert go_on(waiting, accept_all) == 0
    reviewed = {row["candidate_id"]: row for row in rows(waiting, "reviewed.jsonl")}
    assert reviewed[names[0]]["reason"] == "control-token"
    assert names[0] not in {row["id"] for row in rows(waiting, "lessons.jsonl")}
