"""How many requests may be in flight: as many as a server serves well, found out by asking.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP does it. It starts with a few and doubles until
something stands in the way. Halved when the server says it is busy or lets a request time out. Eased off when replies
of one kind take `CROWDED` times as long as they once did: a server that batches slows down gently as more are asked
at once, one that is full only lets them queue, and a long queue ends in timeouts and helps nobody.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable

START = 8
"""So many at once to begin with."""
CROWDED = 4.0
"""Replies that take this many times as long as at their best mean that requests queue up."""
EASE = 0.8
"""What is left of the limit then."""
WINDOW = 8
"""Replies whose median is the present speed: single ones differ too much."""
FORGET = 1.002
"""The best speed is believed a little less with each reply, since a server may have become slower for good."""
PROMPT_WEIGHT = 16
"""New tokens that reading a prompt takes as long as, roughly."""


class Clock:
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


class Pace:
    """How many requests may be in flight, and from when on."""

    def __init__(self, most: int) -> None:
        self.most = max(1, most)
        self.limit = float(min(self.most, START))
        self.hold_until = -math.inf
        self._growing_fast = True
        self._cut_at = -math.inf
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._best: dict[str, float] = {}

    def busy(self, started: float, now: float, retry_after: float | None = None) -> None:
        """A request sent at `started` was turned away, or left to time out."""
        self.hold_until = max(self.hold_until, now + (retry_after or 0.0))
        self._cut(0.5, started, now)

    def replied(self, kind: str, seconds: float, new_tokens: int, started: float, now: float) -> None:
        """A request of some kind (those that are alike in size), sent at `started`, was answered."""
        if self._crowded(kind, seconds / (PROMPT_WEIGHT + new_tokens)):
            self._cut(EASE, started, now)
        else:
            self.limit = min(float(self.most), self.limit + (1.0 if self._growing_fast else 1 / self.limit))

    def _cut(self, share: float, started: float, now: float) -> None:
        self._growing_fast = False
        if started > self._cut_at:  # the others sent before the last cut say nothing new
            self.limit, self._cut_at = max(1.0, self.limit * share), now
            self._recent.clear()

    def _crowded(self, kind: str, seconds_a_token: float) -> bool:
        recent = self._recent[kind]
        recent.append(seconds_a_token)
        if len(recent) < WINDOW:
            return False
        usual = statistics.median(recent)
        best = self._best[kind] = min(self._best.get(kind, math.inf) * FORGET, usual)
        return usual > CROWDED * best
