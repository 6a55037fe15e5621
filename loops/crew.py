"""Everything a node works with: settings, eval set, folder, student, teacher, and the way to say what happened.

Passed to the graph as its context, which LangGraph does not store: live objects and keys never reach a checkpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from loops.events import Emit
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from student.evals.load import EvalSet
from student.scorers import SCORERS
from student.worker import StudentWorker
from teacher.client import Client
from teacher.sheet import TaskSheet


class RunStopped(Exception):
    """The run was asked to stop between two verbs."""


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

    def sheet(self) -> TaskSheet:
        """The task as the teacher is told it."""
        spec = self.evals.spec
        return TaskSheet(task=self.evals.task(), noun=spec.noun, labels=self.evals.labels)

    def same_answer(self, expected: str, answer: str) -> bool:
        """Whether two answers are the same by the eval set's own scorer."""
        if self.evals.labels:
            return expected == answer
        score = SCORERS[self.evals.spec.scorer](expected, answer)
        return score is not None and score >= 1
