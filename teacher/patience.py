"""How long to go on after failures: try this request again, give it up alone, or give up the server.

A request may be at fault (it always breaks, it is too long, it is filtered) or the server (down, busy, nonsense). The
first must not end a run, the second must not eat a budget, so both have their limits: attempts for one request,
requests given up in a row, and seconds without any reply. A status that says nothing about the request (busy,
unreachable) is bounded by time alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from teacher.errors import BadReply, Refused, TryAgain

LONGEST_BACKOFF = 60.0
"""The most seconds of our own backoff."""
GIVE_UPS_IN_A_ROW = 3
"""So many requests given up with no reply in between: the server is at fault, not the requests."""
REFUSALS_IN_A_ROW = 25
"""The same for refusals of a server that has answered others: long items often stand together."""
PATIENT = frozenset({"busy", "unreachable"})
"""Reasons that say nothing about the request: they are bounded by the deadline and not by `max_attempts`."""


@dataclass(eq=False)
class Tries:
    """How one request has fared."""

    failures: int = 0
    """All failed attempts: they lengthen the backoff."""
    own: int = 0
    """Failed attempts that count against `max_attempts`."""
    since: float | None = None
    """When it first failed."""


@dataclass(frozen=True)
class Verdict:
    """What to do after a failure."""

    act: Literal["again", "give up", "stop"]
    """Send it again, let it fail alone, or ask for a person."""
    wait: float = 0.0
    """For `again`: seconds until then."""
    why: str = ""
    """For `stop`: what the server did, to follow its name."""


class Patience:
    """What has been seen of a server in one batch, and what follows from the next failure."""

    def __init__(self, deadline_seconds: float, max_attempts: int, answered: bool) -> None:
        """`answered`: whether the server is known to have answered anything before."""
        self.deadline_seconds, self.max_attempts, self.answered = deadline_seconds, max_attempts, answered
        self.silent_since: float | None = None
        """When the failures began that no reply has interrupted."""
        self.given_up = 0
        """Requests given up since the last reply."""
        self._chance = random.Random()  # spreads retries only: no result depends on it

    def replied(self, wordless: bool = False) -> str:
        """A reply came. Where it was `wordless` (thoughts and no answer) too often in a row: why that is no use."""
        self.silent_since, self.answered = None, True
        self.given_up = self.given_up + 1 if wordless else 0
        return f"only thought, {self.given_up} times in a row" if self.given_up >= GIVE_UPS_IN_A_ROW else ""

    def judge(self, tries: Tries, problem: TryAgain, now: float) -> Verdict:
        """What to do about the request that just failed."""
        if isinstance(problem, Refused):
            return self._refused(problem)
        self.silent_since = now if self.silent_since is None else self.silent_since
        tries.since = now if tries.since is None else tries.since
        tries.failures += 1
        tries.own += problem.reason not in PATIENT
        silent = now - self.silent_since
        late = silent >= self.deadline_seconds
        if tries.own >= self.max_attempts or (late and isinstance(problem, BadReply)):
            return self._one_less(GIVE_UPS_IN_A_ROW, "failed")
        if late:
            return Verdict("stop", why=f"has given no reply for {silent:.0f} s")
        if now - tries.since >= self.deadline_seconds:  # others were answered all the while
            return self._one_less(GIVE_UPS_IN_A_ROW, "failed")
        return Verdict("again", wait=self._backoff(tries, problem, self.deadline_seconds - silent))

    def _refused(self, problem: Refused) -> Verdict:
        if problem.reason == "refusal":  # as good as a reply: the server works, and knows what it does not want
            self.silent_since, self.given_up = None, 0
            return Verdict("give up")
        if problem.reason == "refused" and not self.answered:
            return Verdict("stop", why="refused the very first request")
        return self._one_less(REFUSALS_IN_A_ROW if self.answered else GIVE_UPS_IN_A_ROW, "refused")

    def _one_less(self, most: int, what: str) -> Verdict:
        self.given_up += 1
        if self.given_up < most:
            return Verdict("give up")
        return Verdict("stop", why=f"{what} {self.given_up} requests in a row")

    def _backoff(self, tries: Tries, problem: TryAgain, left: float) -> float:
        """Exponential with full jitter (Brooker, AWS, 2015), at least what the server asks, tried once at the end."""
        ceiling = min(LONGEST_BACKOFF, 2.0 ** min(tries.failures - 1, 30))
        return max(problem.retry_after or 0.0, min(self._chance.uniform(0.0, ceiling), left))
