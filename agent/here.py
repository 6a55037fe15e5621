"""A model that runs here, in a process of its own, ready to be examined: by likelihood of choices, or by what it writes.

In: a model as `--student` takes it. Out: attempts, how long they took, and how many tokens went in and out. Used outside of runs,
by `evals score` and `bench`; a run has its own student (`agent.launch`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from agent.builtin import made_cache
from agent.models import SPIN_COUNT, model_file
from agent.settings import local_path
from student.evals.findings import OnStage
from student.evals.load import EvalSet
from student.grade import RawAnswer
from student.prompting import Ask
from student.records import Attempt, Item, Question
from student.settings import Lora
from student.worker import OnMessage, StudentWorker


class Worker(Protocol):
    """What is needed of a student's process."""

    def start(self) -> dict[str, Any]: ...

    def examine(
        self, ask: Ask, items: list[Item | Question], adapter: Path | None, max_new_tokens: int, on: OnMessage
    ) -> list[dict[str, Any]]: ...

    def measure(self, ask: Ask, items: Sequence[Item | Question], answers: Sequence[str]) -> tuple[int, int]: ...

    def close(self) -> None: ...


Workers = Callable[[dict[str, Any], Path, Callable[[], bool]], Worker]
"""Makes a student's process of what it is to load, a file for its log, and whether to stop."""


class Here:
    """One model on this machine."""

    def __init__(self, model: str, lora: Lora, on_stage: OnStage, workers: Workers = StudentWorker) -> None:
        """`lora`: the shape of the adapters it will be examined with. A built-in model is fetched."""
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
        on_stage("loading the model", 0, None)
        cache = made_cache()
        source = model_file(
            local_path(model, Path()), lambda *_, **fields: on_stage("fetching MB", fields["done"], fields["total"])
        )
        load = {"source": source, "cache": str(cache / "students"), "lora": lora.model_dump(), "machine": None}
        self.on_stage, self.worker = on_stage, workers(load, cache / "score.log", lambda: False)

    def start(self) -> dict[str, Any]:
        """Load the model; returns what there is to know about it. Raises StudentError."""
        return self.worker.start()

    def attempts(
        self, evals: EvalSet, items: Sequence[Item], ask: Ask, adapter: Path | None = None
    ) -> tuple[list[Attempt], float]:
        """One attempt an item, in order, and the seconds they took, loading apart."""
        self.start()

        def answer(questions: Sequence[Item | Question]) -> list[RawAnswer]:
            on: OnMessage = lambda message: self.on_stage("examining", message["done"], message["total"])  # noqa: E731
            return self.worker.examine(ask, list(questions), adapter, evals.spec.max_new_tokens, on)

        began = time.monotonic()
        return evals.attempts(items, answer), time.monotonic() - began

    def tokens(self, ask: Ask, items: Sequence[Item], attempts: Sequence[Attempt]) -> tuple[int, int]:
        """Tokens of these questions as they were put, and of the answers given, as a server would count them."""
        return self.worker.measure(ask, items, [one.output for one in attempts])

    def close(self) -> None:
        """End the process."""
        self.worker.close()
