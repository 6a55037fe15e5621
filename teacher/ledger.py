"""The book of every request to a teacher: what may be sent, what was sent, what came back, what it cost.

A request is written here (`reserve`) before it is sent, with the most it could cost, and the caps are checked in that
same transaction; so no number of threads can pass a cap, and a crash at any moment leaves the charge standing. Its
reply is written here (`settle`) before anyone uses it; so no reply is bought twice. What the server did not tell stays
NULL and is charged as reserved. A row is one attempt: asking again after a crash adds a row and keeps the old charge.

SQLite with a rollback journal rather than WAL: one durable file, also on the network disks that clusters keep run
folders on, and a teacher is slower than two fsyncs. Prompts and replies are in it, so its mode is 0600.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from student.records import Record
from teacher.errors import BudgetSpent, TeacherUnusable
from teacher.requests import Reply, Request

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    key TEXT NOT NULL, attempt INTEGER NOT NULL, purpose TEXT NOT NULL, round INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'failed')),
    charged_tokens INTEGER NOT NULL, charged_money REAL NOT NULL,
    prompt_tokens INTEGER, completion_tokens INTEGER, money REAL, error TEXT,
    started REAL NOT NULL, ended REAL, request TEXT NOT NULL, reply TEXT,
    PRIMARY KEY (key, attempt)
);
-- Covers the sums, so that checking a cap does not read past every prompt and reply.
CREATE INDEX IF NOT EXISTS spending ON requests
    (state, purpose, charged_tokens, charged_money, prompt_tokens, completion_tokens, money);
"""
TOTALS = """
SELECT COALESCE(SUM(charged_tokens > 0), 0), COALESCE(SUM(charged_tokens = 0), 0),
       COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(state = 'settled' AND prompt_tokens IS NULL), 0),
       COALESCE(SUM(completion_tokens), 0), COALESCE(SUM(state = 'settled' AND completion_tokens IS NULL), 0),
       COALESCE(SUM(money), 0.0), COALESCE(SUM(state = 'settled' AND money IS NULL), 0),
       COALESCE(SUM(charged_tokens), 0), COALESCE(SUM(charged_money), 0.0),
       COALESCE(SUM(CASE WHEN prompt_tokens IS NULL OR completion_tokens IS NULL THEN charged_tokens END), 0)
FROM requests
"""
# A settled reply is final: a late failure of the same attempt must not take it away.
END = """
UPDATE requests SET state = :state, reply = :reply, error = :error, ended = :ended,
    prompt_tokens = :prompt_tokens, completion_tokens = :completion_tokens, money = :money,
    charged_tokens = COALESCE(:charged_tokens, charged_tokens), charged_money = COALESCE(:charged_money, charged_money)
WHERE key = :key AND attempt = :attempt AND state != 'settled'
"""
NOTHING = dict.fromkeys(
    ("reply", "error", "prompt_tokens", "completion_tokens", "money", "charged_tokens", "charged_money")
)


class Budget(Record):
    """Caps on one run's teacher; None is no cap."""

    max_tokens: int | None = Field(default=None, ge=0)
    """Prompt and new tokens together."""
    max_requests: int | None = Field(default=None, ge=0)
    """Requests that reached the server."""
    max_money: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """In the currency of the prices."""
    max_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Wall time during which at least one request was in flight; training and pauses are not counted."""


class Prices(Record):
    """What the teacher's owner asks, in any one currency; zero for a teacher of one's own."""

    prompt_per_million: float = Field(ge=0, allow_inf_nan=False)
    """For a million prompt tokens."""
    completion_per_million: float = Field(ge=0, allow_inf_nan=False)
    """For a million new tokens."""

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        return (prompt_tokens * self.prompt_per_million + completion_tokens * self.completion_per_million) / 1e6


class Spent(Record):
    """The ledger's sums. `tokens` and `charged_money` are what the caps are compared with."""

    requests: int
    """Requests charged: answered, in flight, lost in a crash, or answered with nonsense."""
    failed: int
    """Requests the server certainly did not serve (refused, busy); they cost nothing."""
    prompt_tokens: int | None
    """Of the answered ones; None where a reply did not say."""
    completion_tokens: int | None
    """Of the answered ones; None where a reply did not say."""
    money: float | None
    """Of the answered ones; None without prices or where a reply did not say."""
    reserved_tokens: int
    """The part of `tokens` that is an upper bound, because the real use is not known (yet)."""
    tokens: int
    """Tokens charged."""
    charged_money: float
    """Money charged, upper bounds included; 0 without prices."""
    seconds: float
    """Wall time with at least one request in flight."""
    by_purpose: dict[str, int]
    """Tokens charged for each purpose."""


class Ledger:
    """The ledger file of one run. Safe to use from any thread."""

    def __init__(
        self, path: Path, budget: Budget, prices: Prices | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Open or create. Raises TeacherUnusable where the file is no ledger, or a money cap has no prices."""
        if budget.max_money is not None and prices is None:
            raise TeacherUnusable(
                f"The budget caps money at {budget.max_money:g}, but this teacher has no prices, so the cap could not "
                "be kept. Give the prices of a million prompt and completion tokens, or cap tokens instead."
            )
        self.path, self.budget, self.prices, self._clock = path, budget, prices, clock
        self._lock = threading.RLock()
        self._db = _open(path)
        self._in_flight: set[tuple[str, int]] = set()
        self._busy_since = 0.0
        self._busy = _covered(self._db.execute("SELECT started, ended FROM requests WHERE ended IS NOT NULL"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def find(self, key: str) -> Reply | None:
        """The settled reply to a request, from this process or an earlier one."""
        with self._lock:
            row = self._db.execute(
                "SELECT reply FROM requests WHERE key = ? AND state = 'settled' ORDER BY attempt LIMIT 1", (key,)
            ).fetchone()
        return None if row is None else Reply.model_validate_json(row[0])

    def reserve(self, request: Request, key: str, round: int) -> int:
        """Charge the most this request can cost and return its attempt number. Raises BudgetSpent, writing nothing."""
        most = request.most_tokens()
        money = 0.0 if self.prices is None else self.prices.of(most - request.max_tokens, request.max_tokens)
        with self._lock, self._transaction():
            self._check_caps(most, money)
            (attempt,) = self._db.execute("SELECT COUNT(*) + 1 FROM requests WHERE key = ?", (key,)).fetchone()
            self._db.execute(
                "INSERT INTO requests (key, attempt, purpose, round, state, charged_tokens, charged_money, started,"
                " request) VALUES (?, ?, ?, ?, 'reserved', ?, ?, ?, ?)",
                (key, attempt, request.purpose, round, most, money, self._clock(), request.model_dump_json()),
            )
            if not self._in_flight:
                self._busy_since = self._clock()
            self._in_flight.add((key, attempt))
        return attempt

    def settle(self, key: str, reply: Reply, attempt: int | None = None) -> None:
        """File the reply and charge what it says it cost; a reply that does not say stays charged as reserved."""
        money = None
        known: dict[str, Any] = {}
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            known["charged_tokens"] = reply.prompt_tokens + reply.completion_tokens
            if self.prices is not None:
                money = self.prices.of(reply.prompt_tokens, reply.completion_tokens)
                known["charged_money"] = money
        self._end(
            key,
            attempt,
            state="settled",
            reply=reply.model_dump_json(),
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            money=money,
            **known,
        )

    def release(self, key: str, error: str, attempt: int | None = None) -> None:
        """The server certainly did no work (refused connection, 4xx, 429): take the charge back, keep the row."""
        self._end(key, attempt, state="failed", error=error, charged_tokens=0, charged_money=0.0)

    def forfeit(self, key: str, error: str, attempt: int | None = None) -> None:
        """No usable reply, but the server may have done the work (timeout, 500, broken body): keep the charge."""
        self._end(key, attempt, state="failed", error=error)

    def totals(self) -> Spent:
        """What has been spent so far, by every process that wrote to this file."""
        with self._lock:
            row = self._db.execute(TOTALS).fetchone()
            purposes = self._db.execute("SELECT purpose, SUM(charged_tokens) FROM requests GROUP BY purpose").fetchall()
            seconds = self._seconds()
        return Spent(
            requests=row[0],
            failed=row[1],
            prompt_tokens=None if row[3] else row[2],
            completion_tokens=None if row[5] else row[4],
            money=None if row[7] or self.prices is None else row[6],
            tokens=row[8],
            charged_money=row[9],
            reserved_tokens=row[10],
            seconds=seconds,
            by_purpose=dict(purposes),
        )

    def _check_caps(self, most: int, money: float) -> None:
        spent, budget = self.totals(), self.budget
        _check("max_requests", budget.max_requests, spent.requests, 1)
        _check("max_tokens", budget.max_tokens, spent.tokens, most)
        _check("max_money", budget.max_money, spent.charged_money, money)
        # A request's time cannot be bounded beforehand: none is sent once the time is up.
        if budget.max_seconds is not None and spent.seconds >= budget.max_seconds:
            _check("max_seconds", budget.max_seconds, spent.seconds, 1)

    def _end(self, key: str, attempt: int | None, **values: Any) -> None:
        """Write how an attempt (the newest, if not named) ended."""
        with self._lock, self._transaction():
            if attempt is None:
                (attempt,) = self._db.execute("SELECT MAX(attempt) FROM requests WHERE key = ?", (key,)).fetchone()
            now = self._clock()
            changed = self._db.execute(
                END, {**NOTHING, **values, "ended": now, "key": key, "attempt": attempt}
            ).rowcount
            if not changed and self.find(key) is None:
                raise KeyError(f"request {key!r} was never reserved in {self.path}")
            if (key, attempt) in self._in_flight:
                self._in_flight.discard((key, attempt))
                self._busy += 0.0 if self._in_flight else max(0.0, now - self._busy_since)

    def _seconds(self) -> float:
        return self._busy + (max(0.0, self._clock() - self._busy_since) if self._in_flight else 0.0)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        """Takes the write lock at once, so that two processes cannot both see room under a cap."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Created by us with the right mode: SQLite would follow the umask, and give its journal the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    path.chmod(0o600)
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA synchronous = FULL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"its version is {version}, not {SCHEMA_VERSION}")
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except sqlite3.DatabaseError as error:
        db.close()
        raise TeacherUnusable(
            f"The ledger {str(path)!r} cannot be read: {error}. It records what this run has paid for; restore it from "
            "a backup, or start a new run."
        ) from error
    return db


def _check(cap: str, limit: float | None, spent: float, more: float) -> None:
    if limit is not None and spent + more > limit:
        raise BudgetSpent(
            f"The budget's {cap} of {limit:,g} is spent: {spent:,.10g} charged so far, and the next request could take "
            f"{more:,.10g} more. Everything bought is kept; raise budget.{cap} to go on.",
            cap,
        )


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds covered by at least one of the spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
