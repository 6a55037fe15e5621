"""The book of every request to a teacher: what may be sent, what was sent, what came back, what it cost.

A request is written here (`reserve`) before it is sent, with the most it could cost, and the caps are checked in that
same transaction; so no number of threads can pass a cap, and a crash at any moment leaves the charge standing. Its
reply is written here (`settle`) before anyone uses it; so no reply is bought twice. What the server did not tell stays
NULL and is charged as reserved; so is what it cannot be, more than was reserved: a charge never grows. A row is one
attempt: asking again after a crash adds a row and keeps the old charge.

SQLite with a rollback journal rather than WAL: one durable file, also on the network disks that clusters keep run
folders on, and a teacher is slower than two fsyncs. Prompts and replies are in it, so its mode is 0600.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from student.records import Record
from teacher.book import ADDED, SCHEMA_VERSION, Book, unreadable, version_of
from teacher.errors import BudgetSpent, TeacherUnusable
from teacher.requests import Reply, Request

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    key TEXT NOT NULL, attempt INTEGER NOT NULL, purpose TEXT NOT NULL, round INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'failed')),
    charged_tokens INTEGER NOT NULL, charged_money REAL NOT NULL,
    prompt_tokens INTEGER, completion_tokens INTEGER, money REAL, error TEXT,
    started REAL NOT NULL, ended REAL, request TEXT NOT NULL, reply TEXT,
    PRIMARY KEY (key, attempt)
);
"""
# Covers the sums, so that checking a cap does not read past every prompt and reply.
INDEX = """
DROP INDEX IF EXISTS spending;
CREATE INDEX IF NOT EXISTS sums ON requests (state, purpose, tag, round, replayed, charged_tokens, charged_money,
    prompt_tokens, completion_tokens, money, started, ended);
"""
CHARGED = """
SELECT COALESCE(SUM(replayed = 0 AND (state != 'failed' OR charged_tokens > 0)), 0) AS requests,
    COALESCE(SUM(charged_tokens), 0) AS tokens, COALESCE(SUM(charged_money), 0.0) AS money FROM requests
"""
INSERT = """
INSERT INTO requests (key, attempt, purpose, tag, round, served_by, state, charged_tokens, charged_money, started,
    request)
VALUES (:key, :attempt, :purpose, :tag, :round, :served_by, 'reserved', :tokens, :money, :now, :request)
"""
# A settled reply is final: a late failure of the same attempt must not take it away.
END = """
UPDATE requests SET state = :state, reply = :reply, error = :error, ended = :ended, replayed = :replayed,
    prompt_tokens = :prompt_tokens, completion_tokens = :completion_tokens, money = :money,
    charged_tokens = COALESCE(:charged_tokens, charged_tokens), charged_money = COALESCE(:charged_money, charged_money)
WHERE key = :key AND attempt = :attempt AND state != 'settled'
"""
NOTHING = {
    **dict.fromkeys(
        ("reply", "error", "prompt_tokens", "completion_tokens", "money", "charged_tokens", "charged_money")
    ),
    "replayed": 0,
}


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


class Ledger(Book):
    """The ledger file of one run, open for writing. Safe to use from any thread."""

    def __init__(
        self, path: Path, budget: Budget, prices: Prices | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """Open or create. Raises TeacherUnusable where the file is no ledger, or a money cap has no prices."""
        if budget.max_money is not None and prices is None:
            raise TeacherUnusable(
                f"The budget caps money at {budget.max_money:g}, but this teacher has no prices, so the cap could not "
                "be kept. Give the prices of a million prompt and completion tokens, or cap tokens instead."
            )
        super().__init__(path, _open(path), priced=prices is not None)
        self.budget, self.prices, self._clock = budget, prices, clock
        self._in_flight: set[tuple[str, int]] = set()
        self._busy_since = 0.0
        self._busy = super()._seconds()

    def reserve(self, request: Request, key: str, round: int, served_by: str = "") -> int:
        """Charge the most this request can cost and return its attempt number. Raises BudgetSpent, writing nothing."""
        most = request.most_tokens()
        money = 0.0 if self.prices is None else self.prices.of(most - request.max_tokens, request.max_tokens)
        with self._lock, self._transaction():
            self._check_caps(most, money)
            attempt = self._insert(request, key, round, served_by, most, money)
            if not self._in_flight:
                self._busy_since = self._clock()
            self._in_flight.add((key, attempt))
        return attempt

    def settle(self, key: str, reply: Reply, attempt: int | None = None) -> None:
        """File the reply and charge what it says it cost.

        A reply that does not say, or says more than was reserved (which is the most it can be), stays charged as
        reserved, and its real use unknown. A replayed reply costs nothing here.
        """
        with self._lock, self._transaction():
            self._file(key, self._newest(key) if attempt is None else attempt, reply)

    def adopt(self, replies: Sequence[tuple[Request, str, Reply]], round: int, served_by: str = "") -> None:
        """File (request, key, reply) of a former run, in one transaction. They cost nothing: no cap is in their way."""
        with self._lock, self._transaction():
            for request, key, reply in replies:
                self._file(key, self._insert(request, key, round, served_by, 0, 0.0), reply)

    def release(self, key: str, error: str, attempt: int | None = None) -> None:
        """The server certainly did no work (refused connection, 4xx, 429): take the charge back, keep the row."""
        self._fail(key, error, attempt, charged_tokens=0, charged_money=0.0)

    def forfeit(self, key: str, error: str, attempt: int | None = None) -> None:
        """No usable reply, but the server may have done the work (timeout, 500, broken body): keep the charge."""
        self._fail(key, error, attempt)

    def _fail(self, key: str, error: str, attempt: int | None, **charge: Any) -> None:
        with self._lock, self._transaction():
            at = self._newest(key) if attempt is None else attempt
            self._end(key, at, state="failed", error=error, **charge)

    def _insert(self, request: Request, key: str, round: int, served_by: str, tokens: int, money: float) -> int:
        """A new row, in state `reserved`; its attempt number."""
        attempt = (self._newest(key) or 0) + 1
        self._db.execute(
            INSERT,
            {"key": key, "attempt": attempt, "purpose": request.purpose, "tag": request.tag, "round": round,
             "served_by": served_by, "tokens": tokens, "money": money, "now": self._clock(),
             "request": request.model_dump_json()},
        )  # fmt: skip
        return attempt

    def _file(self, key: str, attempt: int | None, reply: Reply) -> None:
        cost = self._cost(key, attempt, reply)
        if "error" in cost:
            reply = reply.model_copy(update={"prompt_tokens": None, "completion_tokens": None})
        self._end(key, attempt, state="settled", reply=reply.model_dump_json(), **cost)

    def _cost(self, key: str, attempt: int | None, reply: Reply) -> dict[str, Any]:
        """The columns that say what a reply cost, as far as that is known and can be believed."""
        prompt, new = reply.prompt_tokens, reply.completion_tokens
        told: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": new}
        if reply.origin is not None:
            return {**told, "money": reply.origin.money, "charged_tokens": 0, "charged_money": 0.0, "replayed": 1}
        if prompt is None or new is None:
            return told
        money = None if self.prices is None else self.prices.of(prompt, new)
        most = self._one(
            "SELECT charged_tokens, charged_money FROM requests WHERE key = ? AND attempt = ?", key, attempt
        )
        if most and (prompt + new > most["charged_tokens"] or (money or 0.0) > most["charged_money"]):
            return {"error": f"not believed: {prompt} + {new} tokens, where {most['charged_tokens']} are the most"}
        return {**told, "money": money, "charged_tokens": prompt + new, "charged_money": money}

    def _check_caps(self, most: int, money: float) -> None:
        budget = self.budget
        if (budget.max_requests, budget.max_tokens, budget.max_money) != (None, None, None):
            charged = self._one(CHARGED)
            assert charged is not None, "a sum without groups has one row"
            _check("max_requests", budget.max_requests, charged["requests"], 1)
            _check("max_tokens", budget.max_tokens, charged["tokens"], most)
            _check("max_money", budget.max_money, charged["money"], money)
        # A request's time cannot be bounded beforehand: none is sent once the time is up.
        if budget.max_seconds is not None and (seconds := self._seconds()) >= budget.max_seconds:
            _check("max_seconds", budget.max_seconds, seconds, 1)

    def _newest(self, key: str) -> int | None:
        row = self._one("SELECT MAX(attempt) AS attempt FROM requests WHERE key = ?", key)
        return None if row is None else row["attempt"]

    def _end(self, key: str, attempt: int | None, **values: Any) -> None:
        """Write how an attempt ended, inside a transaction."""
        now = self._clock()
        changed = self._db.execute(END, {**NOTHING, **values, "ended": now, "key": key, "attempt": attempt}).rowcount
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
        if version_of(db) < SCHEMA_VERSION:
            grow = "".join(f"ALTER TABLE requests ADD COLUMN {name} {kind};" for name, kind in ADDED.items())
            db.executescript(f"BEGIN IMMEDIATE; {SCHEMA}{grow}{INDEX} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    except sqlite3.DatabaseError as error:
        db.close()
        raise unreadable(path, error) from error
    return db


def _check(cap: str, limit: float | None, spent: float, more: float) -> None:
    if limit is not None and spent + more > limit:
        setting = "minutes" if cap == "max_seconds" else cap.removeprefix("max_")
        raise BudgetSpent(
            f"The budget ends here (budget.{setting}={limit:,g}): {spent:,.10g} charged so far, and the next request could take "
            f"{more:,.10g} more. Everything bought is kept.",
            cap,
        )
