"""What a server can do wrong, on a real socket: each ends right, or stops with its cause and can be resumed.

Every failure meets the same batch, and after each the same things must hold: no answered question was asked again, no
charge passed the budget at any moment, and once the server is well the batch is answered, by what was bought before
and by asking for nothing but the rest.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from misbehaving import (
    KEY,
    Act,
    Desk,
    Handler,
    bomb,
    completion,
    cut_short,
    drip,
    drip_body,
    hang,
    hang_up_after,
    html,
    huge,
    ok,
    page,
    question,
    reset,
    serving,
    status,
    text,
)

from teacher.client import Client
from teacher.completion import LONGEST_WAIT
from teacher.errors import TeacherUnusable
from teacher.ledger import Budget, Ledger
from teacher.openai_backend import OpenAIBackend
from teacher.pacing import Clock
from teacher.requests import NO_ANSWER, Failed, Reply

QUESTIONS = [question(number) for number in range(5)]
MOST = 40 * question().most_tokens()


@dataclass(frozen=True)
class Case:
    """A misbehaviour and what has to come of it."""

    name: str
    acts: tuple[Act, ...]
    """What the server does, one request after another; the last is repeated."""
    answered: int | None = len(QUESTIONS)
    """How many questions are answered in the end; None where the run has to stop."""
    cause: str = ""
    """Where it stops, or gives questions up: what the person is told."""
    retries: tuple[str, ...] = ()
    """The failed attempts, by reason."""
    perhaps: tuple[str, ...] = ()
    """Reasons of further ones, where it is a race whether there are any."""
    note: str = ""
    """What the person is told beside that."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])


def raw(said: bytes) -> Act:
    """Bytes as they are, then the end of the connection."""

    def write(handler: Handler) -> None:
        handler.wfile.write(said)
        handler.close_connection = True

    return write


def usage(**told: Any) -> Act:
    return page(completion() | {"usage": told})


def zipped(handler: Handler) -> None:
    handler.send(200, gzip.compress(json.dumps(completion()).encode()), content_encoding="gzip")


def plain(handler: Handler) -> None:
    handler.send(200, json.dumps(completion()).encode(), "text/plain")


def picky(worst: Act, *numbers: int) -> Act:
    """Does its worst on some questions and answers the rest."""
    named = {f"question {number}" for number in numbers}
    return lambda handler: (worst if handler.asked() in named else ok)(handler)


BUSY, SICK = status(429), status(500)
EXPIRED = status(401, {"message": "token expired"})
OVERFLOW = status(400, {"message": "This model's maximum context length is 2048 tokens", "code": 400})
FILTERED = status(400, {"message": "The response was filtered", "code": "content_filter"})
THOUGHT = page(completion(None, reasoning_content="let me think"))
CUT_OFF = page(completion("", "length", reasoning_content="let me think, first"))
BAD_GATEWAY = page(b"<html><title>502 Bad Gateway</title>...", 502, content_type="text/html; charset=nonsense")
NONSENSE = status(500, error={"code": ["no", "text"], "type": {"at": "all"}, "message": 7})

CASES = [
    Case("429 storm that passes", (*[BUSY] * 12, ok), retries=("busy",) * 12),
    Case("429 storm that does not", (BUSY,), None, "no reply for .* 429"),
    Case("429, and pay first", (ok, status(429, {"code": "insufficient_quota"})), None, "no credit"),
    Case("429 that is about one request", (picky(status(429, "Request too large: 9 tokens"), 2),), 4, "too-long"),
    Case("500s that pass", (SICK, SICK, ok), retries=("server-error",) * 2),
    Case("500s that do not", (SICK,), None, "3 requests in a row.*500"),
    Case("500 on one request", (picky(SICK, 3),), 4, "server-error"),
    Case("an error of another form", (NONSENSE, ok), retries=("server-error",)),
    Case("an error without words", (page(b"", 502), page(b"\xff\xfe", 500), ok), retries=("server-error",) * 2),
    Case("an error page", (BAD_GATEWAY, ok), retries=("server-error",)),
    Case("an error page for ever", (BAD_GATEWAY,), None, "502: 502 Bad Gateway"),
    Case("a login page", (html, html, ok), retries=("bad-reply",) * 2),
    Case("a login page for ever", (html,), None, "text/html.*/v1"),
    Case("an error inside a 200", (page({"error": {"message": "upstream is down"}}),), None, "upstream is down"),
    Case("hang", (hang, ok), retries=("timeout",), options={"timeout": 0.2}),
    Case("hang for ever", (hang,), None, "timeout", options={"timeout": 0.1, "max_attempts": 1}),
    Case("slow drip of headers", (drip, ok), retries=("timeout",), options={"request_seconds": 0.4}),
    Case("slow drip of the body", (drip_body, ok), retries=("timeout",), options={"timeout": 0.3}),
    Case("half-sent body", (cut_short, ok), retries=("bad-reply",)),
    Case("half-sent head", (raw(b"HTTP/1.1 200 OK\r\ncontent-le"), ok), retries=("connection-lost",)),
    Case("no HTTP at all", (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), ok), retries=("connection-lost",)),
    Case("endless head", (raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000), ok), retries=("connection-lost",)),
    Case("connection reset", (reset, reset, ok), retries=("connection-lost",) * 2),
    Case("truncated JSON", (page(b'{"choices": [{"mess'), ok), retries=("bad-reply",)),
    Case("JSON of another kind", (page([1]), page(7), page(None), ok), retries=("bad-reply",) * 3),
    Case("deep JSON", (page(b'{"a":' * 100_000), ok), retries=("bad-reply",)),
    Case("two bodies in one", (page(json.dumps(completion()).encode() * 2), ok), retries=("bad-reply",)),
    Case("nothing", (page(b"", 204), ok), retries=("bad-reply",)),
    Case("empty choices", (page({"choices": []}), ok), retries=("bad-reply",)),
    Case("null choices", (page({"choices": None}), ok), retries=("bad-reply",)),
    Case("null content", (page(completion(None)), ok), retries=("bad-reply",)),
    Case("content in parts", (page(completion([{"type": "text", "text": "ye"}, {"text": "s"}])),)),
    Case("broken off inside", (page(completion("ye", "error")), ok), retries=("bad-reply",)),
    Case("reasoning only, once", (THOUGHT, ok), 4, "only-reasoning"),
    Case("reasoning only, always", (THOUGHT,), None, "thinking off"),
    Case("reasoning only, for as long as it may", (CUT_OFF,), None, "thinking off"),
    Case("reasoning and an answer that is cut off", (page(completion("yes", "length", reasoning_content="hm")),)),
    Case("invalid UTF-8", (page(b'{"choices": [{"message": {"content": "\xc3\x28"}}]}'), ok), retries=("bad-reply",)),
    Case("a body of 50 MB", (huge, ok), retries=("bad-reply",), options={"timeout": 120.0}),
    Case("a gzip bomb", (bomb, ok), retries=("bad-reply",), options={"timeout": 120.0}),
    Case("broken gzip", (page(b"no gzip", content_encoding="gzip"), ok), retries=("bad-reply",)),
    Case("gzip nobody asked for", (zipped,)),
    Case("JSON under another content type", (plain,)),
    Case("Retry-After: -5", (status(429, retry_after="-5"), ok), retries=("busy",)),
    Case("Retry-After: 1e9", (status(503, retry_after="1e9"), ok), retries=("busy",)),
    Case("Retry-After: a date", (status(429, retry_after="Fri, 31 Dec 9999 23:59:59 GMT"), ok), retries=("busy",)),
    Case("Retry-After: garbage", (status(429, retry_after="next Tuesday; drop table"), ok), retries=("busy",)),
    Case("another model", (page(completion() | {"model": "gpt-2-\x1b[31mturbo"}),), note="'gpt-2-[?]31mturbo' answers"),
    Case("auth expiry mid-run", (ok, ok, EXPIRED), None, "token expired.*Check that the key"),
    Case("model gone mid-run", (ok, ok, status(404)), None, "Check the model's name"),
    Case("redirect mid-run", (ok, status(302, location="http://127.0.0.1:1/")), None, "redirect"),
    Case("413 on one request", (picky(status(413), 1),), 4, "too-long"),
    Case("context overflow on one request", (picky(OVERFLOW, 1, 2),), 3, "too-long.*2048"),
    Case("context overflow on all", (OVERFLOW,), None, "3 requests in a row.*longer context"),
    Case("400 on one request", (picky(status(400), 4),), 4, "refused", options={"concurrency": 1}),
    Case("422 on the first", (status(422),), None, "very first request.*422"),
    Case("content filter in the reply", (picky(page(completion("", "content_filter")), 0),), 4, "refusal"),
    Case("content filter instead of one", (picky(FILTERED, 0, 1, 2, 3),), 1, "refusal.*was filtered"),
    # A request may be on its way while the server closes; then it is counted and sent again.
    Case("keep-alive closed between requests", (hang_up_after(ok),), perhaps=("connection-lost",)),
    Case("usage missing", (page(completion() | {"usage": None}),)),
    Case("usage negative", (usage(prompt_tokens=-7, completion_tokens=3),)),
    Case("usage zero", (usage(prompt_tokens=0, completion_tokens=0),)),
    Case("usage absurd", (usage(prompt_tokens=10**11, completion_tokens=3),), note="100,000,000,003 tokens"),
    Case("usage no number", (usage(prompt_tokens="many", completion_tokens=[]),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failing_server_ends_right_or_stops_resumable(case: Case, tmp_path: Path) -> None:
    options = {"budget": Budget(max_tokens=MOST), "concurrency": 2} | case.options
    with serving(*case.acts) as server, Desk(tmp_path, server.url, **options) as desk:
        if case.answered is None:
            with pytest.raises(TeacherUnusable, match=case.cause) as stopped:
                desk.ask(*QUESTIONS)
            assert str(stopped.value).isprintable()
        else:
            check_answers(case, desk, desk.ask(*QUESTIONS))
        assert all(note.isprintable() for note in desk.notes())
        assert re.search(case.note, " ".join(desk.notes())) if case.note else not desk.notes()
        assert desk.ledger.totals().tokens <= desk.ledger.most_charged <= MOST
        assert sum(desk.slept) <= desk.client.deadline_seconds + LONGEST_WAIT
    bought = settled(tmp_path)
    with serving(ok, port=server.server_port) as mended, Desk(tmp_path, mended.url) as desk:
        answers = desk.ask(*QUESTIONS)
        asked = [body["messages"][-1]["content"] for _, body in mended.seen]
        assert sorted(asked) == sorted(words for key, words in keys(mended.url).items() if key not in bought)
        assert all(isinstance(answer, Reply) or answer.reason in NO_ANSWER for answer in answers)
    assert settled(tmp_path) == Counter(keys(mended.url).keys())  # each of them once


def check_answers(case: Case, desk: Desk, answers: list[Reply | Failed]) -> None:
    lost = [answer for answer in answers if isinstance(answer, Failed)]
    assert len(answers) - len(lost) == case.answered
    assert {answer.text for answer in answers if isinstance(answer, Reply)} == {"yes"}
    assert re.search(case.cause, " ".join(f"{one.reason} {one.detail}" for one in lost))
    if not lost:
        assert Counter(one for one in desk.retries() if one not in case.perhaps) == Counter(case.retries)


def keys(url: str) -> dict[str, str]:
    """Each question's key in the ledger, and its words."""
    return {one.key(f"tiny@{url}"): one.messages[-1].content for one in QUESTIONS}


def settled(path: Path) -> Counter[str]:
    """How often each key was bought."""
    with closing(sqlite3.connect(path / "ledger.sqlite")) as ledger:
        return Counter(key for (key,) in ledger.execute("SELECT key FROM requests WHERE state = 'settled'"))


def test_a_server_that_goes_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    back: list[Any] = []
    with ExitStack() as later:
        with serving(hang_up_after(ok)) as before:
            desk = later.enter_context(Desk(tmp_path, before.url, concurrency=1))
            desk.ask(*QUESTIONS[:2])

        def come_back(seconds: float) -> None:
            desk.slept.append(seconds)
            if len(desk.slept) == 8:
                back.append(later.enter_context(serving(ok, port=before.server_port)))

        desk.client.clock = Clock(come_back)
        assert [text(answer) for answer in desk.ask(*QUESTIONS)] == ["yes"] * len(QUESTIONS)
        assert len(before.seen) + len(back[0].seen) == len(QUESTIONS)
        assert set(desk.retries()) == {"unreachable"}
        assert desk.ledger.totals().requests == len(QUESTIONS)


def test_a_server_of_our_own_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    def ended() -> None:
        raise TeacherUnusable("its server was killed by signal 9")

    with serving(ok) as server:
        url = server.url
    backend = OpenAIBackend(url, "tiny", on_unreachable=ended)
    with Ledger(tmp_path / "ledger.sqlite", Budget()) as ledger, pytest.raises(TeacherUnusable, match="signal 9"):
        Client(backend, ledger, sleep=lambda seconds: pytest.fail("it waited")).ask_all(QUESTIONS, round=1)
    backend.close()


@pytest.mark.parametrize("key", ["sk-1234\n5678", "“sk-1234”", "sk 1234", "sk-\x00"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(TeacherUnusable, match="no key can") as refused:
        OpenAIBackend("https://example.org/v1", "tiny", key)
    assert "1234" not in str(refused.value)


def test_a_key_may_be_surrounded_by_blanks(tmp_path: Path) -> None:
    with serving(ok) as server, Desk(tmp_path, server.url, api_key=f" {KEY}\n") as desk:
        desk.ask(question())
    assert server.seen[0][0]["authorization"] == f"Bearer {KEY}"
