"""Tasks written for lm-evaluation-harness or inspect, run unchanged in a process of their own that scores their answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from student.evals.address import Address
from student.evals.spec import EvalError, EvalSpec
from student.grade import Answering, RawAnswer
from student.records import Attempt, Item, Seed


@dataclass
class TaskHost:
    """One task's process."""

    spec: EvalSpec
    """How the task asks, in our words."""
    parts: dict[str, list[Seed]]
    """Its items by split."""

    def attempts(self, items: Sequence[Item], answers: Sequence[RawAnswer], answer: Answering) -> list[Attempt]:
        """The task's own scores of these answers; asks for more through `answer` where the task asks more than once."""
        raise EvalError("not here yet")

    def close(self) -> None:
        """End the process."""


def open_task(where: Address, spec: EvalSpec) -> TaskHost:
    """Load a task. Raises EvalError."""
    raise EvalError(f"{where}: not here yet")
