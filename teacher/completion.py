"""Read what an OpenAI-compatible server sent: a chat completion out of a page, the cause out of an error, Retry-After.

Everything here is untrusted and comes in every shape: servers differ in all but a few fields, proxies answer with web
pages under any status, and counts may be missing or absurd. What cannot be read raises `BadReply`; usage that cannot
be so (no prompt is zero tokens long) is unknown, never zero.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from student.records import Record
from teacher.errors import BadReply
from teacher.requests import Reply

LONGEST_WAIT = 120.0
"""The most seconds a server's Retry-After is believed."""


class Trouble(Record):
    """What an error page says went wrong."""

    said: str
    """The server's own words, as they came."""
    names: frozenset[str]
    """Its `code` and `type`, in lower case."""


def _joined(content: object) -> object:
    """Some servers send the text in parts."""
    if not isinstance(content, list):
        return content
    parts = cast("list[Any]", content)
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


class _Said(BaseModel):
    content: Annotated[str | None, BeforeValidator(_joined)] = None
    refusal: str | None = None
    reasoning: Any = None
    reasoning_content: Any = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Completion(BaseModel):
    """What we need of a chat completion; servers differ in all the rest."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None
    model: Any = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=1, le=10**12)
    completion_tokens: int = Field(ge=0, le=10**12)


def read_completion(page: bytes, kind: str, asked: str, seconds: float) -> Reply:
    """The reply in a page of content type `kind`; `asked` is the model's name as it was sent.

    Raises BadReply for anything but a chat completion with at least one choice that says something.
    """
    try:
        completion = _Completion.model_validate_json(page)
    except ValidationError as error:
        if "json" not in kind:
            raise BadReply(f"the server sent {kind or 'no content type'!r} instead of JSON") from None
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadReply(f"no chat completion: {first['msg']} at {first['loc']}") from None
    choice = completion.choices[0]
    text = choice.message.refusal or choice.message.content or ""
    known = _usage(completion.usage, text)
    return Reply(
        text=text,
        finish_reason=_finish_reason(choice),
        prompt_tokens=known and known.prompt_tokens,
        completion_tokens=known and known.completion_tokens,
        seconds=seconds,
        model=_other_model(asked, completion.model),
    )


def _finish_reason(choice: _Choice) -> str:
    """Raises BadReply where there is nothing to read. What a model did say is never asked for again: it is paid."""
    said, reason = choice.message, choice.finish_reason or "unknown"
    if said.refusal or reason == "content_filter":
        return "refusal"
    if reason == "error":
        raise BadReply("the server broke off in the middle of its reply")
    if (said.reasoning_content or said.reasoning) and not (said.content or "").strip():
        return "only-reasoning"  # also where it was cut off: no more room helps a model that thinks first
    if said.content is not None or reason == "length":
        return reason
    raise BadReply("the choice holds no text")


def _usage(told: object, text: str) -> _Usage | None:
    try:
        usage = _Usage.model_validate(told)
    except ValidationError:
        return None
    return None if text and not usage.completion_tokens else usage


def _other_model(asked: str, served: object) -> str:
    """The served model's name, unless it is the one asked for with a date, an owner or a quantisation around it."""
    if not isinstance(served, str) or not served:
        return ""
    one, other = asked.lower(), served.lower()
    return "" if one in other or other in one else re.sub(r"[^\w./:@+-]+", "?", served)[:100]


def read_trouble(page: bytes) -> Trouble:
    """What an error page says: `{"error": {"message", "code", "type"}}`, a looser form of it, HTML, or plain text."""
    text = page.decode("utf-8", "replace")
    try:
        whole: Any = json.loads(text)
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
        return Trouble(said=title.group(1) if title else text, names=frozenset())
    error: Any = whole.get("error") or whole if isinstance(whole, dict) else whole
    if not isinstance(error, dict):
        return Trouble(said=error if isinstance(error, str) else text, names=frozenset())
    said = error.get("message") or error.get("detail") or text
    names = frozenset(str(error.get(field)).lower()[:100] for field in ("code", "type"))
    return Trouble(said=said if isinstance(said, str) else text, names=names)


def read_retry_after(header: str | None) -> float | None:
    """Seconds a Retry-After asks for: a number or a date; None for nonsense, never more than `LONGEST_WAIT`."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None
