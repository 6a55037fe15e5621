"""How many requests at once suits a server, found out against servers that exist only as arithmetic."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

import pytest

from teacher.pacing import CROWDED, START, Pace

Latency = Callable[[int], float]
"""Seconds a reply takes when so many are in flight."""


def played(pace: Pace, latency: Latency, replies: int, refuses_above: float = float("inf")) -> list[int]:
    """How many were in flight at each answer of a server; one too busy answers at once, and with no."""
    chance, now, order = random.Random(7), 0.0, itertools.count()
    flights: list[tuple[float, int, float, bool]] = []
    at_once: list[int] = []
    while len(at_once) < replies:
        while len(flights) < int(pace.limit):
            refused = len(flights) >= refuses_above
            takes = 0.01 if refused else latency(len(flights) + 1) * chance.uniform(0.7, 1.4)
            heapq.heappush(flights, (now + takes, next(order), now, refused))
        at_once.append(len(flights))
        now, _, started, refused = heapq.heappop(flights)
        if refused:
            pace.busy(started, now)
        else:
            pace.replied("write", now - started, 100, started, now)
    return at_once


def slots(count: int) -> Latency:
    """Serves so many at once; the rest wait in line."""
    return lambda flying: max(1.0, flying / count)


def test_a_server_that_keeps_up_is_given_all_it_may_have() -> None:
    assert played(Pace(64), lambda flying: 1.0, 400)[-1] == 64
    assert played(Pace(64), lambda flying: 1 + flying / 32, 400)[-1] == 64  # batches: slower each, more in all


def test_it_starts_with_a_few_and_grows_fast() -> None:
    pace = Pace(64)
    assert pace.limit == START
    assert max(played(pace, lambda flying: 1.0, 3 * START)) >= 3 * START


@pytest.mark.parametrize("count", [9, 12])
def test_a_full_server_is_not_queued_at_for_long(count: int) -> None:
    late = played(Pace(200), slots(count), 3000)[1500:]
    assert count <= min(late)  # none of its slots stands empty
    assert sorted(late)[len(late) // 2] <= 2 * CROWDED * count


def test_a_server_that_refuses_is_asked_about_as_much_as_it_takes() -> None:
    late = played(Pace(64), lambda flying: 1.0, 3000, refuses_above=20)[1500:]
    assert 10 <= sorted(late)[len(late) // 2] <= 21


def test_a_server_that_became_slower_for_good_is_not_starved() -> None:
    pace = Pace(8)
    played(pace, lambda flying: 1.0, 200)
    assert min(played(pace, lambda flying: 20.0, 3000)[-100:]) >= 4


def test_one_at_a_time_is_the_least() -> None:
    pace = Pace(8)
    for second in range(50):
        pace.busy(started=second, now=second + 0.5, retry_after=3.0)
    assert pace.limit == 1
    assert pace.hold_until == 52.5


def test_replies_that_took_no_time_say_nothing() -> None:
    pace = Pace(8)
    for _ in range(50):
        pace.replied("write", 0.0, 0, 0.0, 0.0)
    assert pace.limit == 8
