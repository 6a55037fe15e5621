"""What can go wrong between a run and its teacher, told apart by what has to happen next.

`TeacherUnusable`: a person has to change something; the message is one paragraph (what, where, do this), and the run
can be resumed afterwards. `BudgetSpent` and `Stopped` are not failures: everything bought so far is in the ledger.
`TryAgain` and its kinds never leave the room: a backend raises them for one attempt, and the client decides whether to
send again. No message ever holds the key: the backend strikes it out of what servers say.
"""

from __future__ import annotations


class TeacherError(Exception):
    """The family: everything this room raises on purpose."""


class TeacherUnusable(TeacherError):
    """The teacher cannot be used until a person changes something (key, model, address, credit, server, file)."""


class NotRecorded(TeacherUnusable):
    """A replayed run was never told this, and nobody else is to be asked."""


class BudgetSpent(TeacherError):
    """The next request could pass a cap of the budget, so it was not sent."""

    def __init__(self, message: str, cap: str = "") -> None:
        super().__init__(message)
        self.cap = cap
        """The field of `Budget` that stands in the way, for example `max_tokens`."""


class Stopped(TeacherError):
    """The run was asked to stop: requests in flight were finished and settled, the rest were not sent."""


class TryAgain(TeacherError):
    """One attempt failed in a way that another attempt may not."""

    advice = "Check that the server runs and that this machine reaches it"
    """What a person can do when it keeps happening."""

    def __init__(
        self, reason: str, detail: str = "", *, charged: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        """A short countable name: `busy`, `unreachable`, `connection-lost`, `server-error`, `timeout`, `bad-reply`."""
        self.detail = detail
        """What the server said, for a person."""
        self.charged = charged
        """False only where the server certainly did no work; otherwise the reservation stays charged."""
        self.retry_after = retry_after
        """Seconds the server asks us to wait, already checked for sense; None where it does not say."""


class BadReply(TryAgain):
    """The server said 200 and sent something that is no chat completion: a web page, half a body, no choices."""

    advice = "Check that the address is that of an OpenAI-compatible API (it usually ends in /v1)"

    def __init__(self, detail: str) -> None:
        super().__init__("bad-reply", detail)


class Refused(TryAgain):
    """The server will not serve this very request (too long, filtered, malformed): the same words meet the same no."""

    def __init__(self, reason: str, detail: str, advice: str) -> None:
        super().__init__(reason, detail, charged=False)
        self.advice = advice
