"""One call of `Client.ask_all`: takes questions in, sends what has to be sent, waits, files, and hands out answers.

One thread runs it and makes every decision; each attempt runs in a daemon thread of its own. That is how a wall
deadline holds for any backend: the SDK's timeout restarts with every byte, so a server that drips (or a name lookup
that hangs) would never meet it. An attempt past `request_seconds` is left to itself: its reservation stays charged,
and should its reply still arrive, its thread files it in the ledger for the next time the question is asked.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from teacher.backend import Remembers
from teacher.errors import BudgetSpent, Stopped, TeacherUnusable, TryAgain
from teacher.patience import Patience, Tries
from teacher.requests import UNAFFORDED, Answer, Failed, Reply, Request, as_answer

if TYPE_CHECKING:
    from teacher.client import Client

TICK = 0.25
"""Seconds between two looks at `should_stop`."""


@dataclass(eq=False)
class _Job:
    """One question of a batch on its way to an answer."""

    request: Request
    key: str
    places: list[int]
    """Where in the batch it was asked (the same question may be asked twice)."""
    tries: Tries = field(default_factory=Tries)
    not_before: float = 0.0
    """When it may be sent again."""


@dataclass(eq=False)
class _Flight:
    """One attempt under way."""

    job: _Job
    attempt: int
    started: float


Landing = tuple[_Flight, Reply | Exception]


@dataclass
class Batch:
    """One call of `ask_all`. Its fields are touched by the calling thread alone; attempts report through `landed`."""

    client: Client
    requests: Sequence[Request]
    round: int
    on_done: Callable[[int, Answer], None]
    patience: Patience
    within_budget: bool = False
    """Whether what was bought before a cap is handed out all the same."""
    answers: dict[int, Answer] = field(default_factory=dict[int, Answer])
    waiting: deque[_Job] = field(default_factory=deque[_Job])
    flights: list[_Flight] = field(default_factory=list[_Flight])
    landed: queue.SimpleQueue[Landing] = field(default_factory=queue.SimpleQueue[Landing])
    halt: Exception | None = None
    """Set once nothing more may be sent; raised when all flights have landed."""
    replies: int = 0
    """Bought in this batch."""

    def run(self) -> list[Answer]:
        self._take_in()
        self._recall()
        while self.waiting or self.flights:
            self._heed_stop()
            if self.halt and not self.flights:
                self.client.tell_spent()
                if not (self.within_budget and self.answers and isinstance(self.halt, BudgetSpent)):
                    raise self.halt
                self._leave_unsent(str(self.halt))
                break
            self._launch()
            self._wait()
        self.client.tell_spent()
        return [self.answers[place] for place in range(len(self.requests))]

    def _leave_unsent(self, why: str) -> None:
        for job in self.waiting:
            self.answers |= dict.fromkeys(job.places, Failed(reason=UNAFFORDED, detail=why))
        self.waiting.clear()

    def _take_in(self) -> None:
        """Answer what the ledger knows; queue the rest, each question once."""
        client, jobs = self.client, dict[str, _Job]()
        for place, request in enumerate(self.requests):
            key = request.key(client.backend.served_by)
            jobs.setdefault(key, _Job(request, key, [])).places.append(place)
        # A cap may end the batch anywhere: then no weakness and no label may stand at its end alone.
        for job in sorted(jobs.values(), key=lambda job: job.key) if self.within_budget else jobs.values():
            known = client.ledger.find(job.key)
            if known is None:
                self.waiting.append(job)
            else:
                client.reused += 1
                client.answered = self.patience.answered = True
                self._deliver(job, as_answer(known))

    def _recall(self) -> None:
        """Answer what a former run has been told; all of it is filed in one go before any of it is used."""
        client, backend = self.client, self.client.backend
        if not (self.waiting and isinstance(backend, Remembers)):
            return
        jobs, self.waiting = self.waiting, deque()
        known = list(zip(jobs, backend.recall([job.request for job in jobs]), strict=True))
        replies = [(job.request, job.key, answer) for job, answer in known if isinstance(answer, Reply)]
        client.ledger.adopt(replies, self.round, backend.served_by)
        client.replayed += len(replies)
        for job, answer in known:
            if answer is None:
                self.waiting.append(job)
            else:
                self._deliver(job, as_answer(answer) if isinstance(answer, Reply) else answer)

    def _heed_stop(self) -> None:
        if self.halt is None and self.waiting and self.client.should_stop():
            self.halt = Stopped(f"Stopped as asked, with {len(self.waiting)} requests to the teacher not sent.")

    def _launch(self) -> None:
        """Reserve and send as many waiting jobs as the pace and the budget allow now."""
        while self.halt is None and len(self.flights) < int(self.client.pace.limit):
            job = self._next_ready()
            if job is None:
                return
            if job.tries.failures and (late := self.client.ledger.find(job.key)):  # of an attempt that was left behind
                self.waiting.remove(job)
                self._deliver(job, as_answer(late))
                continue
            try:
                attempt = self.client.ledger.reserve(job.request, job.key, self.round, self.client.backend.served_by)
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
        failed = [job for job in self.waiting if job.tries.failures]
        trying = any(flight.job.tries.failures for flight in self.flights)
        return failed if self.patience.silent_since is not None and (failed or trying) else self.waiting

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
        job, ledger = flight.job, self.client.ledger
        if isinstance(outcome, Reply):
            self._received(flight, outcome)
            return
        if isinstance(outcome, TryAgain):
            book = ledger.forfeit if outcome.charged else ledger.release
            book(job.key, str(outcome), flight.attempt)
            self._failed(flight, outcome)
            return
        if isinstance(outcome, TeacherUnusable):
            ledger.release(job.key, str(outcome), flight.attempt)
        self.halt = self.halt or outcome
        self.waiting.append(job)

    def _received(self, flight: _Flight, reply: Reply) -> None:
        client, request = self.client, flight.job.request
        client.answered = True
        new_tokens = reply.completion_tokens or len(reply.text) // 4
        client.pace.replied(request.purpose, reply.seconds, new_tokens, flight.started, client.clock.now())
        why = self.patience.replied(wordless=reply.finish_reason == "only-reasoning")
        if why and self.halt is None:
            seen = f"a reply of {new_tokens} tokens, all of them thoughts"
            self.halt = self._unusable(why, seen, "Switch its thinking off, or let it write more")
        self._note_oddities(request, reply)
        self._deliver(flight.job, as_answer(reply))
        self.replies += 1
        if self.replies % max(1, self.replies // 100) == 0:  # summing up a long ledger takes a while
            client.tell_spent()

    def _note_oddities(self, request: Request, reply: Reply) -> None:
        """What makes no reply wrong, but may explain a strange run or a strange bill."""
        if reply.model:
            text = f"the teacher's server says that {reply.model!r} answers, which is not the model asked for"
            self.client.note_once(reply.model, text)
        told = (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        if told > request.most_tokens():
            text = (
                f"the teacher's server reports {told:,} tokens for a request that can take {request.most_tokens():,} at "
                "most: such counts are not believed, and the most it can take is charged. See what your account says"
            )
            self.client.note_once("usage", text)

    def _failed(self, flight: _Flight, problem: TryAgain) -> None:
        """Try this job again later, give it up alone, or give up the server."""
        client, job, now = self.client, flight.job, self.client.clock.now()
        if problem.reason in ("busy", "timeout"):
            client.pace.busy(flight.started, now, problem.retry_after)
        verdict = self.patience.judge(job.tries, problem, now)
        client.retries[problem.reason] += 1
        if verdict.act == "give up":
            self._deliver(job, Failed(reason=problem.reason, detail=problem.detail))
            return
        self.waiting.append(job)
        if verdict.act == "stop":
            self.halt = self.halt or self._unusable(verdict.why, str(problem), problem.advice)
        elif self.halt is None:
            job.not_before = now + verdict.wait
            client.emit("retry", reason=problem.reason, wait=round(verdict.wait, 1))

    def _unusable(self, what: str, seen: str, advice: str) -> TeacherUnusable:
        return TeacherUnusable(
            f"The teacher {self.client.backend.served_by!r} {what}; the last thing seen was {seen[:400]}. {advice}, then "
            "resume the run: every reply so far is kept."
        )

    def _deliver(self, job: _Job, answer: Answer) -> None:
        for place in job.places:
            self.answers[place] = answer
            self.on_done(place, answer)
