"""A student that is trained and examined by itself, outside a run, in the very steps of one. Resumable like a run.

In: a folder, settings, an eval set. Out: the adapters and attempts that `loops.learning` leaves in the folder. No teacher is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.builtin import cache_folder
from agent.models import RecordingWorker, known_machine, model_file
from loops.crew import Crew
from loops.learning import Exam, examined, example, fit, training_list
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from loops.state import State
from student.evals.load import EvalSet
from student.records import Attempt, Item, Lesson, Seed
from teacher.client import Client


@contextmanager
def crew_of(folder: Path, settings: RunSettings, evals: EvalSet) -> Iterator[Crew]:
    """What a training works with; the student's process ends with it."""
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder)
    load = {"source": model_file(settings.student.model, told), "cache": str(cache_folder() / "students"),
            "lora": settings.student.lora.model_dump(), "machine": known_machine(run)}  # fmt: skip
    student = RecordingWorker(load, run, lambda: False, settings.student.launch)
    try:
        yield Crew(settings, evals, run, student, _no_teacher, told, verb="train")
    finally:
        student.close()


def told(event: str, **fields: Any) -> None:
    """Passes on what a person should know."""
    if event == "note":
        print(json.dumps({"bench": "alone", **fields}), flush=True)


def _no_teacher() -> Client:
    raise AssertionError("nothing is asked of a teacher here")


def attempts_of(
    crew: Crew, name: str, seeds: Sequence[Seed], lessons: Sequence[Lesson], items: Sequence[Item], split: str, luck: int
) -> list[Attempt]:  # fmt: skip
    """Train a student on seeds and lessons with its training seed of that number, unless it was, and examine it on the items."""
    learned = training_list(
        [example(one) for one in seeds], [example(one) for one in lessons], crew.settings.curate.real_share
    )
    place = crew.folder.path / f"{name}-{luck + 1}"
    fit(crew, State(), name, learned, place, luck)
    target = crew.folder.path / f"attempts.{name}-{luck + 1}.{split}.jsonl"
    return examined(crew, State(), Exam(name, split, items, target, place))
