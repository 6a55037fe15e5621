"""A former run served to another: the same answers, under the same keys, for nothing, and no guess where it has none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from teacher.backend import Backend
from teacher.book import Totals, open_readonly
from teacher.client import Client
from teacher.errors import BudgetSpent, Refused, TeacherUnusable, TryAgain
from teacher.ledger import Budget, Ledger, Prices
from teacher.replay import Replay
from teacher.requests import Answer, Failed, Message, Origin, Reply, Request

PRICES = Prices(prompt_per_million=1e6, completion_per_million=1e6)
FREE = Budget(max_tokens=0, max_requests=0)


class Oracle:
    """Answers every question with its hash, except those it is told to fail on."""

    slots = 4

    def __init__(self, name: str = "oracle", **failures: Exception) -> None:
        self.served_by, self.failures = name, failures
        self.asked: list[str] = []

    def complete(self, request: Request) -> Reply:
        said = request.messages[-1].content
        self.asked.append(said)
        if said in self.failures:
            raise self.failures[said]
        reason = "refusal" if said == "forbidden" else "stop"
        name = hashlib.sha256(said.encode()).hexdigest()
        return Reply(text=f"{self.served_by} {name}", finish_reason=reason, prompt_tokens=7, completion_tokens=3)


def ask(said: str, purpose: str = "write", **changes: object) -> Request:
    fields: dict[str, object] = {"purpose": purpose, "max_tokens": 100, "temperature": 0.5, "seed": 1}
    return Request.model_validate(fields | {"messages": [Message(role="user", content=said)]} | changes)


ASKED = [ask("one", tag="contrast"), ask("two"), ask("two", sample=1), ask("three", "answer"), ask("forbidden")]


def run(folder: Path, backend: Backend, requests: Sequence[Request] = ASKED, budget: Budget = FREE) -> list[Answer]:
    """Ask in the run at `folder`, as a new process would."""
    with Ledger(folder / "ledger.sqlite", budget, PRICES) as ledger:
        client = Client(backend, ledger, sleep=lambda seconds: None, max_attempts=2)
        return client.ask_all(requests, round=1)


@pytest.fixture
def former(tmp_path: Path) -> Path:
    run(tmp_path / "errands-1", Oracle(), budget=Budget())
    return tmp_path / "errands-1" / "ledger.sqlite"


def totals(folder: Path) -> Totals:
    with open_readonly(folder / "ledger.sqlite") as book:
        return book.totals()


def told(answers: Sequence[Answer]) -> list[str]:
    """What was answered, wherever it came from."""
    return [answer.text if isinstance(answer, Reply) else answer.reason for answer in answers]


def test_a_run_is_told_again_under_the_same_keys_and_nothing_is_bought(tmp_path: Path, former: Path) -> None:
    before, first = former.read_bytes(), run(former.parent, Oracle())
    replay = Replay(former)
    again = run(tmp_path / "errands-2", replay)
    assert told(again) == told(first)
    assert [request.key(replay.served_by) for request in ASKED] == [request.key("oracle") for request in ASKED]
    spent = totals(tmp_path / "errands-2")
    assert (spent.requests, spent.tokens, spent.money) == (0, 0, 0)
    assert (spent.replayed, spent.replayed_tokens, spent.replayed_money) == (5, 50, 50)
    origin = again[0].origin if isinstance(again[0], Reply) else None
    assert origin and (origin.run, origin.key, origin.money) == ("errands-1", ASKED[0].key("oracle"), 10)
    assert former.read_bytes() == before and [path.name for path in former.parent.iterdir()] == ["ledger.sqlite"]


def test_whoever_asks_and_whatever_for_the_content_decides(tmp_path: Path, former: Path) -> None:
    other = [ask("one", "answer", tag="skill")]
    assert told(run(tmp_path / "errands-2", Replay(former), other)) == told(run(former.parent, Oracle(), ASKED[:1]))
    changes = {"sample": 2, "seed": 2, "max_tokens": 99, "temperature": 0.0, "json_schema": {}}
    for name, value in changes.items():
        with pytest.raises(TeacherUnusable, match="1 of the 1 requests"):
            run(tmp_path / "errands-2", Replay(former), [ask("one").model_copy(update={name: value})])


def test_what_that_run_never_asked_stops_this_one_before_anything_is_used(tmp_path: Path, former: Path) -> None:
    new = [ask("four"), ask("five", "answer"), ask("six", "answer")]
    with pytest.raises(TeacherUnusable, match=r"'errands-1'.* 3 of the 8 .*\(2 to answer, 1 to write\).*settings"):
        run(tmp_path / "errands-2", Replay(former), [*ASKED, *new])
    assert totals(tmp_path / "errands-2").replayed == 0


def test_what_is_missing_can_be_asked_of_someone(tmp_path: Path, former: Path) -> None:
    oracle = Oracle("other")
    questions = [*ASKED, ask("four")]
    answers = run(tmp_path / "errands-2", Replay(former, oracle), questions, Budget())
    assert oracle.asked == ["four"]
    assert told(answers)[0].startswith("oracle ") and told(answers)[-1].startswith("other ")
    spent = totals(tmp_path / "errands-2")
    assert (spent.requests, spent.tokens, spent.replayed) == (1, 10, 5)


def test_a_resumed_replay_asks_neither_again(tmp_path: Path, former: Path) -> None:
    questions = [*ASKED, ask("four"), ask("five")]
    with pytest.raises(BudgetSpent):
        run(tmp_path / "errands-2", Replay(former, Oracle("other")), questions, Budget(max_requests=1))
    assert totals(tmp_path / "errands-2").replayed == 5
    oracle = Oracle("other")
    assert len(run(tmp_path / "errands-2", Replay(former, oracle), questions, Budget())) == 7
    assert oracle.asked == ["five"]
    assert totals(tmp_path / "errands-2").replayed == 5


def test_what_failed_there_fails_again_or_is_asked_anew(tmp_path: Path) -> None:
    failing = Oracle(two=TryAgain("timeout", "300 s"), three=Refused("too-long", "413", "shorter"))
    first = run(tmp_path / "errands-1", failing, budget=Budget())
    former = tmp_path / "errands-1" / "ledger.sqlite"
    assert told(first)[1:4] == ["timeout", "timeout", "too-long"]
    assert told(run(tmp_path / "errands-2", Replay(former))) == told(first)
    oracle = Oracle("other")
    answers = run(tmp_path / "errands-3", Replay(former, oracle), budget=Budget())
    assert sorted(oracle.asked) == ["three", "two", "two"]
    assert sum(isinstance(answer, Failed) for answer in answers) == 1  # the refusal, which was paid for


def test_what_was_in_flight_when_that_run_ended_is_missing(tmp_path: Path, former: Path) -> None:
    with Ledger(former, Budget()) as ledger:
        ledger.reserve(ask("four"), ask("four").key("oracle"), 1, "oracle")
        key = ask("five").key("oracle")
        ledger.release(key, "The teacher answered 401", ledger.reserve(ask("five"), key, 1, "oracle"))
    with pytest.raises(TeacherUnusable, match="2 of the 2"):
        run(tmp_path / "errands-2", Replay(former), [ask("four"), ask("five")])


def test_a_replay_of_a_replay_knows_who_paid(tmp_path: Path, former: Path) -> None:
    run(tmp_path / "errands-2", Replay(former))
    last = Replay(tmp_path / "errands-2" / "ledger.sqlite")
    (answer,) = run(tmp_path / "errands-3", last, ASKED[:1])
    assert last.served_by == "oracle"
    assert isinstance(answer, Reply) and answer.origin and (answer.origin.run, answer.origin.money) == ("errands-1", 10)


def test_many_replies_are_told_again_in_their_order(tmp_path: Path) -> None:
    many = [ask(f"question {number}") for number in range(300)]
    with Ledger(tmp_path / "errands-1" / "ledger.sqlite", Budget()) as ledger:
        origin = {"origin": Origin(run="errands-0", key="k", money=None)}
        ledger.adopt([(one, one.key("x"), Oracle().complete(one).model_copy(update=origin)) for one in many], 1, "x")
    answers = run(tmp_path / "errands-2", Replay(tmp_path / "errands-1" / "ledger.sqlite"), many)
    assert told(answers) == [Oracle().complete(one).text for one in many]


def test_a_run_without_replies_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(TeacherUnusable, match="no ledger"):
        Replay(tmp_path / "errands-1" / "ledger.sqlite")
    with Ledger(tmp_path / "errands-1" / "ledger.sqlite", Budget()):
        pass
    with pytest.raises(TeacherUnusable, match="no reply"):
        Replay(tmp_path / "errands-1" / "ledger.sqlite")
