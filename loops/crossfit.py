"""Cross-fitting: with few labels, every seed decides about rounds and is mined, each answered by a student that never met it.

A round of this mode trains one student for each fold, on the seeds of the other folds and on the lessons made from the other
folds, and examines it on its fold. The attempts of all folds together, one for each seed, are what `decide` compares and what
the next round's mining reads: mining costs nothing more. So a lesson that copies the seed it was made from gains nothing: the
student that is asked about that seed has not learned it. Students of all seeds and lessons are trained for the claim alone. See
docs/decisions/0009.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loops.crew import Crew
from loops.folds import Ground, ground_of, grounds
from loops.learning import (
    Exam,
    begun_from,
    examined,
    example,
    fit,
    fit_round,
    lessons_until,
    machine,
    round_file,
    rounds_to,
    student_name,
    training_list,
    training_settings,
    worked_examples,
    zero_shot,
)
from loops.run_folder import ATTEMPTS
from loops.state import State
from student.evals.load import EvalSet
from student.records import Attempt, Example, Lesson, Seed, read_records, write_records


def mined_file(crew: Crew, number: int) -> Path:
    """The attempts that a teaching round starts from: its own mining, or what the round before was compared by."""
    if crew.settings.mode == "cross-fit":
        return round_file(crew, number - 1, ATTEMPTS)
    return round_file(crew, number, "attempts.mine.jsonl")


def train_folds(state: State, crew: Crew) -> None:
    """Train the round's student of each fold, unless they were examined already."""
    lessons = lessons_until(crew, state.round)
    if crew.folder.holds(round_file(crew, state.round, ATTEMPTS), _inputs(crew, lessons)):
        return
    parts = grounds(crew)
    for part in parts:
        start = begun_from(crew, state.round, _place(crew, state.round - 1, part))
        learned, place = fold_examples(crew, parts, part, lessons), _place(crew, state.round, part)
        fit(crew, state, fold_name(part, parts), learned, place, start=start)


def examine_folds(state: State, crew: Crew) -> list[Attempt]:
    """The attempts of the round's students, each at its own fold.

    Their adapters are not needed after that, unless the next round's go on from them (`train.start`). Folds are frozen, so what a
    fold's student goes on from has not met that fold either, nor anything made from it.
    """
    name, target = student_name(state.round), round_file(crew, state.round, ATTEMPTS)

    def make() -> None:
        parts = grounds(crew)
        exams = [
            Exam(
                f"{name}, {fold_name(part, parts)}",
                "mine",
                _fold(crew, part),
                _aside(target, part),
                _place(crew, state.round, part),
            )
            for part in parts
        ]
        _write_joined(crew, target, [one for exam in exams for one in examined(crew, state, exam)])

    crew.folder.once(target, _inputs(crew, lessons_until(crew, state.round)), make)
    _drop_folds(crew, state.round if crew.settings.train.start == "base" else state.round - 1)
    return read_records(target, Attempt)


def untouched(state: State, crew: Crew, name: str) -> list[Attempt]:
    """The attempts of the untouched student at every seed; worked examples are of other folds than the seed that is asked."""
    target = crew.folder.path / "baseline" / f"attempts.{name}.mine.jsonl"
    if name == "zero-shot":
        return examined(crew, state, Exam(name, "mine", crew.evals.seeds, target, lead=zero_shot(crew)))
    parts = grounds(crew)
    leads = [zero_shot(crew) + worked_examples(_others(crew, part), crew.settings.student.shots) for part in parts]

    def make() -> None:
        exams = [
            Exam(name, "mine", _fold(crew, part), _aside(target, part), lead=lead)
            for part, lead in zip(parts, leads, strict=True)
        ]
        _write_joined(crew, target, [one for exam in exams for one in examined(crew, state, exam)])

    inputs = {"leads": leads, "folds": [sorted(part.ids) for part in parts], "student": crew.settings.student.model,
              "machine": machine(crew)}  # fmt: skip
    crew.folder.once(target, inputs, make)
    shutil.rmtree(target.parent / "folds", ignore_errors=True)
    return read_records(target, Attempt)


def full_students(state: State, crew: Crew) -> None:
    """Train the students the claim is about, on all seeds and all lessons up to their round: of round 0 and of the best."""
    _drop_folds(crew, state.round)
    for number in rounds_to(crew, state.best):
        fit_round(state.model_copy(update={"round": number}), crew, f"{student_name(number)}, all seeds")


def fold_examples(crew: Crew, parts: Sequence[Ground], part: Ground, lessons: Sequence[Lesson]) -> list[Example]:
    """What the student of a fold learns: nothing of that fold and nothing made from it."""
    others = [example(seed) for seed in crew.evals.seeds if not part.holds(seed.id)]
    learned = [example(lesson) for lesson in lessons_without(parts, part, lessons)]
    return training_list(others, learned, crew.settings.curate.real_share)


def lessons_without(parts: Sequence[Ground], part: Ground, lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons that were made from other folds, in order. Raises RunError for one that was made from several."""
    return [lesson for lesson in lessons if ground_of(parts, lesson) != part]


def fold_name(part: Ground, parts: Sequence[Ground]) -> str:
    """What a fold's student is called in events."""
    return f"fold {part.number} of {len(parts)}"


def _inputs(crew: Crew, lessons: Sequence[Lesson]) -> dict[str, Any]:
    """Everything the joined attempts depend on, in plain values: the adapters are gone by the time they are looked for again."""
    start = crew.settings.train.start
    train = training_settings(crew) | ({} if start == "base" else {"start": start})
    return {"folds": {seed.id: part.number for part in grounds(crew) for seed in part.seeds},
            "seeds": [seed.model_dump() for seed in crew.evals.seeds], "ask": crew.evals.ask().model_dump(),
            "lessons": [lesson.model_dump() for lesson in lessons], "real_share": crew.settings.curate.real_share,
            "train": train, "student": crew.settings.student.model_dump(),
            "seed": crew.settings.seed, "machine": machine(crew)}  # fmt: skip


def _fold(crew: Crew, part: Ground) -> list[Seed]:
    """The seeds of a fold as a student is asked them."""
    return [seed for seed in crew.evals.seeds if part.holds(seed.id)]


def _others(crew: Crew, part: Ground) -> EvalSet:
    """The eval set without the seeds of a fold."""
    return replace(crew.evals, seeds=tuple(seed for seed in crew.evals.seeds if not part.holds(seed.id)))


def _place(crew: Crew, number: int, part: Ground) -> Path:
    return round_file(crew, number, "folds") / f"{part.number}"


def _drop_folds(crew: Crew, last: int) -> None:
    """Remove the students of folds up to a round."""
    for number in range(last + 1):
        shutil.rmtree(round_file(crew, number, "folds"), ignore_errors=True)


def _aside(target: Path, part: Ground) -> Path:
    return target.parent / "folds" / f"{target.stem}.{part.number}.jsonl"


def _write_joined(crew: Crew, target: Path, attempts: Sequence[Attempt]) -> None:
    """One attempt for each seed, in the order of the eval set."""
    by_id = {one.item_id: one for one in attempts}
    assert len(by_id) == len(attempts) == len(crew.evals.seeds), "each seed is asked once"
    write_records(target, [by_id[seed.id] for seed in crew.evals.seeds])
