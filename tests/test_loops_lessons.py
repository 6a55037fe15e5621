"""From attempts to candidates: what counts as a failure, what is said of answers that were cut, who names and who writes.

With a real run folder, a real ledger and the scripted teacher; no student.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast

import pytest
from dry_run import ERRANDS, command_line, events, table_student, words

from loops.crew import Crew
from loops.folds import ALL, Ground
from loops.learning import failures_of, round_file
from loops.lessons import at_most, candidates_of, past_rounds, weaknesses_of
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from loops.state import State
from loops.unfinished import remedies, tokens_needed
from student.evals.load import EvalSet, load_evals
from student.evals.spec import EvalSpec
from student.held_out import HeldOut
from student.records import (
    Attempt,
    Candidate,
    Failure,
    HeldOutItem,
    Outcome,
    Seed,
    Weakness,
    read_records,
    write_records,
)
from teacher.aimless import NAME, anything
from teacher.answers import answer_request
from teacher.backend import Backend
from teacher.book import open_readonly
from teacher.client import Client
from teacher.errors import BudgetSpent
from teacher.ledger import Budget, Ledger
from teacher.replay import Replay
from teacher.requests import Reply, Request
from teacher.scripted import ScriptedTeacher

SUMS = [
    Seed(id=f"s{at:02d}", prompt=f"What is {at} and {at}?", answer=str(2 * at), skill=("small sums", "carrying")[at > 4])
    for at in range(10)
]  # fmt: skip
SPEC = EvalSpec.model_validate({
    "name": "sums", "source": "sums.jsonl", "kind": "generate", "scorer": "number", "max_new_tokens": 16,
    "noun": "problem", "instruction": "Add the numbers.",
})  # fmt: skip


class Talk:
    """What was said, as events."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, /, **fields: Any) -> None:
        self.said.append((name, fields))

    def notes(self) -> str:
        return " | ".join(fields["text"] for name, fields in self.said if name == "note")


class Broken(ScriptedTeacher):
    """A teacher that is asked for names and says something else."""

    def complete(self, request: Request) -> Reply:
        return (
            Reply(text="I would rather not.", finish_reason="stop")
            if request.purpose == "name"
            else super().complete(request)
        )


MakeCrew = Callable[..., Crew]


@pytest.fixture
def crew_of(tmp_path: Path) -> Iterator[MakeCrew]:
    """Makes crews with sums to do and nobody to learn them; all share one run folder."""
    with ExitStack() as cleaning:

        def make(
            budget: Budget | None = None,
            teacher: Callable[[Sequence[Seed]], Backend] = ScriptedTeacher,
            **settings: Any,
        ) -> Crew:
            items = [HeldOutItem(id=f"h{at}", prompt=f"What is {at} and 50?", answer=str(at + 50)) for at in range(2)]
            evals = EvalSet(SPEC, tuple(SUMS), HeldOut(items[:1], items[1:]), "print")
            ledger, talk = Ledger(tmp_path / "ledger.sqlite", budget or Budget()), Talk()
            cleaning.callback(ledger.close)
            client = Client(teacher(SUMS), ledger, emit=talk)
            generate = {"per_seed": None, **settings.pop("generate", {})}  # ten sums are few
            whole = RunSettings.model_validate({"evals": "sums.yaml", "generate": generate, **settings})
            return Crew(whole, evals, RunFolder(tmp_path), cast("Any", None), lambda: client, talk)

        yield make


def notes(crew: Crew) -> str:
    return cast("Talk", crew.emit).notes()


def attempt(seed: Seed, outcome: Outcome = "wrong", output: str = "7", margin: float | None = None) -> Attempt:
    return Attempt(item_id=seed.id, output=output, outcome=outcome, score=float(outcome == "right"), margin=margin)


ROUND = State(round=1)
FAILURES = [Failure(seed=seed, wrong_answer="7") for seed in SUMS[:8]]


# --- what is a failure


def test_right_answers_with_a_small_margin_come_after_the_wrong_ones_nearest_first(crew_of: MakeCrew) -> None:
    attempts = [
        attempt(SUMS[0], "right", "0", 0.9), attempt(SUMS[1], "right", "2", 0.2), attempt(SUMS[2], "wrong", "7", -3.0),
        attempt(SUMS[3], "right", "6", 0.1), attempt(SUMS[4], "truncated"), attempt(SUMS[5], "right", "10", None),
    ]  # fmt: skip
    crew = crew_of(mine={"margin": 0.5})
    found = failures_of(crew, attempts)
    assert [(one.seed.id, one.barely, one.margin, one.wrong_answer) for one in found] == [
        ("s02", False, -3.0, "7"), ("s03", True, 0.1, ""), ("s01", True, 0.2, ""),
    ]  # fmt: skip
    assert [one.seed.id for one in failures_of(crew_of(), attempts)] == ["s02"]


# --- what is met by length and form


def test_answers_that_were_cut_too_early_are_met_with_the_number_that_would_do() -> None:
    long = [Seed(id="a", prompt="p", answer="x" * 200)]
    cut = [attempt(long[0], "truncated", "y" * 64)] * 3  # 64 letters in 16 tokens: four a token
    (said,) = remedies(SPEC, long, [*cut, attempt(long[0])])
    assert "3 of 4 answers on mine were cut at max_new_tokens=16" in said
    assert "set max_new_tokens: 64 in the eval set" in said  # 200 letters are 50 tokens, and a quarter more
    assert tokens_needed(SPEC, long, ["y" * 64]) == 64


@pytest.mark.parametrize(
    ("going_on", "told"), [("4\n\nQuestion: and then", "stop: ['\\n\\n']"), ("4 and 4 and 4 and", "train longer")]
)
def test_answers_that_do_not_end_are_met_with_a_stop(going_on: str, told: str) -> None:
    (said,) = remedies(SPEC, SUMS, [attempt(seed, "truncated", going_on) for seed in SUMS])
    assert told in said and "The right answers fit" in said


def test_answers_without_an_answer_are_met_with_the_form() -> None:
    (said,) = remedies(SPEC, SUMS, [attempt(SUMS[0], "malformed", "no idea")])
    assert "They hold no number, for example 'no idea'" in said and "1 of 1 answers" in said
    (empty,) = remedies(SPEC, SUMS, [attempt(SUMS[0], "malformed", " ")])
    assert "Most are empty" in empty and "join" in empty


def test_where_all_is_well_nothing_is_said() -> None:
    assert remedies(SPEC, SUMS, [attempt(SUMS[0]), attempt(SUMS[1], "right")]) == []


# --- naming


def test_the_teacher_names_weaknesses_once_and_the_replies_are_in_the_ledger(crew_of: MakeCrew) -> None:
    crew = crew_of()
    found = weaknesses_of(crew, ROUND, FAILURES)
    assert {one.name for one in found} == {"small sums", "carrying"}
    assert sum(one.lessons for one in found) == 60 and all(one.wrong_move for one in found)
    asked = crew.teacher().ledger.totals().requests
    assert asked == 2
    assert weaknesses_of(crew_of(), ROUND, FAILURES) == found
    assert crew_of().teacher().ledger.totals().requests == asked


def test_unusable_names_fall_back_to_the_eval_set_s_skills_and_are_counted(crew_of: MakeCrew) -> None:
    crew = crew_of(teacher=Broken)
    found = weaknesses_of(crew, ROUND, FAILURES)
    assert [(one.name, len(one.failures)) for one in found] == [("small sums wrong", 5), ("carrying wrong", 3)]
    assert "named what is missing for 0 of 8 failures" in notes(crew)


def test_without_budget_the_eval_set_s_skills_name_the_weaknesses_and_it_is_said(crew_of: MakeCrew) -> None:
    crew = crew_of(Budget(max_tokens=10))
    assert {one.name for one in weaknesses_of(crew, ROUND, FAILURES)} == {"small sums wrong", "carrying wrong"}
    assert "the eval set's own skills name the weaknesses" in notes(crew)


def test_nobody_is_asked_for_names_when_none_are_wanted(crew_of: MakeCrew) -> None:
    crew = crew_of(mine={"named": 0})
    assert len(weaknesses_of(crew, ROUND, FAILURES)) == 2
    assert crew.teacher().ledger.totals().requests == 0


def test_lessons_flow_by_what_earlier_rounds_flipped(crew_of: MakeCrew) -> None:
    crew = crew_of(generate={"explore": 0.0, "per_request": 1, "lessons": 40})
    before = weaknesses_of(crew, ROUND, FAILURES[:3] + FAILURES[5:])
    assert [len(one.failures) for one in before] == [3, 3]
    right = {one.seed.id for one in FAILURES[5:]}
    write_records(
        round_file(crew, 2, "attempts.mine.jsonl"),
        [attempt(seed, "right" if seed.id in right else "wrong") for seed in SUMS],
    )
    (past,) = past_rounds(crew, 2, Ground(ALL, crew.evals.seeds))
    assert past.weaknesses == tuple(before) and len(past.after) == 10
    after = {one.name: one.lessons for one in weaknesses_of(crew, State(round=2), FAILURES[:3] + FAILURES[5:])}
    assert after["carrying"] > after["small sums"] > 0


def test_no_more_lessons_are_asked_for_than_so_many_a_failure(crew_of: MakeCrew) -> None:
    crew = crew_of(generate={"per_failure": 1, "lessons": 40})
    assert sum(one.lessons for one in weaknesses_of(crew, ROUND, FAILURES[:3])) == 3
    crew = crew_of(generate={"per_failure": 1, "lessons": 40, "explore": 0})
    uneven = [Failure(seed=seed, wrong_answer="7") for skill, count in (("small sums", 7), ("carrying", 2))
              for seed in [one for one in SUMS if one.skill == skill][:count]]  # fmt: skip
    found = weaknesses_of(crew, ROUND, uneven)
    assert len(found) == 2 and all(one.lessons == len(one.failures) for one in found)


def test_no_more_lessons_are_asked_for_than_so_many_a_seed_and_that_is_said(crew_of: MakeCrew) -> None:
    crew = crew_of(generate={"per_seed": 2, "lessons": 60})
    assert sum(one.lessons for one in weaknesses_of(crew, ROUND, FAILURES)) == 2 * len(SUMS)
    assert "20 lessons are asked for instead of 60, 2 for each of 10 seeds (generate.per_seed)" in notes(crew)
    crew = crew_of(generate={"per_seed": 2, "lessons": 20})
    assert sum(one.lessons for one in weaknesses_of(crew, ROUND, FAILURES[:4])) == 20 and not notes(crew)
    crew = crew_of(generate={"per_seed": 2, "per_failure": 1})
    assert sum(one.lessons for one in weaknesses_of(crew, ROUND, FAILURES[:3])) == 3 and not notes(crew)


@pytest.mark.parametrize(
    ("failures", "asked", "given"), [((12, 3, 3), (9, 5, 4), (12, 3, 3)), ((2, 2, 5), (1, 4, 1), (2, 2, 2))]
)
def test_each_weakness_gets_no_more_than_so_many_a_failure_and_the_next_ones_the_rest(
    failures: tuple[int, ...], asked: tuple[int, ...], given: tuple[int, ...]
) -> None:
    rows = [
        Weakness(id="", name="", failures=tuple((FAILURES * 2)[:count]), lessons=lessons)
        for count, lessons in zip(failures, asked, strict=True)
    ]
    assert tuple(one.lessons for one in at_most(rows, 1)) == given


# --- writing


def test_every_strategy_s_candidates_are_written_and_a_second_time_found(crew_of: MakeCrew) -> None:
    mix = {"contrast": 1, "skill": 1, "paper": 1, "untargeted": 1, "rephrase": 1}
    crew = crew_of(generate={"mix": mix, "lessons": 40})
    weaknesses = weaknesses_of(crew, ROUND, FAILURES)
    candidates_of(crew, ROUND, weaknesses)
    target = round_file(crew, 1, "candidates.jsonl")
    found = read_records(target, Candidate)
    assert {one.strategy for one in found} == set(mix)
    assert all((one.request_key == "") == (one.strategy == "rephrase") for one in found)
    assert {one.weakness_id for one in found if one.strategy == "untargeted"} == {""}
    tags = set(crew.teacher().ledger.spend_by("tag"))
    assert set(mix) - {"rephrase"} <= tags
    bytes_before, asked = target.read_bytes(), crew.teacher().ledger.totals().requests
    again = crew_of(generate={"mix": mix, "lessons": 40})
    candidates_of(again, ROUND, weaknesses)
    assert target.read_bytes() == bytes_before and again.teacher().ledger.totals().requests == asked


def test_lessons_that_did_not_come_are_counted_by_reason(crew_of: MakeCrew) -> None:
    class Short(ScriptedTeacher):
        def complete(self, request: Request) -> Reply:
            whole = super().complete(request)
            return whole.model_copy(update={"text": json.dumps({"items": []}), "finish_reason": "length"})

    crew = crew_of(teacher=Short, mine={"named": 0}, generate={"lessons": 12})
    candidates_of(crew, ROUND, weaknesses_of(crew, ROUND, FAILURES))
    assert "12 of 12 lessons asked for did not come: 12 cut off at generate.tokens_per_lesson" in notes(crew)


def test_a_budget_too_small_to_write_is_told_to_the_node(crew_of: MakeCrew) -> None:
    crew = crew_of(Budget(max_tokens=10), mine={"named": 0})
    with pytest.raises(BudgetSpent):
        candidates_of(crew, ROUND, weaknesses_of(crew, ROUND, FAILURES))


def written(crew: Crew) -> tuple[list[Candidate], int]:
    """The round's candidates, and how many lessons the budget did not allow."""
    candidates_of(crew, ROUND, weaknesses_of(crew, ROUND, FAILURES))
    left = round_file(crew, 1, "unwritten.json")
    found = read_records(round_file(crew, 1, "candidates.jsonl"), Candidate)
    return found, json.loads(left.read_text())["lessons"] if left.exists() else 0


@pytest.mark.parametrize("most", range(5_000, 9_000, 1_000))
@pytest.mark.parametrize("verify", [False, True])
def test_what_was_bought_when_a_budget_ends_is_a_round(crew_of: MakeCrew, verify: bool, most: int) -> None:
    whole = {"mix": {"paper": 1}, "lessons": 40}
    crew = crew_of(Budget(max_tokens=most), mine={"named": 0}, generate=whole, curate={"verify": verify})
    found, unwritten = written(crew)
    spent = crew.teacher().ledger.spend_by("purpose")["write"]
    assert len(found) == spent.requests > 0 and len(found) + unwritten == 40 and unwritten > 0
    assert ("could not have been checked" in notes(crew)) == verify
    if verify:  # as much again is left for the checks, at the most that one can cost while none was made
        assert spent.tokens < most / 2


def test_time_is_kept_back_for_the_checks_as_tokens_are(crew_of: MakeCrew) -> None:
    now = [0.0]

    class Slow(ScriptedTeacher):
        """Takes two seconds."""

        slots = 1

        def complete(self, request: Request) -> Reply:
            now[0] += 2
            return super().complete(request)

    crew = crew_of(
        Budget(max_seconds=60), teacher=Slow, mine={"named": 0}, generate={"mix": {"paper": 1}, "lessons": 40}
    )
    crew.teacher().ledger._clock = lambda: now[0]  # pyright: ignore[reportPrivateUsage]  no test waits for minutes
    found, unwritten = written(crew)
    assert (len(found), unwritten) == (15, 25)


def test_what_a_former_run_wrote_is_to_be_checked_too_unless_it_was(crew_of: MakeCrew, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"mine": {"named": 0}, "generate": {"mix": {"paper": 1}, "lessons": 40}}
    former = tmp_path / "former" / "ledger.sqlite"
    former.parent.mkdir()
    crew = crew_of(Budget(max_requests=24), **settings)
    assert len(written(crew)[0]) == 12
    shutil.copy(tmp_path / "ledger.sqlite", former)

    def again() -> tuple[int, int]:
        """Candidates now, and requests paid for; twenty may be."""
        (tmp_path / "ledger.sqlite").unlink()
        shutil.rmtree(tmp_path / "rounds")
        teacher = lambda seeds: Replay(former, ScriptedTeacher(seeds))  # noqa: E731
        crew = crew_of(Budget(max_requests=20), teacher=teacher, **settings)
        return len(written(crew)[0]), crew.teacher().ledger.totals().requests

    assert again() == (16, 4)  # and sixteen checks
    check = answer_request(crew.sheet(), "What is 1 and 1?")
    with closing(Ledger(former, Budget())) as book:
        for at in range(12):
            asked = check.model_copy(update={"sample": at})
            book.adopt([(asked, asked.key(""), Reply(text='{"answer": "2"}', finish_reason="stop"))], round=1)
    assert again() == (22, 10)  # and ten checks


def test_rephrasing_alone_needs_no_teacher(crew_of: MakeCrew) -> None:
    crew = crew_of(mine={"named": 0}, generate={"mix": {"rephrase": 1}, "lessons": 8})
    weaknesses = weaknesses_of(crew, ROUND, FAILURES)
    crew.teacher = cast("Any", None)
    candidates_of(crew, ROUND, weaknesses)
    assert read_records(round_file(crew, 1, "candidates.jsonl"), Candidate)


# --- a whole run


def test_a_dry_run_with_a_mix_goes_through_and_says_what_it_gave_to_what(tmp_path: Path, own_cache: Path) -> None:
    changes = {"generate__mix": "{contrast: 2, skill: 1, rephrase: 1}", "generate__lessons": "24", "stop__rounds": "2"}
    with table_student():
        code = command_line(
            words("run", "--ui", "quiet", "--name", "mix", runs=tmp_path, mine__margin="0.3", **changes)
        )
    folder = tmp_path / "mix-1"
    assert code == 0
    weak = read_records(folder / "rounds" / "001" / "weaknesses.jsonl", Weakness)
    assert sum(one.lessons for one in weak) == 24
    assert any(failure.barely for one in weak for failure in one.failures)
    strategies = {one.strategy for one in read_records(folder / "rounds" / "001" / "candidates.jsonl", Candidate)}
    assert strategies == {"contrast", "skill", "rephrase"}
    assert weak[-1].name == NAME and weak[-1].lessons == 12 and not weak[-1].failures
    assert [one["name"] for one in events(folder) if one["event"] == "weakness" and one["round"] == 1] == [
        one.name for one in weak
    ]


@pytest.mark.parametrize(
    ("mode", "level"), [("select", False), ("cross-fit", False), ("select", True), ("cross-fit", True)]
)
def test_half_of_a_round_is_of_every_label_by_its_share_and_filed_under_no_failure(
    mode: str, level: bool, tmp_path: Path, own_cache: Path
) -> None:
    with table_student():
        code = command_line(
            words("run", "--ui", "quiet", "--name", "half", runs=tmp_path, mode=mode, generate__lessons="40",
                  curate__verify="false", generate__level=str(level).lower())
        )  # fmt: skip
    assert code == 0
    folder = tmp_path / "half-1"
    weak = read_records(folder / "rounds/001/weaknesses.jsonl", Weakness)
    made = read_records(folder / "rounds/001/candidates.jsonl", Candidate)
    unaimed = [one for one in weak if not one.failures]
    assert sum(one.lessons for one in weak) == 40 and sum(one.lessons for one in unaimed) == 20
    seeds = {one.id: one for one in load_evals(ERRANDS, False, cross_fit=mode == "cross-fit").seeds}
    folds = (
        json.loads((folder / "splits.json").read_text())["folds"] if mode == "cross-fit" else dict.fromkeys(seeds, 1)
    )
    (one,) = unaimed
    here = [each for each in made if each.weakness_id == one.id]
    assert len(here) == 20 and {each.round for each in here} == {1}
    for fold in set(folds.values()):
        labels = Counter(seed.answer for name, seed in seeds.items() if folds[name] == fold)
        inside = Counter(each.answer for each in here if folds[each.parent_id] == fold)
        aims = Counter(each.answer for each in made if each not in here and folds[each.parent_id] == fold)
        assert abs(inside.total() - 20 * labels.total() / len(seeds)) < 1
        every, before = inside.total() + level * aims.total(), aims if level else Counter[str]()
        due = {label: every * count / labels.total() for label, count in labels.items()}
        too_many = sum(max(0, before[label] - due[label]) for label in labels)
        for label in labels:
            whole = inside[label] + before[label]
            assert due[label] - too_many - 1 < whole < max(due[label], before[label]) + 1
    aimed = [each for each in made if each.weakness_id != one.id]
    assert {each.parent_id for each in aimed} <= {failed.seed.id for each in weak for failed in each.failures}
    with open_readonly(folder / "ledger.sqlite") as book:
        drawn = [{book.entry(each.request_key).request.seed for each in group} for group in (here, aimed)]  # type: ignore[union-attr]
    assert not drawn[0] & drawn[1], "the two parts are sampled apart"


def test_all_lessons_are_aimed_where_answers_are_written_and_where_it_is_set(crew_of: MakeCrew, tmp_path: Path) -> None:
    assert all(one.failures for one in weaknesses_of(crew_of(), ROUND, FAILURES))
    with table_student():
        assert command_line(words("run", "--ui", "quiet", "--name", "all", runs=tmp_path, generate__spread="0")) == 0
    assert all(one.failures for one in read_records(tmp_path / "all-1/rounds/001/weaknesses.jsonl", Weakness))


def test_what_is_aimed_at_nothing_is_of_every_label_as_often_as_the_seeds() -> None:
    seeds = [
        Seed(id=f"{label}{at}", prompt=f"{label} {at}", answer=label)
        for label, count in (("a", 9), ("b", 3))
        for at in range(count)
    ]
    first, second = (anything(seeds, 8, number) for number in (1, 2))
    assert [(one.id, one.lessons) for one in first] == [("a", 6), ("b", 2)]
    assert all({failure.seed.answer for failure in one.failures} == {one.id} for one in first)
    assert [one.seed.id for one in first[0].failures] != [one.seed.id for one in second[0].failures]
    assert sorted(one.seed.id for one in first[0].failures) == [f"a{at}" for at in range(9)]


@pytest.mark.parametrize(
    ("aimed", "left"),
    [({"a": 4}, (5, 3)), ({"a": 4, "b": 0, "other": 9}, (5, 3)), ({"b": 4}, (8, 0)), ({"a": 3, "b": 1}, (6, 2))],
)
def test_what_is_aimed_at_nothing_fills_up_what_the_aimed_lessons_leave_short(
    aimed: dict[str, int], left: tuple[int, int]
) -> None:
    seeds = [Seed(id=f"{at}", prompt=f"{at}", answer="a" if at < 9 else "b") for at in range(12)]
    assert tuple(one.lessons for one in anything(seeds, 8, 1, aimed)) == left
