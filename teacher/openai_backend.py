"""One attempt against an OpenAI-compatible server: a `Request` goes out, a `Reply` or the meaning of a failure comes back.

No retries, no redirects, no ambient credentials: nothing leaves but the request, its model and our key. Nothing comes
in beyond what a chat completion can need, neither compressed (a gzip bomb) nor plain, and no longer than the timeout:
the library's own timeout restarts with every byte, so that a body which drips would never meet it.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import httpx2
import openai

from teacher.address import checked_address, checked_key, is_loopback
from teacher.completion import Trouble, read_completion, read_retry_after, read_trouble
from teacher.errors import BadReply, Refused, TeacherUnusable, TryAgain
from teacher.requests import Message, Reply, Request

Structured = Literal["json_schema", "json_object", "prompt"]

MOST_BYTES = 8 * 2**20
"""A reply longer than this is nonsense: it is a hundred times what max_tokens allows."""
MOST_ERROR_BYTES = 2**16
"""So much of an error page is read,"""
MOST_ERROR_SECONDS = 10.0
"""and for so long."""
HEADERS = frozenset(
    # The last is where the SDK itself reads back that we asked for the raw response.
    "host accept accept-encoding connection user-agent content-type content-length x-stainless-raw-response".split()  # noqa: SIM905
)
"""All that is sent besides our own Authorization."""
ADVICE = {
    401: "Check that the key is the right one for this server and still valid.",
    402: "The account has no credit left: add some, then resume the run.",
    403: "Check that the key may use this model, and that the server serves your region.",
    404: "Check the model's name and that the address ends where the API starts (usually /v1).",
}
UNFIT = "Check that the model takes requests like these: JSON schemas, prompts this long"
TOO_LONG_ADVICE = "The requests are longer than this model takes: use one with a longer context, or shorter items"
FILTER_ADVICE = "The server's content filter keeps this out: try another teacher"
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
TOO_LONG = re.compile(
    r"(context|input|prompt|request|token).{0,80}(too (long|large|many)|exceed|length is|maximum)|"
    r"(too (long|large|many)|exceed|maximum).{0,80}(context|input|prompt|request|token)|context_length|context_size",
    re.IGNORECASE | re.DOTALL,
)
FILTERED = re.compile(
    r"content.?(filter|policy|management)|responsible.?ai|\bmoderation|\bflagged\b|\bsafety\b", re.IGNORECASE
)


class OpenAIBackend:
    """A `Backend`: one attempt at a time against an OpenAI-compatible server."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        structured: Structured = "json_schema",
        timeout: float = 300.0,
        *,
        slots: int = 8,
        served_by: str = "",
        on_unreachable: Callable[[], None] = lambda: None,
    ) -> None:
        """`served_by` is for servers whose address changes from run to run (a local port); by default model@address.
        `on_unreachable` may raise TeacherUnusable where waiting is no use: a server of our own that has ended.

        Raises TeacherUnusable for an address that would send the key in clear text, and for a key no header can hold.
        """
        self.model, self.structured, self.slots, self.timeout = model, structured, slots, timeout
        self._expected = "" if served_by else model  # a server of our own answers by its file's path
        self._url = checked_address(base_url)
        self._api_key, self._on_unreachable = checked_key(api_key), on_unreachable
        mode = "" if structured == "json_schema" else f"#{structured}"
        self.served_by = served_by or f"{model}@{self._url.copy_with(query=None)}{mode}"
        web = httpx2.Client(
            follow_redirects=False,
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 15.0)),
            trust_env=not is_loopback(self._url.host),  # a proxy from the environment cannot reach our loopback
            event_hooks={"request": [self._send_only_ours], "response": [self._refuse]},
        )
        # The key goes in by the hook. Given none, the SDK would take OPENAI_API_KEY and send it to this host.
        self._openai = openai.OpenAI(api_key="unused", base_url=self._url, max_retries=0, http_client=web)

    def close(self) -> None:
        """Let go of the connections kept open between requests."""
        self._openai.close()

    def complete(self, request: Request) -> Reply:
        """Raises TryAgain (BadReply, Refused) or TeacherUnusable; never the SDK's own errors."""
        began = time.monotonic()
        create: Any = self._openai.chat.completions.with_streaming_response.create  # overloads do not fit a dict
        try:
            with create(**self._body(request)) as response:
                page = self._read(response.iter_bytes(), began)
                kind = str(response.headers.get("content-type", ""))
        except openai.APIConnectionError as error:
            raise self._unconnected(error.__cause__ or error) from None
        except httpx2.TimeoutException as error:
            raise self._unconnected(error) from None
        except httpx2.HTTPError as error:
            raise BadReply(f"the reply broke off: {self._clean(str(error))}") from None
        try:
            return read_completion(page, kind, self._expected, time.monotonic() - began)
        except BadReply as error:
            raise BadReply(self._clean(f"{error.detail}{_error_within(page)}")) from None

    def _read(self, chunks: Iterator[bytes], began: float) -> bytes:
        """The whole page, as long as it comes to an end in size and in time."""
        page = bytearray()
        for chunk in chunks:
            page += chunk
            if len(page) > MOST_BYTES:
                raise BadReply(f"the server sent more than {MOST_BYTES // 2**20} MiB")
            if time.monotonic() - began > self.timeout:
                raise TryAgain("timeout", f"the reply was still trickling in after {self.timeout:g} s")
        return bytes(page)

    def _body(self, request: Request) -> dict[str, Any]:
        messages, schema = request.messages, request.json_schema
        limit = "max_completion_tokens" if self._url.host == "api.openai.com" else "max_tokens"
        body: dict[str, Any] = {
            "model": self.model,
            limit: request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed + request.sample,
        }
        if schema is not None and self.structured == "json_schema":
            wrapped = {"name": "reply", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wrapped}
        elif schema is not None:
            messages = _with_schema(messages, schema)
            if self.structured == "json_object":
                body["response_format"] = {"type": "json_object"}
        return body | {"messages": [message.model_dump() for message in messages]}

    def _send_only_ours(self, outgoing: httpx2.Request) -> None:
        """Drop what the SDK takes from the environment (organisation, custom headers) and tells about this machine."""
        for name in set(outgoing.headers) - HEADERS:
            del outgoing.headers[name]
        outgoing.headers["accept-encoding"] = "identity"
        if self._api_key:
            outgoing.headers["authorization"] = f"Bearer {self._api_key}"

    def _refuse(self, response: httpx2.Response) -> None:
        """Called before a body is read: says what a status other than 2xx means, from a bounded piece of its page."""
        if response.is_success:
            return
        page, until = bytearray(), time.monotonic() + min(self.timeout, MOST_ERROR_SECONDS)
        with contextlib.suppress(httpx2.HTTPError):  # the status is known, whatever becomes of the page
            for chunk in response.iter_bytes():
                page += chunk
                if len(page) > MOST_ERROR_BYTES or time.monotonic() > until:
                    break
        raise self._meaning(response, read_trouble(bytes(page[:MOST_ERROR_BYTES])))

    def _meaning(self, response: httpx2.Response, trouble: Trouble) -> TryAgain | TeacherUnusable:
        status, names = response.status_code, trouble.names
        said = f"{status}: {self._clean(trouble.said)}"
        wait = read_retry_after(response.headers.get("retry-after"))
        if names & NO_CREDIT:
            return self._unusable(said, ADVICE[402])
        if 300 <= status < 400:
            to = self._clean(response.headers.get("location", "elsewhere"))
            return self._unusable(
                f"{status}: a redirect to {to!r}", "Redirects are not followed with a key: give the final address."
            )
        if status in (400, 403, 413, 422, 429) and (refused := _refusal(status, f"{trouble.said} {names}", said)):
            return refused
        if status in (429, 503, 529):
            return TryAgain("busy", said, charged=False, retry_after=wait)
        if status in (408, 409, 425):
            return TryAgain("server-error", said, charged=False, retry_after=wait)
        if status >= 500:
            return TryAgain("server-error", said, retry_after=wait)
        return self._unusable(said, ADVICE.get(status, "Change that, then resume the run."))

    def _unusable(self, said: str, advice: str) -> TeacherUnusable:
        return TeacherUnusable(f"The teacher {self.model!r} at {str(self._url)!r} answered {said}. {advice}")

    def _unconnected(self, cause: BaseException) -> TryAgain:
        said = self._clean(f"{type(cause).__name__}: {cause}")
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)):
            self._on_unreachable()
            return TryAgain("unreachable", said, charged=False)  # no byte of the request was sent
        if isinstance(cause, httpx2.TimeoutException):
            return TryAgain("timeout", said)
        return TryAgain("connection-lost", said)

    def _clean(self, said: str) -> str:
        """A server's words, fit for a message: short, on one line, and without our key should it echo it."""
        said = said[:MOST_ERROR_BYTES]
        if self._api_key:
            said = said.replace(self._api_key, "[key]")
        return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", said).strip()[:300]


def _refusal(status: int, words: str, said: str) -> Refused | None:
    """Told apart from a fault of the whole set-up: a status that is about this one request and not about the next."""
    if status == 413 or (status != 403 and TOO_LONG.search(words) and (status != 429 or "too large" in words.lower())):
        return Refused("too-long", said, TOO_LONG_ADVICE)
    if status != 429 and FILTERED.search(words):
        return Refused("refusal", said, FILTER_ADVICE)
    return Refused("refused", said, UNFIT) if status in (400, 422) else None


def _error_within(page: bytes) -> str:
    """Some routers answer 200 with an error inside: its words, to be added to the cause."""
    if b'"error"' not in page[:MOST_ERROR_BYTES]:
        return ""
    return f"; it says: {read_trouble(page[:MOST_ERROR_BYTES]).said}"


def _with_schema(messages: tuple[Message, ...], schema: dict[str, Any]) -> tuple[Message, ...]:
    """For servers without schema support: ask for it in the system message (a second one breaks some templates)."""
    asked = f"Reply with one JSON object and nothing else. It must fit this JSON Schema:\n{json.dumps(schema)}"
    if messages and messages[0].role == "system":
        return (Message(role="system", content=f"{messages[0].content}\n\n{asked}"), *messages[1:])
    return (Message(role="system", content=asked), *messages)
