"""Asks a teacher many questions at once and comes back with every answer, or with the one thing a person must change.

In go `Request`s; out come `Reply`s in the same order, each in the ledger before anyone uses it. `OpenAIBackend` makes
one attempt against any OpenAI-compatible server. `Client` decides when to send, how many at a time, and when to stop.

One thread runs `ask_all` and makes every decision; each attempt runs in a daemon thread of its own. That is how a wall
deadline holds for any backend: the SDK's timeout restarts with every byte, so a server that drips (or a name lookup
that hangs) would never meet it. An attempt past `request_seconds` is left to itself: its reservation stays charged,
and should its reply still arrive, its thread files it in the ledger for the next time the question is asked.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import json
import math
import queue
import random
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import httpx2
import openai
from pydantic import BaseModel, Field, ValidationError

from teacher.errors import BadReply, BudgetSpent, Stopped, TeacherUnusable, TryAgain
from teacher.ledger import Ledger
from teacher.requests import Failed, Message, Reply, Request

Answer = Reply | Failed
Emit = Callable[..., None]
Structured = Literal["json_schema", "json_object", "prompt"]

TICK = 0.25
"""Seconds between two looks at `should_stop`."""
LONGEST_WAIT = 120.0
"""The most seconds a server's Retry-After is believed."""
LONGEST_BACKOFF = 60.0
"""The most seconds of our own backoff."""
GIVE_UPS_IN_A_ROW = 3
"""So many requests given up with no reply in between: the server is at fault, not the requests."""
PATIENT = frozenset({"busy", "unreachable"})
"""Reasons that say nothing about the request: they are bounded by the deadline and not by `max_attempts`."""
HEADERS = frozenset(
    # The last is where the SDK itself reads back that we asked for the raw response.
    "host accept accept-encoding connection user-agent content-type content-length x-stainless-raw-response".split()  # noqa: SIM905
)
"""All that is sent besides our own Authorization."""
ADVICE = {
    400: "The request itself was refused: check that the model takes prompts this long and JSON schemas.",
    401: "Check that the key is the right one for this server and still valid.",
    403: "Check that the key may use this model, and that the server serves your region.",
    404: "Check the model's name and that the address ends where the API starts (usually /v1).",
}


class Backend(Protocol):
    """Whoever can answer one request. Raises TryAgain or TeacherUnusable."""

    @property
    def served_by(self) -> str:
        """Names the model and the server: a part of every request's key, the same after a resume."""
        ...

    @property
    def slots(self) -> int:
        """How many requests at once are of any use."""
        ...

    def complete(self, request: Request) -> Reply:
        """One attempt. May be called from many threads."""
        ...


class OpenAIBackend:
    """One attempt at a time against an OpenAI-compatible server; no retries, no redirects, no ambient credentials."""

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
    ) -> None:
        """`served_by` is for servers whose address changes from run to run (a local port); by default model@address.

        Raises TeacherUnusable for an address that would send the key in clear text.
        """
        self.model, self.structured, self.slots = model, structured, slots
        self._url = _checked_address(base_url)
        self._api_key = api_key
        mode = "" if structured == "json_schema" else f"#{structured}"
        self.served_by = served_by or f"{model}@{self._url.copy_with(query=None)}{mode}"
        web = httpx2.Client(
            follow_redirects=False,
            timeout=httpx2.Timeout(timeout, connect=min(timeout, 15.0)),
            trust_env=not _is_loopback(self._url.host),  # a proxy from the environment cannot reach our loopback
            event_hooks={"request": [self._send_only_ours]},
        )
        # The key goes in by the hook. Given none, the SDK would take OPENAI_API_KEY and send it to this host.
        self._openai = openai.OpenAI(api_key="unused", base_url=self._url, max_retries=0, http_client=web)

    def close(self) -> None:
        """Let go of the connections kept open between requests."""
        self._openai.close()

    def complete(self, request: Request) -> Reply:
        """Raises BadReply, TryAgain or TeacherUnusable; never the SDK's own errors."""
        began = time.monotonic()
        create: Any = self._openai.chat.completions.with_streaming_response.create  # overloads do not fit a dict
        try:
            with create(**self._body(request)) as response:
                page: bytes = response.read()
                kind = str(response.headers.get("content-type", ""))
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIConnectionError as error:
            raise self._unconnected(error.__cause__ or error) from None
        except httpx2.TimeoutException as error:
            raise self._unconnected(error) from None
        except httpx2.HTTPError as error:
            raise BadReply(f"the reply broke off: {self._clean(str(error))}") from None
        return _read_completion(page, kind, time.monotonic() - began)

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
        if self._api_key:
            outgoing.headers["authorization"] = f"Bearer {self._api_key}"

    def _refused(self, error: openai.APIStatusError) -> TryAgain | TeacherUnusable:
        """What an HTTP status other than 2xx means for us."""
        status, said = error.status_code, self._clean(error.message)
        wait = read_retry_after(error.response.headers.get("retry-after"))
        broke = {error.code, error.type} & {"insufficient_quota", "billing_hard_limit_reached"}
        if status in (429, 503, 529) and not broke:
            return TryAgain("busy", f"{status}: {said}", charged=False, retry_after=wait)
        if status in (408, 409, 425):
            return TryAgain("server-error", f"{status}: {said}", charged=False, retry_after=wait)
        if status >= 500:
            return TryAgain("server-error", f"{status}: {said}", retry_after=wait)
        advice = ADVICE.get(status, "Change that, then resume the run.")
        if broke or status == 402:
            advice = "The account has no credit left: add some, then resume the run."
        if 300 <= status < 400:
            to = self._clean(error.response.headers.get("location", "elsewhere"))
            said, advice = f"a redirect to {to!r}", "Redirects are not followed with a key: give the final address."
        return TeacherUnusable(f"The teacher {self.model!r} at {str(self._url)!r} answered {status}: {said}. {advice}")

    def _unconnected(self, cause: BaseException) -> TryAgain:
        said = self._clean(f"{type(cause).__name__}: {cause}")
        if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)):
            return TryAgain("unreachable", said, charged=False)  # no byte of the request was sent
        if isinstance(cause, httpx2.TimeoutException):
            return TryAgain("timeout", said)
        return TryAgain("connection-lost", said)

    def _clean(self, said: str) -> str:
        """A server's words, fit for a message: short, on one line, and without our key should it echo it."""
        if self._api_key:
            said = said.replace(self._api_key, "[key]")
        return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", said).strip()[:300]


@dataclass(eq=False)
class _Job:
    """One question of a batch on its way to an answer."""

    request: Request
    key: str
    places: list[int]
    """Where in the batch it was asked (the same question may be asked twice)."""
    failures: int = 0
    """All failed attempts: they lengthen the backoff."""
    tries: int = 0
    """Failed attempts that count against `max_attempts`."""
    not_before: float = 0.0
    """When it may be sent again."""


@dataclass(eq=False)
class _Flight:
    """One attempt under way."""

    job: _Job
    attempt: int
    started: float


Landing = tuple[_Flight, Reply | Exception]


class _Clock:
    """Monotonic seconds that also count a sleep which did not really sleep, so that tests need not wait."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        self._sleep(seconds)
        self._ahead += max(0.0, until - self.now())


class _Pace:
    """How many requests may be in flight: halved when the server is busy, grown back by one for each full round."""

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.limit = float(self.most)
        self.hold_until = -math.inf
        self._cut_at = -math.inf

    def busy(self, started: float, now: float, retry_after: float | None) -> None:
        self.hold_until = max(self.hold_until, now + (retry_after or 0.0))
        # The others sent before the last cut say nothing new.
        if started > self._cut_at:
            self.limit, self._cut_at = max(1.0, self.limit / 2), now

    def replied(self) -> None:
        self.limit = min(float(self.most), self.limit + 1 / self.limit)


class Client:
    """Asks in batches, within the ledger's budget. Replies already in the ledger are never bought again."""

    def __init__(  # noqa: PLR0913  each is one line of a config
        self,
        backend: Backend,
        ledger: Ledger,
        *,
        emit: Emit = lambda name, **fields: None,
        should_stop: Callable[[], bool] = lambda: False,
        deadline_seconds: float = 600.0,
        max_attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
        concurrency: int = 8,
        request_seconds: float = 600.0,
    ) -> None:
        """`deadline_seconds`: how long a server may be silent or busy for everyone before a person is needed.
        `max_attempts`: how often one request may fail on a server that works. `request_seconds`: the wall deadline of
        one attempt, whatever trickles in.
        """
        self.backend, self.ledger, self.emit, self.should_stop = backend, ledger, emit, should_stop
        self.deadline_seconds, self.max_attempts, self.request_seconds = deadline_seconds, max_attempts, request_seconds
        self.clock = _Clock(sleep)
        self.pace = _Pace(min(backend.slots, concurrency))
        self.chance = random.Random()  # spreads retries only: no result depends on it
        self.reused = 0
        """Questions answered from the ledger."""
        self.retries: Counter[str] = Counter()
        """Attempts that failed and could be tried again, by reason."""

    def ask_all(
        self,
        requests: Sequence[Request],
        *,
        round: int,
        on_done: Callable[[int, Answer], None] | None = None,
    ) -> list[Answer]:
        """One answer for each request, in their order; `on_done(index, answer)` is called as each comes in.

        Raises TeacherUnusable, BudgetSpent or Stopped once nothing is in flight any more; what was answered until then
        is in the ledger, and asking the same again goes on from there.
        """
        return _Batch(self, requests, round, on_done or (lambda place, answer: None)).run()


@dataclass
class _Batch:
    """One call of `ask_all`. Its fields are touched by the calling thread alone; attempts report through `landed`."""

    client: Client
    requests: Sequence[Request]
    round: int
    on_done: Callable[[int, Answer], None]
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    waiting: deque[_Job] = field(default_factory=deque[_Job])
    flights: list[_Flight] = field(default_factory=list[_Flight])
    landed: queue.SimpleQueue[Landing] = field(default_factory=queue.SimpleQueue[Landing])
    halt: Exception | None = None
    """Set once nothing more may be sent; raised when all flights have landed."""
    silent_since: float | None = None
    """When the failures began that no reply has interrupted."""
    given_up: int = 0
    """Requests given up since the last reply."""

    def run(self) -> list[Answer]:
        self._take_in()
        while self.waiting or self.flights:
            self._heed_stop()
            if self.halt and not self.flights:
                self._tell_spent()
                raise self.halt
            self._launch()
            self._wait()
        self._tell_spent()
        return [self.answers[place] for place in range(len(self.requests))]

    def _take_in(self) -> None:
        """Answer what the ledger knows; queue the rest, each question once."""
        jobs: dict[str, _Job] = {}
        for place, request in enumerate(self.requests):
            key = request.key(self.client.backend.served_by)
            jobs.setdefault(key, _Job(request, key, [])).places.append(place)
        for job in jobs.values():
            known = self.client.ledger.find(job.key)
            if known is None:
                self.waiting.append(job)
            else:
                self.client.reused += 1
                self._deliver(job, _as_answer(known))

    def _heed_stop(self) -> None:
        if self.halt is None and self.waiting and self.client.should_stop():
            self.halt = Stopped(f"Stopped as asked, with {len(self.waiting)} requests to the teacher not sent.")

    def _launch(self) -> None:
        """Reserve and send as many waiting jobs as the pace and the budget allow now."""
        while self.halt is None and len(self.flights) < int(self.client.pace.limit):
            job = self._next_ready()
            if job is None:
                return
            try:
                attempt = self.client.ledger.reserve(job.request, job.key, self.round)
            except BudgetSpent as spent:
                # Flights are charged the most they could cost: when they land there may be room again.
                if not self.flights:
                    self.halt = spent
                return
            self.waiting.remove(job)
            flight = _Flight(job, attempt, self.client.clock.now())
            self.flights.append(flight)
            threading.Thread(target=self._fly, args=(flight,), daemon=True, name=f"teacher-{job.key[:8]}").start()

    def _next_ready(self) -> _Job | None:
        now = self.client.clock.now()
        if now < self.client.pace.hold_until:
            return None
        return next((job for job in self._eligible() if job.not_before <= now), None)

    def _eligible(self) -> Sequence[_Job]:
        """While no reply has come since the last failure, what failed goes first: a sick server (each nonsense it
        sends is charged) should not be fed the whole batch before anyone notices.
        """
        failed = [job for job in self.waiting if job.failures]
        trying = any(flight.job.failures for flight in self.flights)
        return failed if self.silent_since is not None and (failed or trying) else self.waiting

    def _fly(self, flight: _Flight) -> None:
        """One attempt, in its own thread. The reply is settled here, so that not even a crash now could lose it."""
        try:
            reply = self.client.backend.complete(flight.job.request)
            self.client.ledger.settle(flight.job.key, reply, flight.attempt)
            self.landed.put((flight, reply))
        except Exception as problem:  # noqa: BLE001  the calling thread raises what it does not know
            self.landed.put((flight, problem))

    def _wait(self) -> None:
        """Until something lands, but not longer than a tick."""
        clock = self.client.clock
        if self.flights:
            with contextlib.suppress(queue.Empty):
                flight, outcome = self.landed.get(timeout=TICK)
                if flight in self.flights:  # else it was left behind earlier
                    self.flights.remove(flight)
                    self._land(flight, outcome)
            self._leave_behind()
        elif self.waiting and self.halt is None:
            ready = max(self.client.pace.hold_until, min(job.not_before for job in self._eligible()))
            clock.sleep(min(TICK, max(0.0, ready - clock.now())))

    def _leave_behind(self) -> None:
        """Stop waiting for attempts past their wall deadline."""
        limit, now = self.client.request_seconds, self.client.clock.now()
        for flight in [flight for flight in self.flights if now - flight.started >= limit]:
            self.flights.remove(flight)
            self._land(flight, TryAgain("timeout", f"no whole reply within {limit:g} s"))

    def _land(self, flight: _Flight, outcome: Reply | Exception) -> None:
        client, job = self.client, flight.job
        if isinstance(outcome, Reply):
            self.silent_since, self.given_up = None, 0
            client.pace.replied()
            self._deliver(job, _as_answer(outcome))
            self._tell_spent()
            return
        if isinstance(outcome, TryAgain):
            book = client.ledger.forfeit if outcome.charged else client.ledger.release
            book(job.key, str(outcome), flight.attempt)
            self._after_failure(flight, outcome)
            return
        if isinstance(outcome, TeacherUnusable):
            client.ledger.release(job.key, str(outcome), flight.attempt)
        self.halt = self.halt or outcome
        self.waiting.append(job)

    def _after_failure(self, flight: _Flight, problem: TryAgain) -> None:
        """Try this job again later, give it up alone, or give up the server."""
        client, job, now = self.client, flight.job, self.client.clock.now()
        client.retries[problem.reason] += 1
        self.silent_since = now if self.silent_since is None else self.silent_since
        if problem.reason == "busy":
            client.pace.busy(flight.started, now, problem.retry_after)
        job.failures += 1
        job.tries += problem.reason not in PATIENT
        late = now - self.silent_since >= client.deadline_seconds
        if job.tries >= client.max_attempts or (late and isinstance(problem, BadReply)):
            self._give_up(job, problem)
            return
        self.waiting.append(job)
        if late:
            self.halt = self.halt or self._unusable(f"has given no reply for {now - self.silent_since:.0f} s", problem)
        elif self.halt is None:
            wait = self._backoff(job, problem, self.silent_since + client.deadline_seconds - now)
            job.not_before = now + wait
            client.emit("retry", reason=problem.reason, wait=round(wait, 1))

    def _backoff(self, job: _Job, problem: TryAgain, left: float) -> float:
        """Exponential with full jitter (Brooker, AWS, 2015), at least what the server asks, tried once at the end."""
        ceiling = min(LONGEST_BACKOFF, 2.0 ** min(job.failures - 1, 30))
        return max(problem.retry_after or 0.0, min(self.client.chance.uniform(0.0, ceiling), left))

    def _give_up(self, job: _Job, problem: TryAgain) -> None:
        self.given_up += 1
        if self.given_up < GIVE_UPS_IN_A_ROW:
            self._deliver(job, Failed(reason=problem.reason, detail=problem.detail))
            return
        self.waiting.append(job)
        self.halt = self.halt or self._unusable(f"failed {self.given_up} requests in a row", problem)

    def _unusable(self, what: str, problem: TryAgain) -> TeacherUnusable:
        return TeacherUnusable(
            f"The teacher {self.client.backend.served_by!r} {what}; the last thing seen was {problem}. Check that the "
            "server runs and that this machine reaches it, then resume the run: every reply so far is kept."
        )

    def _deliver(self, job: _Job, answer: Answer) -> None:
        for place in job.places:
            self.answers[place] = answer
            self.on_done(place, answer)

    def _tell_spent(self) -> None:
        spent, caps = self.client.ledger.totals(), self.client.ledger.budget
        self.client.emit(
            "spent",
            requests=spent.requests,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            money=spent.money,
            reused_requests=self.client.reused,
            budget={"tokens": caps.max_tokens, "requests": caps.max_requests, "money": caps.max_money},
        )


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


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Completion(BaseModel):
    """What we need of a chat completion; servers differ in all the rest."""

    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(ge=0, le=10**12)
    completion_tokens: int = Field(ge=0, le=10**12)


def _read_completion(page: bytes, kind: str, seconds: float) -> Reply:
    """Raises BadReply for anything but a chat completion with at least one choice that says something."""
    if "json" not in kind:
        raise BadReply(f"the server sent {kind or 'no content type'!r} instead of JSON")
    try:
        completion = _Completion.model_validate_json(page)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadReply(f"no chat completion: {first['msg']} at {first['loc']}") from None
    choice = completion.choices[0]
    reason = choice.finish_reason or "unknown"
    if choice.message.refusal is not None or reason == "content_filter":
        reason = "refusal"
    elif choice.message.content is None and reason != "length":
        raise BadReply("the choice holds no text")
    try:
        usage = _Usage.model_validate(completion.usage)
    except ValidationError:
        usage = None
    return Reply(
        text=choice.message.refusal or choice.message.content or "",
        finish_reason=reason,
        prompt_tokens=usage and usage.prompt_tokens,
        completion_tokens=usage and usage.completion_tokens,
        seconds=seconds,
    )


def _as_answer(reply: Reply) -> Answer:
    return Failed(reason="refusal", detail=reply.text) if reply.finish_reason == "refusal" else reply


def _with_schema(messages: tuple[Message, ...], schema: dict[str, Any]) -> tuple[Message, ...]:
    """For servers without schema support: ask for it in the system message (a second one breaks some templates)."""
    asked = f"Reply with one JSON object and nothing else. It must fit this JSON Schema:\n{json.dumps(schema)}"
    if messages and messages[0].role == "system":
        return (Message(role="system", content=f"{messages[0].content}\n\n{asked}"), *messages[1:])
    return (Message(role="system", content=asked), *messages)


def _checked_address(base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(base_url.strip().rstrip("/"))
    except (httpx2.InvalidURL, TypeError) as error:
        raise TeacherUnusable(f"The teacher's address {base_url!r} is no URL: {error}.") from None
    if url.userinfo:
        raise TeacherUnusable(
            f"The teacher's address at {url.host!r} holds a user name or password; it would end up in files. Take it "
            "out and name the variable that holds the key instead."
        )
    if not url.host or not (url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host))):
        raise TeacherUnusable(
            f"The teacher's address {base_url!r} is not https, so the key and your items would travel in clear text. "
            "Use https, or a tunnel to 127.0.0.1 (ssh -L)."
        )
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
