"""The client against a real HTTP server on loopback: what is sent, what is kept, and when it stops.

What a server can do wrong is in test_teacher_server_failures.py; the server and the client's desk in misbehaving.py.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from misbehaving import (
    KEY,
    Act,
    Desk,
    Handler,
    WatchedLedger,
    completion,
    cut_short,
    drip,
    hang,
    html,
    ok,
    page,
    question,
    reset,
    serving,
    status,
    text,
)

from teacher.client import Client
from teacher.completion import read_retry_after
from teacher.errors import BadReply, BudgetSpent, Stopped, TeacherUnusable, TryAgain
from teacher.ledger import Budget, Ledger
from teacher.openai_backend import OpenAIBackend
from teacher.requests import Failed, Reply, Request, was_unsent


def test_answers_come_in_the_order_asked_and_each_question_is_sent_once(tmp_path: Path) -> None:
    def echo(handler: Handler) -> None:
        with handler.server.lock:
            said = handler.server.seen[-1][1]["messages"]
        page(completion(said[-1]["content"]))(handler)

    with serving(echo) as server, Desk(tmp_path, server.url, concurrency=1) as desk:
        done: list[int] = []
        answers = desk.ask(*(question(n) for n in (3, 1, 2, 1)), on_done=lambda place, _: done.append(place))
        assert [text(answer) for answer in answers] == [f"question {n}" for n in (3, 1, 2, 1)]
        assert sorted(done) == [0, 1, 2, 3]
        assert len(server.seen) == 3
        assert desk.events[-1][0] == "spent"
        assert desk.events[-1][1]["prompt_tokens"] == 33


def test_nothing_settled_is_sent_twice_by_a_new_client(tmp_path: Path) -> None:
    with serving(ok) as server:
        with Desk(tmp_path, server.url) as desk:
            first = desk.ask(question(1), question(2))
        with Desk(tmp_path, server.url) as desk:
            assert desk.ask(question(1), question(2)) == first
            assert desk.client.reused == 2
            assert desk.events[-1][1]["reused_requests"] == 2
        assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("act", "reason", "charged"),
    [
        (status(500), "server-error", True),
        (status(503), "busy", False),
        (status(429), "busy", False),
        (status(409), "server-error", False),
        (html, "bad-reply", True),
        (cut_short, "bad-reply", True),
        (page(b'{"choices": [{"mess'), "bad-reply", True),
        (page({"choices": []}), "bad-reply", True),
        (page(completion(None)), "bad-reply", True),
        (page(b"\xff\xfe"), "bad-reply", True),
        (reset, "connection-lost", True),
    ],
)
def test_a_passing_fault_is_tried_again(tmp_path: Path, act: Act, reason: str, charged: bool) -> None:
    with serving(act, ok) as server, Desk(tmp_path, server.url) as desk:
        assert text(desk.ask(question())[0]) == "yes"
        assert desk.retries() == [reason]
        assert desk.client.retries == {reason: 1}
        spent = desk.ledger.totals()
        assert (spent.requests, spent.failed) == ((2, 0) if charged else (1, 1))
        assert spent.reserved_tokens == (question().most_tokens() if charged else 0)


def test_retry_after_is_kept_to(tmp_path: Path) -> None:
    with serving(status(429, retry_after="7"), ok) as server, Desk(tmp_path, server.url) as desk:
        desk.ask(question())
        assert sum(desk.slept) >= 6.99
    assert max(desk.slept) <= 0.25  # a stop is noticed meanwhile


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("86400", 120),
        ("inf", 120),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 120),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("-3", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_an_absurd_retry_after_is_not_believed(header: str | None, seconds: float | None) -> None:
    assert read_retry_after(header) == seconds


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (status(400), "400"),
        (status(401, {"message": f"wrong key {KEY}"}), "Check that the key"),
        (status(403), "403"),
        (status(404, {"message": "no model tiny"}), "no model tiny"),
        (status(429, {"message": "pay", "code": "insufficient_quota"}), "no credit"),
    ],
)
def test_what_a_person_must_fix_is_said_at_once(tmp_path: Path, act: Act, said: str) -> None:
    with serving(act) as server, Desk(tmp_path, server.url, concurrency=1) as desk:
        with pytest.raises(TeacherUnusable, match=said) as refused:
            desk.ask(question(1), question(2))
        assert len(server.seen) == 1
        assert desk.ledger.totals().tokens == 0
        assert f"tiny@{server.url}" in str(refused.value) or f"'tiny' at '{server.url}" in str(refused.value)
        assert KEY not in str(refused.value)


def test_a_redirect_is_not_followed_with_the_key(tmp_path: Path) -> None:
    with serving(ok) as target, serving(status(307, location=f"{target.url}/x")) as server:
        with Desk(tmp_path, server.url) as desk, pytest.raises(TeacherUnusable, match="redirect"):
            desk.ask(question())
        assert target.seen == []


def test_no_key_is_ever_written(tmp_path: Path) -> None:
    echo = status(500, {"message": f"I was sent {KEY}"})
    with serving(echo, ok, status(401, {"message": KEY})) as server, Desk(tmp_path, server.url) as desk:
        desk.ask(question(1))
        with pytest.raises(TeacherUnusable):
            desk.ask(question(2))
    assert server.seen[0][0]["authorization"] == f"Bearer {KEY}"
    assert KEY.encode() not in (tmp_path / "ledger.sqlite").read_bytes()
    assert KEY not in str(desk.events)


def test_nothing_from_the_environment_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-mine: from-the-environment")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serving(ok) as server, Desk(tmp_path, server.url, api_key=None) as desk:
        desk.ask(question())
    assert "from-the-environment" not in str(server.seen)
    assert "authorization" not in {name.lower() for name in server.seen[0][0]}


@pytest.mark.parametrize(
    "url",
    ["http://example.org/v1", "http://localhost.example.org/v1", "ftp://127.0.0.1/v1", "127.0.0.1:80", "", "http://"],
)
def test_an_address_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(TeacherUnusable, match="https"):
        OpenAIBackend(url, "tiny", KEY)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(TeacherUnusable) as refused:
        OpenAIBackend("https://me:hunter2@example.org/v1", "tiny")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "prompt"])
def test_the_schema_reaches_the_server_as_configured(tmp_path: Path, structured: str) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    asked = question(json_schema=schema, sample=4)
    with serving(ok) as server, Desk(tmp_path, server.url, structured=structured) as desk:
        desk.ask(asked)
    body = server.seen[0][1]
    assert (body["model"], body["max_tokens"], body["seed"]) == ("tiny", 50, 5)
    assert body.get("response_format", {}).get("type") == (None if structured == "prompt" else structured)
    if structured == "json_schema":
        assert body["response_format"]["json_schema"] == {"name": "reply", "schema": schema, "strict": True}
    else:
        assert json.dumps(schema) in body["messages"][0]["content"]


def test_a_refusal_is_paid_once_and_fails_alone(tmp_path: Path) -> None:
    with serving(page(completion(None, refusal="I would rather not")), ok) as server:
        for _ in range(2):
            with Desk(tmp_path, server.url, concurrency=1) as desk:
                answers = desk.ask(question(1), question(2))
                assert answers[0] == Failed(reason="refusal", detail="I would rather not")
                assert text(answers[1]) == "yes"
    assert len(server.seen) == 2


def test_a_reply_cut_by_length_says_so(tmp_path: Path) -> None:
    with serving(page(completion(None, "length"))) as server, Desk(tmp_path, server.url) as desk:
        (answer,) = desk.ask(question())
        assert isinstance(answer, Reply)
        assert (answer.text, answer.finish_reason) == ("", "length")


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": 3}, "many"])
def test_usage_that_makes_no_sense_is_unknown_not_zero(tmp_path: Path, usage: Any) -> None:
    with serving(page(completion() | {"usage": usage})) as server, Desk(tmp_path, server.url) as desk:
        desk.ask(question())
        spent = desk.ledger.totals()
    assert (spent.prompt_tokens, spent.tokens) == (None, question().most_tokens())


def test_a_request_that_always_fails_gives_up_alone(tmp_path: Path) -> None:
    def picky(handler: Handler) -> None:
        with handler.server.lock:
            bad = handler.server.seen[-1][1]["messages"][0]["content"] == "question 0"
        (html if bad else ok)(handler)

    with serving(picky) as server, Desk(tmp_path, server.url, concurrency=1) as desk:
        answers = desk.ask(question(0), question(1))
        assert isinstance(answers[0], Failed)
        assert answers[0].reason == "bad-reply"
        assert text(answers[1]) == "yes"
        assert len(server.seen) == 4


def test_a_server_that_fails_every_request_is_given_up(tmp_path: Path) -> None:
    with serving(html) as server, Desk(tmp_path, server.url, concurrency=1) as desk:
        with pytest.raises(TeacherUnusable, match=r"3 requests in a row.*text/html"):
            desk.ask(*(question(n) for n in range(20)))
        assert len(server.seen) == 3 * 3  # the other 17 were not even tried


def test_an_outage_past_the_deadline_asks_for_a_person_and_costs_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with Desk(tmp_path, url, deadline_seconds=30.0) as desk:
        with pytest.raises(TeacherUnusable, match="no reply for 3"):
            desk.ask(question(1), question(2))
        assert sum(desk.slept) <= 31
        assert len(desk.retries()) > 3  # more than max_attempts: the requests are not at fault
        assert desk.ledger.totals().tokens == 0
    with serving(ok) as server, Desk(tmp_path, server.url) as desk:
        assert text(desk.ask(question(1))[0]) == "yes"


def test_a_hanging_server_times_out_and_stays_charged(tmp_path: Path) -> None:
    with serving(hang, ok) as server, Desk(tmp_path, server.url, timeout=0.3) as desk:
        assert text(desk.ask(question())[0]) == "yes"
        assert desk.retries() == ["timeout"]
        assert desk.ledger.totals().reserved_tokens == question().most_tokens()


def test_a_dripping_server_meets_the_wall_deadline(tmp_path: Path) -> None:
    with serving(drip, ok) as server, Desk(tmp_path, server.url, request_seconds=0.5) as desk:
        assert text(desk.ask(question())[0]) == "yes"
        assert desk.retries() == ["timeout"]
        server.over.set()


def test_a_reply_that_came_after_its_deadline_is_taken_and_not_bought_again(tmp_path: Path) -> None:
    asked, came = list[int](), threading.Event()

    class Late:
        """Answers after its attempt was left behind."""

        served_by, slots = "late", 1

        def complete(self, request: Request) -> Reply:
            asked.append(1)
            assert came.wait(20)
            return Reply(text="yes", finish_reason="stop", prompt_tokens=1, completion_tokens=1)

    with closing(WatchedLedger(tmp_path / "ledger.sqlite", Budget())) as ledger:

        def pause(seconds: float) -> None:
            """Before the second attempt the reply is there."""
            came.set()
            while ledger.totals().reserved_tokens:
                time.sleep(0.01)

        client = Client(Late(), ledger, request_seconds=0.2, sleep=pause)
        assert text(client.ask_all([question()], round=1)[0]) == "yes" and asked == [1]


def test_the_budget_holds_with_many_at_once(tmp_path: Path) -> None:
    cap = 4 * question().most_tokens()
    with serving(ok) as server, Desk(tmp_path, server.url, budget=Budget(max_tokens=cap), concurrency=8) as desk:
        done: list[int] = []
        with pytest.raises(BudgetSpent, match=r"budget\.tokens="):
            desk.ask(*(question(n) for n in range(60)), on_done=lambda place, _: done.append(place))
        spent = desk.ledger.totals()
        assert spent.tokens <= cap
        assert spent.reserved_tokens == 0
        assert spent.tokens > cap - question().most_tokens()  # used up, not given up at the first full house
        assert len(done) == len(server.seen) == spent.tokens // 13


def test_what_was_bought_before_a_cap_is_handed_out_where_that_is_wanted(tmp_path: Path) -> None:
    with serving(ok) as server, Desk(tmp_path, server.url, budget=Budget(max_requests=3)) as desk:
        answers = desk.ask(*(question(n) for n in range(5)), within_budget=True)
        assert [isinstance(one, Reply) for one in answers] == [not was_unsent(one) for one in answers]
        assert sum(map(was_unsent, answers)) == 2
        assert len(server.seen) == 3
        with pytest.raises(BudgetSpent, match=r"budget\.requests=3"):
            desk.ask(question(8), question(9), within_budget=True)


def test_a_cap_cuts_no_end_of_the_batch_off(tmp_path: Path) -> None:
    """What stands last in a batch is often all of one kind."""
    with serving(ok) as server, Desk(tmp_path, server.url, budget=Budget(max_requests=20)) as desk:
        sent = [not was_unsent(one) for one in desk.ask(*(question(n) for n in range(40)), within_budget=True)]
        assert sum(sent) == 20 and 5 <= sum(sent[20:]) <= 15


def test_asked_to_stop_it_finishes_what_is_in_flight(tmp_path: Path) -> None:
    stop = threading.Event()

    def last(handler: Handler) -> None:
        stop.set()
        ok(handler)

    with serving(last) as server, Desk(tmp_path, server.url, concurrency=2, should_stop=stop.is_set) as desk:
        with pytest.raises(Stopped):
            desk.ask(*(question(n) for n in range(9)))
        sent = len(server.seen)
        assert sent < 9
        assert desk.ledger.totals().prompt_tokens == 11 * sent
        assert desk.ledger.totals().reserved_tokens == 0


def test_asked_to_stop_while_backing_off_it_does_not_wait(tmp_path: Path) -> None:
    with serving(status(429, retry_after="100")) as server:
        desk = Desk(tmp_path, server.url)
        desk.client.should_stop = lambda: bool(desk.slept)
        with desk, pytest.raises(Stopped):
            desk.ask(question())
        assert len(desk.slept) == 1


class Told:
    """A backend that does what it is told, and counts how many it is asked at once."""

    served_by, slots = "told", 8

    def __init__(self, *acts: Exception) -> None:
        self.acts, self.now, self.most, self.lock = list(acts), 0, 0, threading.Lock()
        self.full = threading.Barrier(8)

    def complete(self, request: Request) -> Reply:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            act = self.acts.pop(0) if self.acts else None
        if act:
            self.full.wait(10)  # all eight are sent before any is refused
        with self.lock:
            self.now -= 1
        if act:
            raise act
        return Reply(text="yes", finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def test_a_busy_server_is_asked_by_half_as_many(tmp_path: Path) -> None:
    backend = Told(*(TryAgain("busy", charged=False) for _ in range(8)))
    with Ledger(tmp_path / "l.sqlite", Budget()) as ledger:
        client = Client(backend, ledger, sleep=lambda _: None)
        client.ask_all([question(n) for n in range(8)], round=1)
        assert backend.most == 8
        assert 4 <= client.pace.limit < 8  # once for all eight, and growing back
        client.ask_all([question(n) for n in range(8, 44)], round=1)
        assert client.pace.limit == 8


def test_a_bug_in_a_backend_is_not_swallowed(tmp_path: Path) -> None:
    class Broken(Told):
        def complete(self, request: Request) -> Reply:
            raise ZeroDivisionError("a bug")

    with Ledger(tmp_path / "l.sqlite", Budget()) as ledger, pytest.raises(ZeroDivisionError):
        Client(Broken(), ledger).ask_all([question()], round=1)


def test_a_bad_reply_is_something_to_try_again() -> None:
    assert isinstance(BadReply("half a page"), TryAgain)
