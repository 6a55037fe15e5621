"""One question to a teacher and what came back, as plain frozen records, whatever server answers.

A request's `key` names it by its whole content and by who serves it. The ledger files replies under that key, so the
same question asked twice, in this run or after a crash, is bought once; `sample` tells apart draws of one question.
`content` leaves out who serves it and what for: under that name another run can be served a reply it would have got.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from student.records import Record

NO_ANSWER = frozenset({"refusal", "only-reasoning"})
"""Finish reasons of replies that were paid and hold no answer: their requests count as failed, for that reason."""


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said, as plain text."""


class Request(Record):
    """Everything that decides a reply, except who gives it."""

    purpose: str
    """What the reply is for: `write` new items, `answer` an item, ..."""
    messages: tuple[Message, ...]
    """The prompt."""
    json_schema: dict[str, Any] | None = None
    """The JSON Schema the reply must fit; None where any text will do."""
    max_tokens: int = Field(gt=0)
    """The most new tokens the teacher may write."""
    temperature: float = Field(ge=0, allow_inf_nan=False)
    """0 for the likeliest reply."""
    seed: int
    """For servers that sample reproducibly; what is sent is `seed + sample`."""
    sample: int = 0
    """Which draw of the same question this is."""
    tag: str = ""
    """A label to sum spending by, such as a strategy's name. It is not sent and is no part of the key."""

    def key(self, served_by: str) -> str:
        """SHA-256 (hex) of this request and of `served_by`, as canonical JSON."""
        return _digest({"request": self.model_dump(mode="json", exclude={"tag"}), "served_by": served_by})

    def content(self) -> str:
        """SHA-256 (hex) of what decides a reply, whoever gives it and whatever it is for."""
        return _digest(self.model_dump(mode="json", exclude={"tag", "purpose"}))

    def most_tokens(self) -> int:
        """An upper bound on the tokens this request can cost, without a tokenizer.

        No tokenizer makes more than one token of a byte. The messages are measured as the JSON that is sent, whose
        quotes and role names also cover what a chat template adds around them.
        """
        sent = [message.model_dump() for message in self.messages]
        schema = "" if self.json_schema is None else json.dumps(self.json_schema, ensure_ascii=False)
        return len((json.dumps(sent, ensure_ascii=False) + schema).encode()) + self.max_tokens


class Origin(Record):
    """Where a replayed reply was bought."""

    run: str
    """The run that paid for it."""
    key: str
    """The request's key in that run's ledger."""
    money: float | None
    """What it cost there; None where unknown."""


class Reply(Record):
    """What a teacher answered, and what it says that cost."""

    text: str
    """The text of the first choice; untrusted."""
    finish_reason: str
    """`stop`, `length` (cut at max_tokens), `refusal`, `only-reasoning` (thoughts, no answer), or the server's word."""
    prompt_tokens: int | None = None
    """As the server counts them; None where it does not say."""
    completion_tokens: int | None = None
    """As the server counts them; None where it does not say."""
    seconds: float = 0.0
    """From sending to the last byte."""
    model: str = ""
    """The model that answered by the server's account, where that is another than was asked for."""
    origin: Origin | None = None
    """Where it was bought, for a reply replayed from a former run; None for one bought in this run."""


class Failed(Record):
    """A request that gave up by itself while others went on."""

    reason: str
    """A short countable name: `refusal`, `too-long`, `bad-reply`, `timeout`, `connection-lost`, `server-error`, ..."""
    detail: str
    """What was seen, for a person."""


Answer = Reply | Failed
UNAFFORDED = "budget"
"""Why a request failed that was not sent, since it could have passed a cap of the budget."""


def was_unsent(answer: Answer) -> bool:
    """Whether a request was not sent for the budget's sake."""
    return isinstance(answer, Failed) and answer.reason == UNAFFORDED


def as_answer(reply: Reply) -> Answer:
    """The reply; or that its request failed, where what was paid for holds no answer."""
    if reply.finish_reason not in NO_ANSWER:
        return reply
    return Failed(reason=reply.finish_reason, detail=reply.text[:300])


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
