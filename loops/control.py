"""The control arms: what the best student is compared with besides the seed-only one, so that a gain has a cause.

Three students, trained like the best one and made before `test` is opened: on untargeted lessons that cost as many teacher tokens as the
lessons up to the best round did, naming and checking included; on as many untargeted lessons; and on seeds alone for as many optimiser
steps. The first two read the same stream of untargeted requests: the longest beginning that costs no more, and the first so
many lessons. An arm that the budget or the teacher does not allow is missing, with the reason, and the claim is made without it.

With several training seeds (`train.seeds`) each arm is trained with each, and compared over all of them. Where `train.start` is
`last`, an arm goes the best student's way: from the seed-only student on, as many trainings one from another, each with that
share of the arm's lessons which the round had of the best student's, or for as many steps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from loops.claims import control_sentence, gain_over_seeds
from loops.crew import Crew
from loops.learning import Exam, begun_from, examined, example, fit, lessons_until, round_file, rounds_to, training_list
from loops.retraining import EQUAL_STEPS, Pair, best_attempts, seed_only_adapter, seed_only_attempts
from loops.run_folder import content_hash, digest
from loops.state import State
from loops.stats import compare
from loops.telling import say_score
from loops.untargeted import MOST, Written, lessons_tokens, untargeted_stream
from student.records import Attempt, Example, HeldOutItem, Lesson, Record, read_records, write_json, write_records
from teacher.errors import BudgetSpent, NotRecorded

Update = dict[str, Any]
SPEND, NUMBER, STEPS = "untargeted, equal spend", "untargeted, equal number", "seeds, as many steps"
AGAINST = {SPEND: "untargeted lessons at equal spend", NUMBER: "as many untargeted lessons",
           STEPS: "seeds alone trained for as many steps"}  # fmt: skip
FOLDERS = {SPEND: "equal-spend", NUMBER: "equal-number", STEPS: EQUAL_STEPS}


class Size(Record):
    """How large something is in the three ways that arms are equal."""

    tokens: int
    """Teacher tokens."""
    lessons: int
    """Accepted lessons."""
    steps: int
    """Optimiser steps."""


class Arm(Record):
    """One arm, as `control/arms.json` lists it."""

    name: str
    """What it is called."""
    missing: str = ""
    """Why there is none; empty where there is."""
    size: Size | None = None
    """How large it came out; None where it is missing."""


def train_arms(state: State, crew: Crew) -> None:
    """Make every arm's data and adapters, unless they are there, and list them."""
    if not state.best:
        crew.emit(
            "note", text="no control arm is needed: the seed-only student is kept, so there is no gain to explain"
        )
        return
    wanted = _best_size(state, crew)
    arms = [*_untargeted_arms(state, crew, wanted), _trained(state, crew, STEPS, [], 0)]
    for arm in arms:
        if arm.missing:
            crew.emit("note", text=f"the control arm '{arm.name}' is missing: {arm.missing}")
    listed = {"best": wanted.model_dump(), "arms": [arm.model_dump() for arm in arms]}
    write_json(crew.folder.path / "control" / "arms.json", listed)


def _best_size(state: State, crew: Crew) -> Size:
    """What the best round's lessons cost, how many they are, and how long its student was trained; counted once."""
    target, lessons = crew.folder.path / "control" / "best.json", lessons_until(crew, state.best)
    adapter = round_file(crew, state.best, "adapter")

    def make() -> None:
        # Before the first request of an arm: none of them can be counted in.
        tokens = 0 if state.adopt else lessons_tokens(crew.folder.ledger, state.best)
        steps = sum(_steps(round_file(crew, number, "adapter")) for number in _stages(crew, state.best))
        write_json(target, Size(tokens=tokens, lessons=len(lessons), steps=steps).model_dump())

    inputs = {"best": state.best, "lessons": digest([one.id for one in lessons]), "adapter": content_hash(adapter)}
    crew.folder.once(target, inputs, make)
    return Size.model_validate_json(target.read_text(encoding="utf-8"))


def _steps(adapter: Path) -> int:
    return int(json.loads((adapter / "training.json").read_text(encoding="utf-8"))["steps"])


def _untargeted_arms(state: State, crew: Crew, wanted: Size) -> list[Arm]:
    """The two that read the stream."""
    if state.adopt:
        reason = "the lessons are those of another run, and this one asks no teacher"
        return [Arm(name=SPEND, missing=reason), Arm(name=NUMBER, missing=reason)]
    if crew.settings.curate.review:
        crew.emit("note", text="control arms: a person reviewed the lessons, and nobody reviews the untargeted ones")
    read, why = read_until(state, crew, wanted)
    same_cost = within(read, wanted.tokens)
    lessons = lessons_in(read)[: wanted.lessons]
    arms: list[Arm] = []
    if not wanted.tokens:
        arms.append(Arm(name=SPEND, missing="the lessons cost no teacher tokens"))
    elif spent(read) < wanted.tokens:
        reached = f"the untargeted requests came to {spent(read):,} of {wanted.tokens:,} tokens"
        arms.append(Arm(name=SPEND, missing=f"{reached}. {why}"))
    else:
        arms.append(_trained(state, crew, SPEND, lessons_in(same_cost), spent(same_cost)))
    if len(lessons) < wanted.lessons:
        reached = f"{len(lessons):,} of {wanted.lessons:,} untargeted lessons were accepted"
        return [*arms, Arm(name=NUMBER, missing=f"{reached}. {why}")]
    return [*arms, _trained(state, crew, NUMBER, lessons, spent(until(read, wanted.lessons)))]


def read_until(state: State, crew: Crew, wanted: Size) -> tuple[list[Written], str]:
    """As much of the stream as both arms need; and, where that was not to be had, why."""
    read = list[Written]()
    try:
        for batch in untargeted_stream(state, crew, crew.folder.path / "control" / "untargeted"):
            read += batch
            if spent(read) >= wanted.tokens and len(lessons_in(read)) >= wanted.lessons:
                return read, ""
    except (BudgetSpent, NotRecorded) as error:
        return read, str(error)
    return read, f"No more than {MOST} times as many as in the rounds were asked for."


def within(read: Sequence[Written], tokens: int) -> Sequence[Written]:
    """The longest beginning that costs no more."""
    fits = [at for at in range(len(read) + 1) if spent(read[:at]) <= tokens]
    return read[: max(fits)]


def until(read: Sequence[Written], lessons: int) -> Sequence[Written]:
    """The shortest beginning that has so many lessons."""
    return next((read[:at] for at in range(len(read) + 1) if len(lessons_in(read[:at])) >= lessons), read)


def spent(read: Sequence[Written]) -> int:
    """Teacher tokens."""
    return sum(one.tokens for one in read)


def lessons_in(read: Sequence[Written]) -> list[Lesson]:
    """What was accepted, in order."""
    return list(chain.from_iterable(one.lessons for one in read))


def _trained(state: State, crew: Crew, name: str, lessons: Sequence[Lesson], tokens: int) -> Arm:
    """An arm's lessons and its adapters, one for each training seed."""
    target = _place(crew, name) / "lessons.jsonl"
    inputs = {"lessons": [one.model_dump() for one in lessons]}
    crew.folder.once(target, inputs, lambda: write_records(target, lessons))
    lessons = read_records(target, Lesson)
    written = [example(one) for one in lessons]
    made = [_students(state, crew, name, written, luck) for luck in range(crew.settings.train.seeds)]
    return Arm(name=name, size=Size(tokens=tokens, lessons=len(lessons), steps=sum(map(_steps, made[0]))))


def _stages(crew: Crew, best: int) -> list[int]:
    """The rounds whose trainings the best student went through."""
    return rounds_to(crew, best) if crew.settings.train.start == "last" else [best]


def _students(state: State, crew: Crew, name: str, lessons: Sequence[Example], luck: int) -> list[Path]:
    """Train an arm's student for one training seed as the best was trained: an adapter for each stage, the arm's own last."""
    here, places = state.model_copy(update={"round": state.best}), [seed_only_adapter(crew, luck)]
    seeds, total = [example(one) for one in crew.evals.seeds], len(lessons_until(crew, state.best))
    adapter = _adapters(crew, name)[luck]
    stages = {number: adapter.with_name(f"{adapter.name}.round-{number}") for number in _stages(crew, state.best)}
    for number, aside in stages.items():
        so_far = lessons[: round(len(lessons) * len(lessons_until(crew, number)) / total)]
        examples = training_list(seeds, so_far, crew.settings.curate.real_share)
        place = adapter if number == state.best else aside if number else places[0]
        start = begun_from(crew, number, places[-1])
        # Seeds alone for as many steps are the seed-only student itself where its steps were as many.
        fit(_lengthened(crew, name, number), here, f"control: {name}", examples, place, luck, start, like=places[0])
        places.append(place)
    return places[1:]


def _lengthened(crew: Crew, name: str, number: int) -> Crew:
    """What an arm is trained with: seeds alone for as many steps as the round's student."""
    if name != STEPS or not number:
        return crew
    train = crew.settings.train.model_copy(update={"min_steps": _steps(round_file(crew, number, "adapter"))})
    return replace(crew, settings=crew.settings.model_copy(update={"train": train}))


def _place(crew: Crew, name: str) -> Path:
    return crew.folder.path / "control" / FOLDERS[name]


def _adapters(crew: Crew, name: str) -> list[Path]:
    """One for each training seed."""
    further = [f"training-{luck + 1}" for luck in range(1, crew.settings.train.seeds)]
    return [_place(crew, name) / folder for folder in ("adapter", *further)]


def arms_claim(
    state: State, crew: Crew, items: Sequence[HeldOutItem], again: Sequence[Pair], first: Sequence[Attempt]
) -> Update:
    """Examine the arms on `test` and hold the best student against each: what is added to claim.json.

    `first`: the best student's attempts; `again`: the adapters of further trainings.
    """
    if not state.best:
        return {"controls": [], "controls_missing": {}}
    listed = json.loads((crew.folder.path / "control" / "arms.json").read_text(encoding="utf-8"))
    arms = [Arm.model_validate(one) for one in listed["arms"]]
    best = [first, *best_attempts(state, crew, items, again)]
    there = [(arm.name, arm.size) for arm in arms if arm.size]
    controls = [_control(state, crew, items, name, size, Size(**listed["best"]), best) for name, size in there]
    return {"controls": controls, "controls_missing": {arm.name: arm.missing for arm in arms if arm.missing}}


def _control(
    state: State, crew: Crew, items: Sequence[HeldOutItem], name: str, size: Size, wanted: Size,
    best: Sequence[Sequence[Attempt]],
) -> Update:  # fmt: skip
    """One arm's part of claim.json."""
    here = state.model_copy(update={"round": state.best})
    said = [
        examined(crew, here, Exam(f"control: {name}", "test", items, adapter.with_name(_attempts(luck)), adapter,
                                  like=seed_only_attempts(crew, luck)))
        for luck, adapter in enumerate(_adapters(crew, name))
    ]  # fmt: skip
    say_score(crew, here, f"control: {name}", "test", said[0])
    found = compare(best[0], said[0])
    record = {"name": name, **found.model_dump(), "size": size.model_dump(), "wanted": wanted.model_dump()}
    if len(said) == 1:
        return {**record, "shown": found.shown, "sentence": control_sentence(found, AGAINST[name])}
    gain = gain_over_seeds(list(zip(best, said, strict=True)))
    sentence = control_sentence(gain, AGAINST[name])
    return {**record, "lessons": gain.model_dump(), "shown": gain.shown, "sentence": sentence}


def _attempts(luck: int) -> str:
    return f"attempts.training-{luck + 1}.test.jsonl" if luck else "attempts.test.jsonl"
