"""A teacher is told the columns that `teacher.send_columns` lists, and of the others not a word; students are asked everything."""

from __future__ import annotations

import csv
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dry_run import command_line, events, table_student

from loops.learning import failures_of
from student.evals.load import EvalSet, load_evals
from student.evals.sending import columns_told, narrowed
from student.evals.spec import EvalError
from student.records import Attempt, Candidate, read_records

SECRET = "Montgomery"
SPEC = """\
name: desk
source: desk.csv
prompt: "{{ subject }}: {{ body }}{% if customer %} (from {{ customer }}){% endif %}"
columns: {answer: queue, id: number, skill: team}
labels: {billing: money, access: logins}
splits: {mine: 20, select: 10}
"""
WORDS = [first + last for first in ("lin", "mar", "tor", "vel", "quo") for last in ("den", "fax", "gill", "sop")]


def write(place: Path, rows: list[list[str]]) -> None:
    with place.open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    draw, rows = random.Random(0), [["number", "subject", "body", "customer", "queue", "team"]]
    for at in range(60):
        subject, body = (" ".join(draw.sample(WORDS, count)) for count in (2, 7))
        rows.append(
            [f"n{at}", subject, f"{body} door", f"{SECRET} {at}", ["billing", "access"][at % 2], f"team {at % 3}"]
        )
    write(tmp_path / "desk.csv", rows)
    (tmp_path / "desk.yaml").write_text(SPEC)
    return tmp_path / "desk.yaml"


def told(place: Path, *send: str) -> EvalSet:
    return narrowed(load_evals(place), str(place), send)


def changed(place: Path, old: str, new: str) -> Path:
    assert old in SPEC
    place.write_text(SPEC.replace(old, new))
    return place


def test_a_template_is_filled_in_without_what_is_kept_back(desk: Path) -> None:
    evals = told(desk, "subject", "body", "queue")
    assert all(SECRET in seed.prompt for seed in evals.seeds)
    assert not any(SECRET in seed.prompt for seed in evals.for_teacher)
    for whole, part in zip(evals.seeds, evals.for_teacher, strict=True):
        assert whole.prompt.startswith(part.prompt) and part.prompt.count("door") == 1
        assert (part.id, part.answer, part.choices) == (whole.id, whole.answer, whole.choices)


def test_nothing_is_kept_back_where_nothing_is_said(desk: Path) -> None:
    evals = load_evals(desk)
    assert narrowed(evals, str(desk), None).for_teacher == evals.seeds
    assert columns_told(evals.spec, None) == ("body", "customer", "subject", "queue")


def test_the_columns_that_are_told_are_said(desk: Path) -> None:
    assert columns_told(load_evals(desk).spec, ("queue", "subject", "team")) == ("subject", "queue")
    written = changed(desk, "labels: {billing: money, access: logins}", "kind: generate")
    assert columns_told(load_evals(written).spec, None) == ("body", "customer", "subject", "queue", "team")


def test_skills_are_told_only_where_their_column_is(desk: Path) -> None:
    assert {seed.skill for seed in told(desk, "subject", "queue").for_teacher} == {"billing", "access"}
    assert {seed.skill for seed in told(desk, "subject", "queue", "team").for_teacher} == {"team 0", "team 1", "team 2"}
    written = changed(desk, "labels: {billing: money, access: logins}", "kind: generate")
    assert {seed.skill for seed in told(written, "body", "queue").for_teacher} == {""}


def test_the_fingerprint_stays(desk: Path) -> None:
    assert told(desk, "subject", "queue").fingerprint == load_evals(desk).fingerprint


@pytest.mark.parametrize(
    ("send", "said"),
    [
        (("subject", "queues"), "names 'queues'"),
        (("subject", "queues"), "Did you mean 'queue'?"),
        (("subject",), "leaves out 'queue', which holds the answer"),
        (("queue",), "which holds the question"),
    ],
)
def test_a_list_that_cannot_be_kept_to_is_refused(desk: Path, send: tuple[str, ...], said: str) -> None:
    with pytest.raises(EvalError, match=r"teacher\.send_columns") as caught:
        told(desk, *send)
    assert said in str(caught.value)


def test_a_question_of_one_column_cannot_be_kept_back(desk: Path) -> None:
    plain = changed(
        desk,
        'prompt: "{{ subject }}: {{ body }}{% if customer %} (from {{ customer }}){% endif %}"\ncolumns: {',
        "columns: {prompt: body, ",
    )
    with pytest.raises(EvalError, match="leaves out 'body', which holds the question"):
        told(plain, "queue")


def test_a_row_of_which_nothing_is_left_is_named(desk: Path) -> None:
    bare = changed(desk, "{{ subject }}: {{ body }}", "{{ subject }}{{ body }}")
    with (desk.parent / "desk.csv").open(newline="") as handle:
        head, first, *others = csv.reader(handle)
    write(desk.parent / "desk.csv", [head, [first[0], "", *first[2:]], *others])
    with pytest.raises(EvalError, match=r"desk\.csv:2: .*send_columns"):
        told(bare, "subject", "queue")


# --- a whole run


@pytest.fixture
def quick(desk: Path, tmp_path: Path) -> Iterator[list[str]]:
    settings = {
        "teacher.send_columns": "[subject, body, queue]", "generate.lessons": "8", "stop.rounds": "1", "mode": "select",
        "teacher.check_items": "6", "curate.answers": "1",
    }  # fmt: skip
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    with table_student():
        yield [
            "run",
            "--evals",
            str(desk),
            "--student",
            "builtin:tiny",
            "--name",
            "desk",
            "--ui",
            "quiet",
            "--runs",
            str(tmp_path / "runs"),
            *sets,
        ]


def test_no_request_holds_a_word_of_what_is_kept_back(quick: list[str], tmp_path: Path) -> None:
    assert command_line([*quick, "--teacher", "scripted"]) == 0
    with sqlite3.connect(tmp_path / "runs" / "desk-1" / "ledger.sqlite") as book:
        asked = [row[0] for row in book.execute("SELECT request FROM requests")]
    purposes = {part for part in ("write", "answer") if any(f'"purpose":"{part}"' in one for one in asked)}
    assert purposes == {"write", "answer"}
    assert any("door" in one for one in asked) and not any(SECRET in one for one in asked)


def test_what_is_rephrased_on_this_machine_is_the_whole_item(quick: list[str], tmp_path: Path) -> None:
    mix = ["--set", "generate.mix={rephrase: 1, contrast: 1}", "--teacher", "scripted"]
    assert command_line([*quick, *mix]) == 0
    run = tmp_path / "runs" / "desk-1"
    written = read_records(run / "rounds" / "001" / "candidates.jsonl", Candidate)
    rephrased = [one for one in written if one.strategy == "rephrase"]
    assert rephrased and all("(from " in one.prompt.lower() for one in rephrased)
    assert not any("(from " in one.prompt for one in written if one.strategy != "rephrase")
    with sqlite3.connect(run / "ledger.sqlite") as book:
        asked = [row[0] for row in book.execute("SELECT request FROM requests")]
    assert asked and not any(SECRET.lower() in one.lower() for one in asked)


def test_the_run_says_which_columns_go_where(quick: list[str], tmp_path: Path) -> None:
    nowhere = [
        "--set",
        "teacher.model=m",
        "--set",
        "teacher.base_url=http://127.0.0.1:9/v1",
        "--set",
        "teacher.deadline_seconds=1",
    ]
    assert command_line([*quick, *nowhere]) == 2
    (leaves,) = [one for one in events(tmp_path / "runs" / "desk-1") if one["event"] == "run.leaves"]
    assert (leaves["columns"], leaves["items"]) == (["body", "subject", "queue"], 20)


def test_a_student_that_repeats_its_question_does_not_tell_the_teacher_what_is_kept_back(desk: Path) -> None:
    whole, narrow = load_evals(desk), told(desk, "subject", "body", "queue")
    crew: Any = SimpleNamespace(evals=narrow, settings=SimpleNamespace(mine=SimpleNamespace(margin=None)))
    label = next(iter(whole.spec.labels))
    for said, expected in ((lambda seed: seed.prompt, ""), (lambda seed: label, label)):
        attempts = [Attempt(item_id=seed.id, output=said(seed), outcome="wrong", score=0.0) for seed in whole.seeds]
        assert {one.wrong_answer for one in failures_of(crew, attempts)} == {expected}
    crew.evals = whole
    attempts = [Attempt(item_id=seed.id, output=seed.prompt, outcome="wrong", score=0.0) for seed in whole.seeds]
    assert {one.wrong_answer for one in failures_of(crew, attempts)} == {seed.prompt for seed in whole.seeds}
