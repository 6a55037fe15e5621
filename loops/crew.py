"""Everything a node works with: settings, eval set, folder, student, teacher, and the way to say what happened.

Passed to the graph as its context, which LangGraph does not store: live objects and keys never reach a checkpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loops.events import Emit
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from student.evals.load import EvalSet
from student.grade import same_answer
from student.worker import StudentWorker
from teacher.client import Client
from teacher.sheet import ANSWER_TOKENS, TaskSheet

if TYPE_CHECKING:
    from loops.review import Docket

JSON_AROUND = 40
"""Tokens for the JSON around an answer, beyond those the student may use for it."""


class RunStopped(Exception):
    """The run was asked to stop between two verbs."""


class ReviewWaits(RunStopped):
    """Lessons wait for a person, and none is there or none wants to go on: the run stops and can be resumed."""


@dataclass
class Crew:
    """What one run works with."""

    settings: RunSettings
    """The resolved settings."""
    evals: EvalSet
    """The loaded and split eval set."""
    folder: RunFolder
    """Where results go."""
    student: StudentWorker
    """The student's process."""
    teacher: Callable[[], Client]
    """The teacher, started when first asked for."""
    emit: Emit
    """Says what happened."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the run is asked to stop."""
    verb: str = ""
    """The verb at work, for progress that comes from below."""
    reviewer: Callable[[Docket], None] | None = None
    """Has a person decide about lessons; None where nobody can be asked."""

    def sheet(self) -> TaskSheet:
        """The task as the teacher is told it."""
        return sheet_of(self.evals)

    def same_answer(self, expected: str, answer: str) -> bool:
        """Whether two answers are the same by the eval set's own scorer."""
        return same_answer(self.evals.spec, expected, answer)


def sheet_of(evals: EvalSet) -> TaskSheet:
    """An eval set's task, as a teacher is told it."""
    spec = evals.spec
    own_choices = spec.kind == "choice" and not evals.labels
    return TaskSheet(
        task=evals.task(), noun=spec.noun, labels=evals.labels, meanings=spec.labels, own_choices=own_choices,
        answer_tokens=max(ANSWER_TOKENS, spec.max_new_tokens + JSON_AROUND),
    )  # fmt: skip
