"""Learn the lessons of another run: what `rebase` does with a new base model, without asking a teacher.

In: `lessons_from`, the folder of a finished run on the same eval set. Out: this run's first round, whose lessons are those the
other run's best student had learned, byte for byte. Once they lie here the other run is not needed any more. It has one teaching
round, and whether that one is kept is decided on `select` as ever.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loops.crew import Crew
from loops.folds import Ground, ground_of, grounds
from loops.learning import lessons_in, round_file
from loops.openings import record_opening
from loops.run_folder import RunError, RunFolder
from loops.settings import StopSettings
from loops.state import State
from student.records import Lesson, read_records, write_records


def adopted(state: State, crew: Crew) -> dict[str, Any]:
    """Begin a teaching round whose lessons are those of `lessons_from`; returns the update of the state."""
    number = state.round + 1
    target = round_file(crew, number, "lessons.jsonl")
    if not _is_whole(crew.folder, target):
        lessons = lessons_of(_source(crew), crew.evals.fingerprint)
        check_folds(grounds(crew), lessons)
        crew.folder.once(
            target, {"lessons": [one.model_dump() for one in lessons]}, lambda: write_records(target, lessons)
        )
    lessons = read_records(target, Lesson)
    mark_seen(crew)
    crew.emit("adopted", round=number, run=_source(crew).name, lessons=len(lessons), strategies=_strategies(lessons))
    return {"round": number, "accepted": len(lessons)}


def lessons_of(source: RunFolder, fingerprint: str) -> list[Lesson]:
    """What the best student of a finished run had learned beside the seeds. Raises RunError where that cannot be had."""
    best = kept_round(source)
    _, theirs = source.load_settings()
    if theirs != fingerprint:
        raise RunError(
            f"The run {source.name!r} learned from another eval set than this one, or from an earlier state of it. Its lessons were "
            "never held against these held-out items, so they cannot be taken over. Put the old eval set back, or start a new run."
        )
    if lessons := lessons_in(source, best):
        return lessons
    raise RunError(
        f"The run {source.name!r} kept its seed-only student: no round of lessons was worth keeping, so there is nothing to take "
        "over. Name another run, or start a new one with the new student."
    )


def check_folds(parts: Sequence[Ground], lessons: Sequence[Lesson]) -> None:
    """Raises RunError in a cross-fitted run for a lesson that was made from several folds: nobody could be examined after it."""
    try:
        for lesson in lessons:
            ground_of(parts, lesson)
    except RunError as error:
        raise RunError(f"{error} Otherwise compare rounds on held-out items: --set mode=select.") from error


def kept_round(source: RunFolder) -> int:
    """The round that a finished run kept. Raises RunError for one that is not there, damaged or not finished."""
    if not source.path.is_dir():
        raise RunError(
            f"The run {str(source.path)!r}, whose lessons are to be learned, is not there. Put its folder back where it was and "
            "resume; once its lessons have been taken over it is not needed any more."
        )
    claim = source.path / "claim" / "claim.json"
    try:
        return int(json.loads(claim.read_text(encoding="utf-8"))["best"])
    except FileNotFoundError:
        raise RunError(
            f"The run {source.name!r} has made no claim yet, so which of its rounds is the best is not settled. Let it end with "
            f"`llm2llm resume {source.as_typed}`, then try again."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{claim} cannot be read ({type(error).__name__}): it is damaged. Restore it from a copy, or name another run."
        ) from error


def one_round(stop: StopSettings) -> StopSettings:
    """When a run that only learns what is there has done enough: after one round, and not before."""
    return stop.model_copy(update={"rounds": 1, "target": None, "min_gain": 0.0})


def mark_seen(crew: Crew) -> None:
    """Have the run whose lessons are learned on record as one that has seen `test`, also where it was kept elsewhere."""
    here, source = crew.folder.path.parent, _source(crew)
    if source.path.parent != here:
        record_opening(RunFolder(here / source.name), crew.evals.fingerprint)


def _source(crew: Crew) -> RunFolder:
    assert crew.settings.lessons_from is not None, "the graph comes here only where a run is named"
    return RunFolder(Path(crew.settings.lessons_from))


def _is_whole(folder: RunFolder, target: Path) -> bool:
    try:
        folder.verify(target)
    except RunError:
        return False
    return True


def _strategies(lessons: Sequence[Lesson]) -> dict[str, int]:
    return dict(sorted(Counter(lesson.strategy for lesson in lessons).items()))
