"""A former run as a teacher: what that run was told is told again, whoever said it, and nothing is bought.

In goes the ledger of any run, read and never written; out come its replies to requests of the same content (messages,
schema, tokens, temperature, seed, sample). They keep their origin and what they cost there. A request that failed in
that run fails again. One that was never made there goes to `otherwise`, or stops the run before anything is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from teacher.backend import Backend
from teacher.book import Book, Entry, open_readonly
from teacher.errors import NotRecorded, TeacherUnusable
from teacher.requests import Answer, Failed, Origin, Reply, Request

UNNAMED = "replay"
"""Stands for the teacher of a run from before ledgers named theirs."""
GIVEN_UP = frozenset({"bad-reply", "connection-lost", "refusal", "refused", "server-error", "timeout", "too-long"})
"""Why a request can have failed by itself, as its row begins; anything else stopped the run, and was asked again."""


class Replay:
    """A `Backend` that serves a former run's replies."""

    def __init__(self, ledger: Path, otherwise: Backend | None = None) -> None:
        """`ledger`: that run's file. `otherwise`: who is asked for what that run never asked; None for nobody.

        Raises TeacherUnusable where there is no such ledger, or no reply in it.
        """
        self.run, self.otherwise = ledger.resolve().parent.name, otherwise
        self._book = open_readonly(ledger)
        self._keys = _keys_by_content(self._book)
        served_by = self._book.first_served_by()
        if served_by is None:
            raise TeacherUnusable(f"The run {self.run!r} cannot be replayed: its ledger holds no reply. Name another.")
        self.slots = 1 if otherwise is None else otherwise.slots
        # The name that keys were made with there: a replay of the same requests gives the same keys, and so results.
        self.served_by = (served_by or UNNAMED) if otherwise is None else otherwise.served_by

    def close(self) -> None:
        """Let go of that run's ledger."""
        self._book.close()

    def recall(self, requests: Sequence[Request]) -> list[Answer | None]:
        """What that run was told, for each request. Raises TeacherUnusable where it was not, and nobody can be asked."""
        known = [self._known(request) for request in requests]
        missing = Counter(request.purpose for request, answer in zip(requests, known, strict=True) if answer is None)
        if missing and self.otherwise is None:
            raise self._gaps(missing, len(requests))
        return known

    def remembered(self, purpose: str, round: int) -> int:
        """How many requests of this kind that run had answered in this round."""
        return self._book.count_answered(purpose, round)

    def complete(self, request: Request) -> Reply:
        """The stored reply; where there is none, that of whoever is asked otherwise. Raises what they raise."""
        known = self._known(request)
        if isinstance(known, Reply):
            return known
        if self.otherwise is None:
            raise self._gaps(Counter([request.purpose]), 1)
        return self.otherwise.complete(request)

    def _known(self, request: Request) -> Answer | None:
        key = self._keys.get(request.content())
        entry = None if key is None else self._book.entry(key)
        if key is None or entry is None:
            return None
        if entry.reply is None:
            return _failure(entry) if self.otherwise is None else None
        origin = entry.reply.origin or Origin(run=self.run, key=key, money=entry.money)
        return entry.reply.model_copy(update={"origin": origin})

    def _gaps(self, missing: Counter[str], asked: int) -> NotRecorded:
        counted = ", ".join(f"{count} to {purpose}" for purpose, count in sorted(missing.items()))
        return NotRecorded(
            f"The run {self.run!r} holds no reply to {missing.total()} of the {asked} requests made now ({counted}): a "
            "replay answers only what that run asked, word for word. Use its eval set, student, settings and seed, or "
            "let a teacher be asked for what is missing; then resume the run."
        )


def _keys_by_content(book: Book) -> dict[str, str]:
    """The key of each content that was asked; of several, one that was answered."""
    keys: dict[str, str] = {}
    for answered in (False, True):
        for key, request in book.asked(answered=answered):
            keys[request.content()] = key
    return keys


def _failure(entry: Entry) -> Failed | None:
    """How a request that got no reply failed; None where its run ended before that was settled."""
    reason, _, detail = entry.error.partition(": ")
    return Failed(reason=reason, detail=detail) if reason in GIVEN_UP else None
