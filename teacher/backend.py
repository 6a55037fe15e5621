"""Who can answer a request: the two things the client needs to know of a teacher, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from teacher.requests import Answer, Reply, Request


class Backend(Protocol):
    """Whoever can answer one request. Raises TryAgain (or a kind of it) or TeacherUnusable."""

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


@runtime_checkable
class Remembers(Protocol):
    """A backend that has some answers at hand: they are filed before anything is sent, and cost nothing."""

    def recall(self, requests: Sequence[Request]) -> list[Answer | None]:
        """One entry for each request, in order; None for what has to be asked. Raises TeacherUnusable."""
        ...

    def remembered(self, purpose: str, round: int) -> int:
        """How many requests of this kind were answered there in this round."""
        ...
