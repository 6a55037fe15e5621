"""The parent's handle on the student's process: starts it when first needed, sends a job, passes progress on.

A job is a plain mapping; its answer too. Closing the handle, or the death of this process, ends the child. A stop request
during a job ends the child at once: training and examination are deterministic and write their result in one step, so
nothing is lost but the time since the job began.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from student.errors import StudentError
from student.pipe import Ended, Failed, OnMessage, Pipe
from student.pipe import Stopped as StudentStopped
from student.prompting import Ask
from student.records import Example, Item, Question

__all__ = ["OnMessage", "StudentStopped", "StudentWorker", "question_of"]


class StudentWorker:
    """One student process."""

    def __init__(self, load: dict[str, Any], log: Path, should_stop: Callable[[], bool]) -> None:
        self._load, self._pipe = load, Pipe("student.child", log, should_stop)
        self.loaded: dict[str, Any] = {}

    def start(self) -> dict[str, Any]:
        """Start the process and load the model; returns the machine and the model's size."""
        if not self._pipe.running:
            self.loaded = self._call({"job": "load", **self._load}, lambda message: None)
        return self.loaded

    def train(
        self, ask: Ask, examples: list[Example], settings: dict[str, Any], seed: int, out: Path, on: OnMessage
    ) -> dict[str, Any]:
        """Fine-tune on examples; the adapter is in `out` when this returns."""
        self.start()
        rows = [example.model_dump() for example in examples]
        job = {"job": "train", "ask": ask.model_dump(), "examples": rows, "settings": settings, "seed": seed}
        return self._call({**job, "out": str(out)}, on)

    def examine(
        self, ask: Ask, items: list[Item | Question], adapter: Path | None, max_new_tokens: int, on: OnMessage
    ) -> list[dict[str, Any]]:
        """Raw answers, one per item, for `student.grade`."""
        self.start()
        job = {
            "job": "examine", "ask": ask.model_dump(), "questions": [question_of(item) for item in items],
            "adapter": str(adapter) if adapter else None, "max_new_tokens": max_new_tokens,
        }  # fmt: skip
        return self._call(job, on)["answers"]

    def close(self) -> None:
        """End the process."""
        self._pipe.close()

    def _call(self, job: dict[str, Any], on: OnMessage) -> dict[str, Any]:
        try:
            return self._pipe.call(job, on)
        except Failed as error:
            raise StudentError(str(error)) if error.fixable else RuntimeError(str(error)) from None
        except Ended as error:
            raise StudentError(
                f"The student's process ended unexpectedly ({error}); perhaps the machine ran out of memory. More is in "
                f"{self._pipe.log}. A run can be resumed where it stopped."
            ) from None


def question_of(item: Item | Question) -> dict[str, Any]:
    """What is asked, without the answer, as the child reads it."""
    return Question(prompt=item.prompt, turns=item.turns, choices=item.choices).model_dump()
