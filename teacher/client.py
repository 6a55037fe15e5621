"""Asks a teacher many questions at once and comes back with every answer, or with the one thing a person must change.

In go `Request`s; out come `Reply`s in the same order, each in the ledger before anyone uses it. The backend makes one
attempt; `pacing` says how many at a time, `patience` how long to go on, and `batch` sends, waits and files. What
outlives a batch is kept here: the pace that suits the server, and the counts.
"""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Sequence

from teacher.backend import Backend
from teacher.batch import Batch
from teacher.ledger import Ledger
from teacher.pacing import Clock, Pace
from teacher.patience import Patience
from teacher.requests import Answer, Request

Emit = Callable[..., None]


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
        self.clock = Clock(sleep)
        self.pace = Pace(min(backend.slots, concurrency))
        self.answered = False
        """Whether the teacher is known to have answered anything, now or earlier."""
        self.reused = 0
        """Questions answered from the ledger."""
        self.replayed = 0
        """Questions answered from a former run."""
        self.retries: Counter[str] = Counter()
        """Attempts that brought no reply, by reason."""
        self._told: set[str] = set()
        self._filed: tuple[int, str] | None = None

    def apart(self, round: int, tag: str) -> Client:
        """The same teacher, ledger and pace; what is asked through it is filed under this round and tag."""
        other = copy.copy(self)
        other._filed = (round, tag)
        return other

    def ask_all(
        self,
        requests: Sequence[Request],
        *,
        round: int,
        on_done: Callable[[int, Answer], None] | None = None,
        within_budget: bool = False,
    ) -> list[Answer]:
        """One answer for each request, in their order; `on_done(index, answer)` is called as each comes in.

        `within_budget`: where a cap is met, requests that were not sent come back as failed (`UNAFFORDED`), if others were answered.

        Raises TeacherUnusable, BudgetSpent or Stopped once nothing is in flight any more; what was answered until then
        is in the ledger, and asking the same again goes on from there.
        """
        number, tag = self._filed or (round, None)
        if tag is not None:
            requests = [one.model_copy(update={"tag": tag}) for one in requests]
        patience = Patience(self.deadline_seconds, self.max_attempts, self.answered)
        return Batch(self, requests, number, on_done or (lambda place, answer: None), patience, within_budget).run()

    def note_once(self, about: str, text: str) -> None:
        """Say something a person should know, but not for every reply it is true of."""
        if about not in self._told:
            self._told.add(about)
            self.emit("note", text=text)

    def tell_spent(self) -> None:
        """Emit what has been spent so far, beside the caps."""
        spent, caps = self.ledger.totals(), self.ledger.budget
        self.emit(
            "spent",
            requests=spent.requests,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            money=spent.money,
            reused_requests=self.reused,
            replayed_requests=self.replayed,
            budget={"tokens": caps.max_tokens, "requests": caps.max_requests, "money": caps.max_money},
        )
