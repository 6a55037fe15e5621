"""The student's part of a round: fine-tune into an adapter, examine into attempts, mine failures out of fold.

Every function leaves a finished artifact in the run folder and reads it back, so that it can be called again after a
kill without doing anything twice. What an artifact was made from is spelled out in its `inputs`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

from loops.crew import Crew
from loops.run_folder import RunFolder, content_hash, put_folder
from loops.state import State
from student.evals.load import EvalSet
from student.evals.splits import make_folds
from student.grade import RawAnswer
from student.records import (
    Attempt,
    Example,
    Failure,
    Item,
    Lesson,
    Question,
    Seed,
    read_records,
    write_json,
    write_records,
)
from student.worker import unfinished

T = TypeVar("T")


LUCK = 7919
"""How far apart the seeds of repeated trainings are."""
SMOOTHING = 0.1
"""`train.smoothing` where labels are fixed and none is set."""


def example(one: Seed | Lesson) -> Example:
    """A labelled item or a lesson as something to learn."""
    real = isinstance(one, Seed)
    return Example(prompt=one.prompt, answer=one.answer, turns=one.turns if isinstance(one, Seed) else (), real=real)


def training_list(seeds: Sequence[T], lessons: Sequence[T], real_share: float) -> list[T]:
    """What a student is trained on, real rows first.

    Where lessons outnumber them, seeds are repeated in turn until at least `real_share` (0 to 1, less than 1) of the rows
    are real: lessons that replace real data instead of standing beside it make each round worse (arXiv 2404.01413).
    """
    needed = math.ceil(real_share / (1 - real_share) * len(lessons) - 1e-9)
    return [*islice(cycle(seeds), max(len(seeds), needed)), *lessons]


def student_name(number: int) -> str:
    """What the student of a round is called in events."""
    return "seed-only" if number == 0 else "round"


def round_examples(crew: Crew, number: int) -> list[Example]:
    """What the student of a round learns: the seeds and every lesson accepted so far."""
    seeds, lessons = ([example(one) for one in group] for group in (crew.evals.seeds, lessons_until(crew, number)))
    return training_list(seeds, lessons, crew.settings.curate.real_share)


def rounds_to(crew: Crew, number: int) -> list[int]:
    """The rounds that students of round 0 and of this one were trained in: all between, where each goes on from the last."""
    return list(range(number + 1)) if crew.settings.train.start == "last" else sorted({0, number})


def begun_from(crew: Crew, number: int, before: Path) -> Path | None:
    """The adapter that a round's training goes on from, which is `before`; None where it starts from the base."""
    return before if number and crew.settings.train.start == "last" else None


def training_settings(crew: Crew) -> dict[str, Any]:
    """How one student is trained, with nothing left to be chosen by the task."""
    train = crew.settings.train
    smoothing = (SMOOTHING if crew.evals.labels else 0.0) if train.smoothing is None else train.smoothing
    # Without it as before there was any: what an older run made is still what it would make.
    return train.model_dump(exclude={"seeds", "start", "smoothing"}) | ({"smoothing": smoothing} if smoothing else {})


def fit(
    crew: Crew, state: State, name: str, examples: list[Example], place: Path, luck: int = 0, start: Path | None = None,
    like: Path | None = None,
) -> None:  # fmt: skip
    """Train an adapter on examples into `place`, unless it is there: from the base, or from the adapter in `start`.

    Another `luck` is another training seed. `like`: an adapter that may have been made from the very same; then it is copied. Raises
    RunError for a `start` that is not what was made.
    """
    settings = training_settings(crew)
    seed = crew.settings.seed + LUCK * luck
    inputs: dict[str, Any] = {
        "examples": [one.model_dump() for one in examples], "settings": settings, "seed": seed,
        "ask": crew.evals.ask().model_dump(), "student": crew.settings.student.model_dump(), "machine": machine(crew),
    }  # fmt: skip
    if start is not None:
        crew.folder.verify(start)
        inputs["start"] = content_hash(start)

    def on(message: dict[str, Any]) -> None:
        if note := message.get("note"):
            crew.emit("note", text=f"{name}: {note}")
            return
        crew.emit("loss", round=state.round, student=name, step=message["step"], steps=message["steps"],
                  loss=round(message["loss"], 4), tokens_per_second=round(message["tokens_per_second"], 1))  # fmt: skip

    def make() -> None:
        draft = place.with_name(f".{place.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        if like is not None and crew.folder.holds(like, inputs):
            shutil.copytree(like, draft)
            put_folder(draft, place)
            return
        draft.mkdir(parents=True)
        result = crew.student.train(crew.evals.ask(), examples, settings, seed, draft, on, start)
        if result["dropped_too_long"]:
            crew.emit(
                "note",
                text=f"{result['dropped_too_long']} of {len(examples)} training items exceed train.max_tokens and were left out",
            )
        write_json(draft / "training.json", {key: value for key, value in result.items() if key != "seconds"})
        put_folder(draft, place)
        shutil.rmtree(unfinished(draft), ignore_errors=True)

    crew.folder.once(place, inputs, make)


def fit_round(state: State, crew: Crew, name: str) -> None:
    """Train a round's student on all seeds and lessons so far, from where `train.start` says."""
    start = begun_from(crew, state.round, crew.folder.round(state.round - 1) / "adapter")
    fit(crew, state, name, round_examples(crew, state.round), round_file(crew, state.round, "adapter"), start=start)


@dataclass(frozen=True)
class Exam:
    """One student before one set of items."""

    name: str
    """What the student is called in events."""
    split: str
    """Which split the items are from."""
    items: Sequence[Item]
    """The questions, with their right answers."""
    target: Path
    """Where the attempts are kept."""
    adapter: Path | None = None
    """The fine-tuned adapter; None for the untouched base model."""
    lead: str = ""
    """Instructions and worked examples put before every question; empty for a fine-tuned student."""
    like: Path | None = None
    """Attempts that may be the same student's on the same items; then they are copied."""


def examined(crew: Crew, state: State, exam: Exam) -> list[Attempt]:
    """The attempts of one examination, made unless they are there."""
    ask = crew.evals.ask(exam.lead)
    inputs = {"items": [item.model_dump() for item in exam.items], "ask": ask.model_dump(),
              "adapter": content_hash(exam.adapter) if exam.adapter else "", "student": crew.settings.student.model,
              "machine": machine(crew)}  # fmt: skip

    def on(message: dict[str, Any]) -> None:
        crew.emit("verb.progress", round=state.round, verb=crew.verb, done=message["done"], total=message["total"],
                  unit="item", note="; ".join([f"{exam.name} on {exam.split}", *filter(None, [message.get("note")])]))  # fmt: skip

    def make() -> None:
        if exam.like is not None and crew.folder.holds(exam.like, inputs):
            write_records(exam.target, read_records(exam.like, Attempt))
            return

        def answer(questions: Sequence[Item | Question]) -> list[RawAnswer]:
            return crew.student.examine(ask, list(questions), exam.adapter, crew.evals.spec.max_new_tokens, on)

        write_records(exam.target, crew.evals.attempts(exam.items, answer))

    crew.folder.once(exam.target, inputs, make)
    return read_records(exam.target, Attempt)


def machine(crew: Crew) -> dict[str, Any]:
    """Device, precision and threads of this run: probed once, then kept, so that a resumed run computes alike."""
    return crew.student.start()["machine"]


def mine_attempts(state: State, crew: Crew) -> list[Attempt]:
    """Attempts at every seed: by students of the other folds, or by the last round's own student (resubstitution)."""
    target, seeds = round_file(crew, state.round, "attempts.mine.jsonl"), crew.evals.seeds
    if crew.settings.mine.how == "resubstitution":
        trained = crew.folder.round(state.round - 1) / "adapter"
        return examined(crew, state, Exam("trained on them", "mine", seeds, target, trained))
    lessons = [example(lesson) for lesson in lessons_until(crew, state.round - 1)]
    inputs = {"folds": crew.settings.mine.folds, "real_share": crew.settings.curate.real_share,
              "lessons": [one.model_dump() for one in lessons], "seeds": [seed.model_dump() for seed in seeds],
              "train": training_settings(crew), "seed": crew.settings.seed, "machine": machine(crew)}  # fmt: skip

    def make() -> None:
        folds = make_folds(seeds, crew.settings.mine.folds)
        found = [
            one for number, fold in enumerate(folds, 1) for one in fold_attempts(state, crew, number, fold, lessons)
        ]
        by_id = {one.item_id: one for one in found}
        write_records(target, [by_id[seed.id] for seed in seeds])

    crew.folder.once(target, inputs, make)
    shutil.rmtree(target.parent / "folds", ignore_errors=True)
    return read_records(target, Attempt)


def fold_attempts(state: State, crew: Crew, number: int, fold: list[Seed], lessons: list[Example]) -> list[Attempt]:
    """Train on the other folds' seeds and the lessons, then examine this fold.

    From the base whatever `train.start` says: the last round's student was trained on this very fold.
    """
    held = {seed.id for seed in fold}
    others = [example(seed) for seed in crew.evals.seeds if seed.id not in held]
    learned = training_list(others, lessons, crew.settings.curate.real_share)
    place = crew.folder.round(state.round) / "folds" / f"{number}"
    fit(crew, state, f"fold {number} of {crew.settings.mine.folds}", learned, place)
    return examined(crew, state, Exam(f"fold {number}", "mine", fold, place.parent / f"attempts.{number}.jsonl", place))


def failures_of(crew: Crew, attempts: Sequence[Attempt]) -> list[Failure]:
    """The seeds answered wrong; after them, nearest first, those answered right by less than `mine.margin`.

    Truncated and malformed answers are counted in the score, not taught (`loops.unfinished` says what to do about them).
    """
    seeds = {seed.id: seed for seed in crew.evals.for_teacher}
    narrowed = {seed.id for seed in crew.evals.seeds if seed.prompt != seeds[seed.id].prompt}
    least = crew.settings.mine.margin or 0.0
    wrong = [one for one in attempts if one.outcome == "wrong"]
    barely = [one for one in attempts if one.right and one.margin is not None and one.margin < least]
    barely.sort(key=lambda one: (one.margin, one.item_id))
    # A student that was asked the whole question may say again what the teacher is not to be told.
    said = {
        one.item_id: "" if one.item_id in narrowed and one.output not in seeds[one.item_id].choices else one.output
        for one in wrong
    }
    failures = [Failure(seed=seeds[one.item_id], wrong_answer=said[one.item_id], margin=one.margin) for one in wrong]
    # What it nearly said instead is not known: the attempt holds what it said.
    return failures + [
        Failure(seed=seeds[one.item_id], wrong_answer="", margin=one.margin, barely=True) for one in barely
    ]


def zero_shot(crew: Crew) -> str:
    """The lead of an untouched student: the task as one would tell a person."""
    task = "" if crew.evals.hosted else crew.evals.task()
    return f"{task}\n\n" if task else ""


def untouched_leads(crew: Crew) -> dict[str, str]:
    """How an untouched student is asked: without worked examples, and with them unless there are to be none."""
    alone, shots = zero_shot(crew), crew.settings.student.shots
    return {"zero-shot": alone} | ({"few-shot": alone + worked_examples(crew.evals, shots)} if shots else {})


def worked_examples(evals: EvalSet, count: int) -> str:
    """So many seeds with their answers: one per skill in turn, in the order of their ids."""
    by_skill: dict[str, list[Seed]] = {}
    for seed in sorted(evals.seeds, key=lambda seed: seed.id):
        by_skill.setdefault(seed.skill, []).append(seed)
    turns = [seed for row in zip_longest(*by_skill.values()) for seed in row if seed is not None]
    ask = evals.ask()
    return "".join(f"{ask.text(seed.prompt)}{ask.join}{seed.answer}\n\n" for seed in turns[:count])


def claim_exams(state: State, crew: Crew, items: Sequence[Item]) -> list[Exam]:
    """Everyone who is examined on `test`."""
    seed_only, best = crew.folder.round(0) / "adapter", crew.folder.round(state.best) / "adapter"

    def exam(name: str, adapter: Path | None, lead: str = "") -> Exam:
        return Exam(name, "test", items, crew.folder.path / "claim" / f"attempts.{name}.test.jsonl", adapter, lead)

    exams = [*(exam(name, None, lead) for name, lead in untouched_leads(crew).items()), exam("seed-only", seed_only)]
    return [*exams, exam("best", best)] if state.best else exams


def round_file(crew: Crew, number: int, name: str) -> Path:
    """A file of one round."""
    return crew.folder.round(number) / name


def lessons_until(crew: Crew, number: int) -> list[Lesson]:
    """Every lesson accepted up to and including a round, oldest first."""
    return lessons_in(crew.folder, number)


def lessons_in(folder: RunFolder, number: int) -> list[Lesson]:
    """The same of any run. Raises RunError for a file that is not what was made."""
    lessons: list[Lesson] = []
    for each in range(1, number + 1):
        file = folder.round(each) / "lessons.jsonl"
        folder.verify(file)
        lessons += read_records(file, Lesson)
    return lessons
