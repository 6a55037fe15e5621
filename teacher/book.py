"""Reads a ledger: replies by key, sums over the whole run or by what they were for, one request's page.

`Ledger` is a book that can also be written in. A finished run's book is opened by `open_readonly`, which writes nothing
beside it: no journal, no newer form, not even an empty file where there is none. A book of an older form is read
through a view that fills in what it lacks; one whose writer was killed in the middle of a page is read from a copy in
memory, in which SQLite has taken the half page back.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

from student.records import Record
from teacher.errors import TeacherUnusable
from teacher.requests import Reply, Request

SCHEMA_VERSION = 2
ADDED = {
    "tag": "TEXT NOT NULL DEFAULT ''",
    "served_by": "TEXT NOT NULL DEFAULT ''",
    "replayed": "INTEGER NOT NULL DEFAULT 0",
}
"""Columns that version 1 had not, with what stands for them there."""
OLD_FORM = "CREATE TEMP VIEW requests AS SELECT *, '' AS tag, '' AS served_by, 0 AS replayed FROM main.requests"
# Replayed rows were bought by another run: they are counted apart, and in nothing else.
SUMS = """
COALESCE(SUM(replayed = 0 AND (state != 'failed' OR charged_tokens > 0)), 0) AS requests,
COALESCE(SUM(state = 'failed' AND charged_tokens = 0), 0) AS failed,
COALESCE(SUM(replayed), 0) AS replayed,
COALESCE(SUM(CASE replayed WHEN 0 THEN prompt_tokens END), 0) AS prompt_tokens,
COALESCE(SUM(replayed = 0 AND state = 'settled' AND prompt_tokens IS NULL), 0) AS unknown_prompt_tokens,
COALESCE(SUM(CASE replayed WHEN 0 THEN completion_tokens END), 0) AS completion_tokens,
COALESCE(SUM(replayed = 0 AND state = 'settled' AND completion_tokens IS NULL), 0) AS unknown_completion_tokens,
COALESCE(SUM(CASE replayed WHEN 0 THEN money END), 0.0) AS money,
COALESCE(SUM(replayed = 0 AND state = 'settled' AND money IS NULL), 0) AS unknown_money,
COALESCE(SUM(CASE WHEN prompt_tokens IS NULL OR completion_tokens IS NULL THEN charged_tokens END), 0)
    AS reserved_tokens,
COALESCE(SUM(charged_tokens), 0) AS tokens,
COALESCE(SUM(charged_money), 0.0) AS charged_money,
COALESCE(SUM(CASE replayed WHEN 1 THEN prompt_tokens + completion_tokens END), 0) AS replayed_tokens,
COALESCE(SUM(replayed AND (prompt_tokens IS NULL OR completion_tokens IS NULL)), 0) AS unknown_replayed_tokens,
COALESCE(SUM(CASE replayed WHEN 1 THEN money END), 0.0) AS replayed_money,
COALESCE(SUM(replayed AND money IS NULL), 0) AS unknown_replayed_money
"""
ANSWERED = "SELECT key FROM requests WHERE state = 'settled'"
SPANS = "SELECT started, ended FROM requests WHERE ended IS NOT NULL AND replayed = 0"
Column = Literal["purpose", "tag", "round"]
COLUMNS: dict[Column, str] = {"purpose": "purpose", "tag": "tag", "round": "CAST(round AS TEXT)"}


class Totals(Record):
    """Sums over requests. `tokens` and `charged_money` are what the caps are compared with."""

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
    """Wall time with at least one of these requests in flight."""
    replayed: int
    """Replies served from a former run: they cost nothing here and are in none of the sums above."""
    replayed_tokens: int | None
    """What they cost where they were bought; None where that is not known of one."""
    replayed_money: float | None
    """What they cost where they were bought; None where that is not known of one."""


class Spent(Totals):
    """The sums over a whole ledger."""

    by_purpose: dict[str, int]
    """Tokens charged for each purpose."""


class Entry(Record):
    """Everything the book knows of one request."""

    request: Request
    """What was asked."""
    reply: Reply | None
    """What came back; None when nothing did."""
    round: int
    """The round it was asked in."""
    attempts: int
    """How often it was sent."""
    tokens: int
    """Tokens charged, all attempts together."""
    money: float | None
    """What the reply cost; None where unknown."""
    error: str
    """Why the last attempt failed; empty for one that did not."""


class Book:
    """A ledger's pages, to be read. Safe to use from any thread."""

    def __init__(self, path: Path, db: sqlite3.Connection, *, priced: bool = True) -> None:
        """`priced`: whether sums of money mean anything."""
        self.path, self._db, self._priced = path, db, priced
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def find(self, key: str) -> Reply | None:
        """The settled reply to a request, from this process or an earlier one."""
        row = self._one("SELECT reply FROM requests WHERE key = ? AND state = 'settled' ORDER BY attempt LIMIT 1", key)
        return None if row is None else Reply.model_validate_json(row["reply"])

    def entry(self, key: str) -> Entry | None:
        """All that is known of one request: the reply if there is one, else how the last attempt went."""
        row = self._one(
            "SELECT request, reply, round, money, error, (SELECT COUNT(*) FROM requests WHERE key = :key) AS attempts,"
            " (SELECT SUM(charged_tokens) FROM requests WHERE key = :key) AS tokens"
            " FROM requests WHERE key = :key ORDER BY state = 'settled' DESC, attempt DESC LIMIT 1",
            {"key": key},
        )
        if row is None:
            return None
        reply = None if row["reply"] is None else Reply.model_validate_json(row["reply"])
        read = {"request": Request.model_validate_json(row["request"]), "reply": reply, "error": row["error"] or ""}
        return Entry.model_validate({**row, **read})

    def asked(self, *, answered: bool) -> Iterator[tuple[str, Request]]:
        """Key and content of every request that has a settled reply, or of those that have none."""
        is_in = "IN" if answered else "NOT IN"
        query = f"SELECT DISTINCT key, request FROM requests WHERE key {is_in} ({ANSWERED}) ORDER BY key"  # noqa: S608
        with self._lock:
            for key, request in self._db.execute(query):
                yield key, Request.model_validate_json(request)

    def count_answered(self, purpose: str, round: int) -> int:
        """How many requests of this kind have a reply, of those asked in this round."""
        query = (
            "SELECT COUNT(DISTINCT key) AS count FROM requests WHERE state = 'settled' AND purpose = ? AND round = ?"
        )
        row = self._one(query, purpose, round)
        return 0 if row is None else int(row["count"])

    def first_served_by(self) -> str | None:
        """Who gave the first reply: empty in a book from before that was written down, None without any reply."""
        row = self._one("SELECT served_by FROM requests WHERE state = 'settled' ORDER BY started, key LIMIT 1")
        return None if row is None else str(row["served_by"])

    def totals(self) -> Spent:
        """What has been spent so far, by every process that wrote to this file."""
        with self._lock:
            sums = self._one(f"SELECT {SUMS} FROM requests")  # noqa: S608  no part of it comes from outside
            purposes = self._all("SELECT purpose, SUM(charged_tokens) AS tokens FROM requests GROUP BY purpose")
            seconds = self._seconds()
        assert sums is not None, "a sum without groups has one row"
        by_purpose = {row["purpose"]: row["tokens"] for row in purposes}
        return Spent(**self._known(sums), seconds=seconds, by_purpose=by_purpose)

    def spend_by(self, column: Column) -> dict[str, Totals]:
        """The same sums for each purpose, tag or round. Seconds are those of attempts that have ended."""
        name = COLUMNS[column]
        with self._lock:
            groups = self._all(f"SELECT {name} AS name, {SUMS} FROM requests GROUP BY {column} ORDER BY {column}")  # noqa: S608
            spans = self._all(SPANS.replace("SELECT", f"SELECT {name} AS name,"))
        times: dict[str, list[tuple[float, float]]] = {}
        for span in spans:
            times.setdefault(span["name"], []).append((span["started"], span["ended"]))
        return {row["name"]: Totals(**self._known(row), seconds=covered(times.get(row["name"], []))) for row in groups}

    def _known(self, sums: dict[str, Any]) -> dict[str, Any]:
        """The fields of `Totals` in a row of `SUMS`: None where a part of the sum is unknown."""
        fields = {
            name: None if sums.get(f"unknown_{name}") else value
            for name, value in sums.items()
            if name in Totals.model_fields
        }
        return fields if self._priced else fields | {"money": None}

    def _seconds(self) -> float:
        return covered((row["started"], row["ended"]) for row in self._all(SPANS))

    def _one(self, query: str, *values: Any) -> dict[str, Any] | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Rows by column name; a query with named values gets one mapping."""
        bound = values[0] if values and isinstance(values[0], dict) else values
        with self._lock:
            cursor = self._db.execute(query, bound)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]


def open_readonly(path: Path) -> Book:
    """The ledger of a run, finished or not, without touching a file. Raises TeacherUnusable where there is none."""
    if not path.is_file():
        raise TeacherUnusable(
            f"There is no ledger at {str(path)!r}. Name a run that has asked its teacher something: its folder holds a "
            "ledger.sqlite."
        )
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False)
        try:
            version = version_of(db)
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:  # its writer is alive, and long at it
                raise
            db = _from_copy(path)
            version = version_of(db)
        if version == 0:
            raise sqlite3.DatabaseError("it is empty")
        if version == 1:
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute(OLD_FORM)
    except sqlite3.DatabaseError as error:
        raise unreadable(path, error) from error
    return Book(path, db)


def _from_copy(path: Path) -> sqlite3.Connection:
    """The book as it was before the page its writer did not finish, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for part in (path, path.with_name(f"{path.name}-journal")):
            if part.exists():
                shutil.copyfile(part, copy.with_name(part.name))
        mended = sqlite3.connect(copy)
        try:
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            mended.backup(memory)
        finally:
            mended.close()
    return memory


def version_of(db: sqlite3.Connection) -> int:
    """The form the book is written in, 0 for an empty file. Raises sqlite3.DatabaseError for one not known here."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if version not in range(SCHEMA_VERSION + 1):
        raise sqlite3.DatabaseError(f"its version is {version}, not {SCHEMA_VERSION}")
    return int(version)


def unreadable(path: Path, error: Exception) -> TeacherUnusable:
    return TeacherUnusable(
        f"The ledger {str(path)!r} cannot be read: {error}. It records what this run has paid for; restore it from "
        "a backup, or start a new run."
    )


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds covered by at least one of the spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
