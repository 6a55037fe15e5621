"""The parent's handle on the student's process: starts it when first needed, sends a job, passes progress on.

A job is a plain mapping; its answer too. Closing the handle, or the death of this process, ends the child. A stop request
during a job ends the child at once: training and examination are deterministic and write their result in one step, so
nothing is lost but the time since the job began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from student.errors import StudentError
from student.launcher import command
from student.pipe import Ended, Failed, OnMessage, Pipe
from student.pipe import Stopped as StudentStopped
from student.prompting import Ask
from student.records import Example, Item, Question
from student.settings import Launch

if TYPE_CHECKING:
    from student.nearness import Vectors

__all__ = ["OnMessage", "StudentStopped", "StudentWorker", "question_of"]


class StudentWorker:
    """One student process."""

    def __init__(
        self, load: dict[str, Any], log: Path, should_stop: Callable[[], bool], launch: Launch | None = None
    ) -> None:
        words = command(launch or Launch(), "student.child")
        self._load, self._pipe = load, Pipe("student.child", log, should_stop, words)
        self.loaded: dict[str, Any] = {}
        self._embedded: dict[tuple[tuple[str, ...], ...], Vectors] = {}

    def start(self) -> dict[str, Any]:
        """Start the process and load the model; returns the machine and the model's size."""
        if not self._pipe.running:
            self.loaded = self._call({"job": "load", **self._load}, lambda message: None)
        return self.loaded

    def train(
        self, ask: Ask, examples: list[Example], settings: dict[str, Any], seed: int, out: Path, on: OnMessage,
        start: Path | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Fine-tune on examples, from the base or from the adapter in `start`; the adapter is in `out` when this returns.

        What a killed training needs to go on is kept in `unfinished(out)`, which is the caller's to remove.
        """
        self.start()
        rows = [example.model_dump() for example in examples]
        job = {"job": "train", "ask": ask.model_dump(), "examples": rows, "settings": settings, "seed": seed}
        places = {"out": str(out), "kept": str(unfinished(out)), "start": str(start) if start else None}
        return self._call({**job, **places}, on)

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

    def embed(self, texts: Sequence[str], around: Sequence[str], on: OnMessage) -> Vectors:
        """Where texts of a task lie in meaning by the untouched student, [texts, width]: see `student.meaning`.

        What is asked for again, all of it, is kept and costs nothing.
        """
        from student.nearness import unpacked

        lot = (tuple(texts), tuple(around))
        if lot not in self._embedded:
            self.start()
            self._embedded[lot] = unpacked(self._call({"job": "embed", "texts": lot[0], "around": lot[1]}, on))
        return self._embedded[lot]

    def measure(self, ask: Ask, items: Sequence[Item | Question], answers: Sequence[str]) -> tuple[int, int]:
        """Tokens of the questions as they are put to the student, and of the answers."""
        self.start()
        job = {"job": "measure", "ask": ask.model_dump(), "questions": [question_of(item) for item in items]}
        asked, said = self._call({**job, "answers": [*answers]}, lambda message: None)["tokens"]
        return asked, said

    def merge(self, ask: Ask, adapter: Path, out: Path, max_new_tokens: int) -> list[str]:
        """Save base and adapter as one model in `out`. The process can do nothing else afterwards.

        Returns what the model's chat template puts before, between and after the messages of one question; nothing for `plain`.
        """
        self.start()
        roles = [turn.role for turn in ask.turns("")] if ask.format == "chat" else []
        job = {"job": "merge", "adapter": str(adapter), "out": str(out), "roles": roles, "plain": ask.format == "plain"}
        return self._call({**job, "max_new_tokens": max_new_tokens}, lambda message: None)["around"]

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


def unfinished(out: Path) -> Path:
    """Where a training that is to end in `out` keeps its state."""
    return out.with_name(f"{out.name}.kept")


def question_of(item: Item | Question) -> dict[str, Any]:
    """What is asked, without the answer, as the child reads it."""
    return Question(prompt=item.prompt, turns=item.turns, choices=item.choices).model_dump()
