"""Control arms equal the best student in one way each, are made before `test` is opened, and survive what a run survives."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dry_run import bought, command_line, crash_server, events, products, table_student, words

from loops.claims import Gain, control_sentence
from loops.control import FOLDERS, NUMBER, SPEND, STEPS, until, within
from loops.stats import Comparison
from loops.untargeted import Written
from student.records import Lesson, Seed
from teacher.aimless import aimless
from teacher.generate import GenerateSettings
from teacher.sheet import TaskSheet

ROUNDS = {"stop__rounds": "2", "generate__lessons": "16"}
KILLS = 8


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: runs sync to the disk thousands of times."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


def run_with(folder: Path, *more: str, **changes: str) -> Path:
    """A run to its end with a table for a student."""
    with table_student():
        arguments = words("run", *more, "--ui", "quiet", "--name", "errands", runs=folder, **ROUNDS | changes)
        assert command_line(arguments) == 0
    return folder / "errands-1"


@pytest.fixture(scope="module")
def plain(memory: Path) -> Path:
    return run_with(memory / "plain")


@pytest.fixture(scope="module")
def run(memory: Path) -> Path:
    return run_with(memory / "control", "--control")


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def lessons(run: Path, arm: str) -> list[str]:
    """The ids of what an arm learned."""
    return [
        json.loads(line)["id"] for line in (run / "control" / FOLDERS[arm] / "lessons.jsonl").read_text().splitlines()
    ]


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(run / "ledger.sqlite")) as ledger:
        return ledger.execute(query).fetchall()


def notes(run: Path) -> list[str]:
    return [event["text"] for event in events(run) if event["event"] == "note"]


def test_every_arm_is_trained_before_test_is_opened_and_compared_on_it_once(run: Path) -> None:
    claim = load(run / "claim" / "claim.json")
    assert [one["name"] for one in claim["controls"]] == [SPEND, NUMBER, STEPS] and claim["controls_missing"] == {}
    told = [event for event in events(run) if event["event"] in ("loss", "score", "note")]
    opened = next(at for at, event in enumerate(told) if "test is opened" in event.get("text", ""))
    assert not [event for event in told[opened:] if event["event"] == "loss"]
    examined = [event["student"] for event in told[opened:] if event["event"] == "score"]
    assert examined[-3:] == [f"control: {name}" for name in (SPEND, NUMBER, STEPS)]
    said = next(event["sentence"] for event in events(run) if event["event"] == "claim")
    assert all(one["sentence"] in said for one in claim["controls"])


def test_equal_spend_holds_to_within_one_request(run: Path) -> None:
    listed = load(run / "control" / "arms.json")
    size, wanted = listed["arms"][0]["size"], listed["best"]
    best = load(run / "claim" / "claim.json")["best"]
    tokens = "SELECT SUM(prompt_tokens + completion_tokens) FROM requests WHERE"
    assert wanted["tokens"] == rows(run, f"{tokens} round BETWEEN 1 AND {best}")[0][0] > 0
    stream = [row for path in sorted(run.glob("control/untargeted/*/tokens.json")) for row in load(path)]
    whole = [row["write"] + row["check"] for row in stream]
    bought_for = {
        purpose: rows(run, f"{tokens} tag = 'control' AND purpose = '{purpose}'")[0][0]
        for purpose in ("write", "answer")
    }
    assert sum(row["write"] for row in stream) == bought_for["write"] > 0
    # A question that the rounds had asked already was not bought again, but is counted.
    assert sum(row["check"] for row in stream) >= bought_for["answer"] > 0
    count = next(at for at in range(len(whole)) if sum(whole[: at + 1]) > wanted["tokens"])
    assert size["tokens"] == sum(whole[:count]) <= wanted["tokens"] < sum(whole[: count + 1])
    assert len(lessons(run, SPEND)) == size["lessons"] > 0


def test_the_equal_number_arm_has_as_many_lessons_from_the_same_stream(run: Path) -> None:
    wanted = load(run / "control" / "arms.json")["best"]["lessons"]
    spend, number = lessons(run, SPEND), lessons(run, NUMBER)
    assert len(number) == wanted > 0
    assert number[: len(spend)] == spend[: len(number)]
    learned = load(run / "control" / "equal-number" / "adapter" / "table.json")
    assert len(learned) == wanted + len(load(run / "control" / "equal-steps" / "adapter" / "table.json"))


def test_control_requests_are_told_apart_in_the_ledger_and_leave_the_rounds_alone(run: Path, plain: Path) -> None:
    assert {row[0] for row in rows(run, "SELECT DISTINCT tag FROM requests WHERE round = -1")} == {"control"}
    assert rows(run, "SELECT COUNT(*) FROM requests WHERE round >= 0 AND tag = 'control'") == [(0,)]
    with_arms, without = products(run), products(plain)
    assert {path: with_arms[path] for path in without if path != "claim/claim.json"} == {
        path: text for path, text in without.items() if path != "claim/claim.json"
    }
    written = [event for event in events(run) if event["event"] in ("accepted", "rejected")]
    assert len(written) == len([event for event in events(plain) if event["event"] in ("accepted", "rejected")])


def test_a_budget_that_ends_in_the_arms_leaves_them_out_and_the_claim_in(plain: Path, tmp_path: Path) -> None:
    spent = rows(plain, "SELECT SUM(charged_tokens) FROM requests")[0][0]
    short = run_with(tmp_path, "--control", budget__tokens=str(spent + 2500))
    claim = load(short / "claim" / "claim.json")
    assert [one["name"] for one in claim["controls"]] == [STEPS]
    assert set(claim["controls_missing"]) == {SPEND, NUMBER}
    assert all("budget.tokens=" in reason for reason in claim["controls_missing"].values())
    assert rows(short, "SELECT SUM(charged_tokens) FROM requests")[0][0] <= spent + 2500
    assert claim["best"] == load(plain / "claim" / "claim.json")["best"]
    assert [text for text in notes(short) if f"'{SPEND}' is missing" in text]
    assert events(short)[-1]["reason"] == events(plain)[-1]["reason"], "the run ended for its own reason"


def test_arms_that_a_replayed_run_was_never_told_are_missing_and_the_claim_is_made(plain: Path, tmp_path: Path) -> None:
    again = run_with(tmp_path, "--control", "--set", f"teacher.replay={plain}")
    claim = load(again / "claim" / "claim.json")
    assert [one["name"] for one in claim["controls"]] == [STEPS]
    assert all("holds no reply" in claim["controls_missing"][name] for name in (SPEND, NUMBER))
    assert claim["best"] == load(plain / "claim" / "claim.json")["best"]


def test_where_the_seed_only_student_is_kept_no_arm_is_made(tmp_path: Path) -> None:
    found = run_with(tmp_path, "--control", stop__rounds="0")
    claim = load(found / "claim" / "claim.json")
    assert (claim["best"], claim["controls"], claim["controls_missing"]) == (0, [], {})
    assert [text for text in notes(found) if text.startswith("no control arm is needed")]
    assert not (found / "control").exists()


def test_several_training_seeds_compare_each_arm_over_all_of_them(tmp_path: Path) -> None:
    found = run_with(tmp_path, "--control", train__seeds="2", stop__rounds="1")
    for one in load(found / "claim" / "claim.json")["controls"]:
        assert one["lessons"]["seeds"] == 2 and "over 2 training seeds" in one["sentence"]
        assert (found / "control" / FOLDERS[one["name"]] / "training-2").is_dir()


def test_a_cross_fitted_run_has_arms_too(tmp_path: Path) -> None:
    found = run_with(tmp_path, "--control", mode="cross-fit")
    claim = load(found / "claim" / "claim.json")
    assert claim["best"] and [one["name"] for one in claim["controls"]] == [SPEND, NUMBER, STEPS]
    seeds = len(load(found / "control" / "equal-steps" / "adapter" / "table.json"))
    assert seeds == len(load(found / "splits.json")["mine"]), (
        "arms learn all seeds, like the student they are held against"
    )


def test_lessons_that_cost_nothing_have_no_equal_spend(tmp_path: Path) -> None:
    found = run_with(tmp_path, "--control", stop__rounds="1", curate__verify="false", generate__mix="{rephrase: 1}")
    claim = load(found / "claim" / "claim.json")
    if claim["best"]:
        assert claim["controls_missing"][SPEND] == "the lessons cost no teacher tokens"


def test_killed_anywhere_in_the_arms_it_resumes_to_the_same_bytes_and_buys_nothing_twice(memory: Path) -> None:
    def begin(runs: Path, last: int = 0) -> dict[str, int]:
        arguments = words("run", "--control", "--ui", "quiet", "--name", "errands", runs=runs, **ROUNDS)
        return forked(arguments, runs / "errands-1", last)

    with crash_server(memory / "cache") as forked:
        reference = memory / "reference"
        steps = begin(reference)["steps"]
        draw, killed = random.Random(3), 0
        for last in sorted(draw.sample(range(steps // 2, steps - 40), KILLS)):
            runs = memory / f"killed-{last}"
            assert begin(runs, last)["code"] == -signal.SIGKILL
            verb = [event["verb"] for event in events(runs / "errands-1") if event["event"] == "verb.started"][-1]
            killed += verb == "control"
            ended = forked(words("resume", "errands", "--ui", "quiet", runs=runs), runs / "errands-1", 0)
            assert ended["code"] == 0, f"killed at step {last} in {verb}"
            found, wanted = products(runs / "errands-1"), products(reference / "errands-1")
            assert found.keys() == wanted.keys()
            assert [path for path in wanted if found[path] != wanted[path]] == []
            assert bought(runs / "errands-1") == bought(reference / "errands-1")
            assert set(bought(runs / "errands-1").values()) == {1}
            shutil.rmtree(runs)
        assert killed >= KILLS // 2


# --- cutting the stream


def written(*sizes: tuple[int, int]) -> list[Written]:
    """Requests of so many tokens that brought so many lessons."""
    return [
        Written(tokens, tuple(lesson(f"{at}/{each}") for each in range(count)))
        for at, (tokens, count) in enumerate(sizes)
    ]


def lesson(name: str) -> Lesson:
    return Lesson(
        id=name, prompt="?", answer="!", round=1, weakness_id="", parent_id="s", strategy="untargeted", request_key="k"
    )


@pytest.mark.parametrize(("tokens", "requests"), [(0, 0), (9, 0), (10, 1), (29, 1), (30, 2), (31, 3), (1000, 4)])
def test_the_longest_beginning_that_costs_no_more(tokens: int, requests: int) -> None:
    assert len(within(written((10, 1), (20, 0), (1, 2), (5, 0)), tokens)) == requests


def test_a_request_that_cost_nothing_is_not_left_out() -> None:
    assert len(within(written((10, 1), (0, 0)), 10)) == 2


@pytest.mark.parametrize(("lessons", "requests"), [(0, 0), (1, 1), (2, 3), (3, 3), (9, 4)])
def test_the_shortest_beginning_with_so_many_lessons(lessons: int, requests: int) -> None:
    assert len(until(written((10, 1), (20, 0), (1, 2), (5, 0)), lessons)) == requests


def pair(gain: float, low: float, high: float, p: float) -> Comparison:
    return Comparison(n=100, gain=gain, low=low, high=high, gained=9, lost=1, p=p)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (pair(0.031, -0.004, 0.065, 0.08), "Better than X by 3.1 points (95 % CI -0.4 to 6.5), p=0.080: not shown."),
        (pair(0.112, 0.06, 0.16, 0.001), "Better than X by 11.2 points (95 % CI 6.0 to 16.0), p=0.001: shown."),
        (pair(0.0, -0.03, 0.03, 1.0), "No better than X: 0.0 points (95 % CI -3.0 to 3.0), p=1.000: not shown."),
        (pair(-0.09, -0.14, -0.04, 0.001),
         "Worse than X by 9.0 points (95 % CI of the difference -14.0 to -4.0), p=0.001: better is not shown."),
        (Gain(seeds=3, n=100, gain=0.05, low=0.01, high=0.09, p=0.03, per_seed=(0.05, 0.05, 0.05)),
         "Better than X by 5.0 points (95 % CI 1.0 to 9.0) over 3 training seeds, p=0.030: shown."),
    ],
)  # fmt: skip
def test_the_sentence_says_by_how_much_and_whether_that_is_shown(found: Comparison | Gain, words: str) -> None:
    assert control_sentence(found, "X") == words


KINDS = TaskSheet(task="Sort.", noun="clue", labels=("river", "city", "hill"))
CLUES = [
    Seed(id=f"s{at:02d}", prompt=f"{word} it flows by town{at}", answer=label, skill=label, choices=KINDS.labels)
    for at, (word, label) in enumerate(
        [*(("Where", "river"),) * 12, *(("Which", "city"),) * 6, *(("How", "hill"),) * 6]
    )
]


def test_untargeted_lessons_are_written_as_the_runs_own_are_in_the_seeds_proportions() -> None:
    orders = aimless(KINDS, CLUES, GenerateSettings(lessons=48), 1001, 0)
    assert {order.want.strategy for order in orders} == {"style"}
    assert {order.want.weakness_id for order in orders} == {""}
    asked = {label: sum(one.count for one in orders if one.want.answers[0] == label) for label in KINDS.labels}
    assert asked == {"river": 24, "city": 12, "hill": 12}
    first = [order.want.answers[0] for order in orders]
    assert first != sorted(first, key=KINDS.labels.index), "an arm that is cut short has all labels"
    told = "".join(message.content for order in orders for message in order.request.messages)
    assert "wrong_answer" not in told and "confuses" not in told
    assert [one.request for one in aimless(KINDS, CLUES, GenerateSettings(lessons=48), 1002, 0)] != [
        one.request for one in orders
    ]


def test_untargeted_lessons_beside_other_strategies_have_the_plain_form() -> None:
    orders = aimless(KINDS, CLUES, GenerateSettings(lessons=48, mix={"contrast": 2, "style": 1}), 1001, 0)
    assert {order.want.strategy for order in orders} == {"untargeted"}


def test_seeds_alone_for_as_many_steps_are_not_trained_or_asked_again_where_they_were_trained_as_long(
    tmp_path: Path,
) -> None:
    """The table student makes one step, whatever it learns: where one is what is set, the arm is the seed-only student itself."""

    def trained(**changes: str) -> tuple[list[str], Path]:
        found = run_with(tmp_path / changes["train__min_steps"], "--control", stop__rounds="1", **changes)
        made = [event["student"] for event in events(found) if event["event"] == "loss"]
        return made, found

    made, found = trained(train__min_steps="1", train__seeds="2")
    assert made.count(f"control: {NUMBER}") == 2 and made.count("seed-only, training 2") == 0
    assert made.count(f"control: {STEPS}") == 1, "the second training of the seeds is made for the arm and for both"
    arm = found / "control" / FOLDERS[STEPS]
    for adapter, same in (("adapter", "rounds/000/adapter"), ("training-2", "claim/training-2/seed-only")):
        assert (arm / adapter / "table.json").read_bytes() == (found / same / "table.json").read_bytes()
    told = [event for event in events(found) if event["event"] == "verb.progress" and STEPS in event.get("note", "")]
    assert len(told) == 1, "of two trainings the first was examined as the seed-only student"
    said = (arm / "attempts.test.jsonl").read_bytes()
    assert said == (found / "claim/attempts.seed-only.test.jsonl").read_bytes()
    made, _ = trained(train__min_steps="8")
    assert made.count(f"control: {STEPS}") == 1
