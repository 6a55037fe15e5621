"""One question to a teacher and what came back, as plain frozen records, whatever server answers.

A request's `key` names it by its whole content and by who serves it. The ledger files replies under that key, so the
same question asked twice, in this run or after a crash, is bought once; `sample` tells apart draws of one question.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from student.records import Record


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

    def key(self, served_by: str) -> str:
        """SHA-256 (hex) of this request and of `served_by`, as canonical JSON."""
        whole = {"request": self.model_dump(mode="json"), "served_by": served_by}
        return hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def most_tokens(self) -> int:
        """An upper bound on the tokens this request can cost, without a tokenizer.

        No tokenizer makes more than one token of a byte. The messages are measured as the JSON that is sent, whose
        quotes and role names also cover what a chat template adds around them.
        """
        sent = [message.model_dump() for message in self.messages]
        schema = "" if self.json_schema is None else json.dumps(self.json_schema, ensure_ascii=False)
        return len((json.dumps(sent, ensure_ascii=False) + schema).encode()) + self.max_tokens


class Reply(Record):
    """What a teacher answered, and what it says that cost."""

    text: str
    """The text of the first choice; untrusted."""
    finish_reason: str
    """`stop`, `length` (cut at max_tokens), `refusal`, or the server's own word."""
    prompt_tokens: int | None = None
    """As the server counts them; None where it does not say."""
    completion_tokens: int | None = None
    """As the server counts them; None where it does not say."""
    seconds: float = 0.0
    """From sending to the last byte."""


class Failed(Record):
    """A request that gave up by itself while others went on."""

    reason: str
    """A short countable name: `refusal`, `bad-reply`, `timeout`, `connection-lost`, `server-error`."""
    detail: str
    """What was seen, for a person."""
