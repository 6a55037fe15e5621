"""The same two trainings again with other seeds: what tells the lessons from the luck of one training.

In: the best round, and how many training seeds are wanted (`train.seeds`). Out: adapters of the best round's and of the seed-only
data for each further seed, made before `test` is opened, and then the claim over all of them. Where `train.start` is `last`, all
rounds up to the best are trained again, each from the one before. Nothing is chosen here: the round was chosen by its first
training, and every further one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loops.claims import gain_over_seeds, lessons_sentence
from loops.crew import Crew
from loops.learning import Exam, begun_from, examined, fit, round_examples, rounds_to
from loops.state import State
from student.records import Attempt, HeldOutItem

EQUAL_STEPS = "equal-steps"
"""The folder of the control arm that learns the seeds alone for as many steps; where its steps are as many it is the seed-only student."""
Pair = tuple[Path, Path]
"""The adapters of the best round's data and of the seeds alone."""


def retrained(state: State, crew: Crew) -> list[Pair]:
    """The adapters of every further training seed; none when one is wanted, or no round beat the seed-only student."""
    if not state.best:
        return []
    return [_pair(state, crew, luck) for luck in range(1, crew.settings.train.seeds)]


def _pair(state: State, crew: Crew, luck: int) -> Pair:
    seed_only = seed_only_adapter(crew, luck)
    before = seed_only
    for number in rounds_to(crew, state.best):
        name = {0: "seed-only", state.best: "best"}.get(number, f"round-{number}")
        here, place = state.model_copy(update={"round": number}), seed_only.with_name(name)
        start = begun_from(crew, number, before)
        arm = None if number else crew.folder.path / "control" / EQUAL_STEPS / f"training-{luck + 1}"
        fit(crew, here, f"{name}, training {luck + 1}", round_examples(crew, number), place, luck, start, like=arm)
        before = place
    return before, seed_only


def seed_only_adapter(crew: Crew, luck: int) -> Path:
    """The seed-only student of a training seed: that of round 0 for the first."""
    further = crew.folder.path / "claim" / f"training-{luck + 1}"
    return further / "seed-only" if luck else crew.folder.round(0) / "adapter"


def seed_only_attempts(crew: Crew, luck: int) -> Path:
    """Where the answers to `test` of the seed-only student of a training seed are kept."""
    further = crew.folder.path / "claim" / f"training-{luck + 1}"
    return (further if luck else crew.folder.path / "claim") / "attempts.seed-only.test.jsonl"


def lessons_claim(
    state: State, crew: Crew, items: Sequence[HeldOutItem], again: Sequence[Pair],
    first: tuple[list[Attempt], list[Attempt]],
) -> dict[str, Any]:  # fmt: skip
    """The claim about the lessons, over the first training and all further ones, as it is recorded."""
    pairs = [first, *((_attempts(state, crew, items, best), _attempts(state, crew, items, old)) for best, old in again)]
    gain = gain_over_seeds(pairs)
    sentence = lessons_sentence(gain, state.best)
    crew.emit("note", text=sentence)
    return {**gain.model_dump(), "shown": gain.shown, "sentence": sentence}


def best_attempts(
    state: State, crew: Crew, items: Sequence[HeldOutItem], again: Sequence[Pair]
) -> list[list[Attempt]]:  # fmt: skip
    """What each further training of the best round's data answered."""
    return [_attempts(state, crew, items, best) for best, _ in again]


def _attempts(state: State, crew: Crew, items: Sequence[HeldOutItem], adapter: Path) -> list[Attempt]:
    name = f"{adapter.name}, {adapter.parent.name.replace('-', ' ')}"
    target = adapter.parent / f"attempts.{adapter.name}.test.jsonl"
    return examined(crew, state, Exam(name, "test", items, target, adapter))
