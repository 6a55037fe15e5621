"""Which student is exported, and everything that is told about it: read from a finished run, with nothing changed in it.

In: a run and perhaps a round. Out: a `Chosen`. A run without a claim is refused: which round is its best is not settled, and its
card would have no held-out numbers. An adapter or lessons that are no longer what was made are refused too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from agent.launch import same_evals
from agent.models import known_machine
from agent.report.facts import Facts
from agent.report.gather import facts_of
from agent.settings import SettingsError
from agent.trail import Trail, read_trail
from loops.adopting import kept_round
from loops.learning import lessons_in, training_list
from loops.run_folder import RunError, RunFolder
from loops.settings import RunSettings
from student.evals.load import EvalSet
from student.records import Attempt, Item, Lesson, Seed, Split, read_records

Dtype = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Chosen:
    """One student of a finished run."""

    folder: RunFolder
    """Its run."""
    settings: RunSettings
    """How the run was made."""
    evals: EvalSet
    """What it was made for."""
    number: int
    """The round the student was trained in; 0 is the one trained on seeds alone."""
    best: int
    """The round the run kept."""
    machine: dict[str, Any]
    """What the student was trained on."""
    dtype: Dtype
    """The precision of the exported weights."""
    facts: Facts
    """What the report knows."""
    trail: Trail
    """Where lessons come from."""
    lessons: list[Lesson]
    """The lessons it learned, oldest first."""

    @property
    def has_adapter(self) -> bool:
        """Whether it is an adapter on a base, and not the base's own weights trained."""
        return self.settings.student.lora.how != "full"

    @property
    def in_four_bits(self) -> bool:
        """Whether it was trained and examined over a base in 4 bits, which is another model than the one it is merged into."""
        return self.settings.student.lora.how == "qlora"

    @property
    def adapter(self) -> Path:
        """Its adapter, or the weights that were trained."""
        return self.folder.round(self.number) / "adapter"

    @property
    def trained_on(self) -> list[Seed | Lesson]:
        """Every training example, in the order it was learned from."""
        seeds: list[Seed | Lesson] = [*self.evals.seeds]
        return training_list(seeds, [*self.lessons], self.settings.curate.real_share)

    @property
    def split(self) -> Split:
        """What the exported model is checked on: never `test`, which is opened for claims alone."""
        return "select" if self.evals.held_out.select() else "mine"

    @property
    def items(self) -> list[Item]:
        """The items of that split."""
        return [*self.evals.held_out.select()] or [*self.evals.seeds]

    @property
    def recorded(self) -> list[Attempt] | None:
        """This student's answers to those items on record; None where its run did not ask it (cross-fit)."""
        path = self.folder.round(self.number) / "attempts.select.jsonl"
        if self.split != "select" or not path.exists():
            return None
        self.folder.verify(path)
        return read_records(path, Attempt)


def choose(folder: RunFolder, number: int | None, dtype: str | None, allow_code: bool) -> Chosen:
    """The student to export: the best, or that of a round. Raises the rooms' errors. The eval set is open afterwards."""
    if dtype not in (None, *get_args(Dtype)):
        raise SettingsError(f"--dtype {dtype!r} is not one of {', '.join(get_args(Dtype))}.")
    best = kept_round(folder)
    chosen = best if number is None else number
    _check_adapter(folder, chosen)
    settings, fingerprint = folder.load_settings()
    machine = known_machine(folder) or {}
    evals = same_evals(folder, settings, fingerprint, allow_code)
    try:
        return Chosen(
            folder=folder, settings=settings, evals=evals, number=chosen, best=best, machine=machine,
            dtype=cast("Dtype", dtype or machine.get("dtype", "float32")), facts=facts_of(folder), trail=read_trail(folder),
            lessons=lessons_in(folder, chosen),
        )  # fmt: skip
    except BaseException:
        evals.close()
        raise


def _check_adapter(folder: RunFolder, number: int) -> None:
    """Raises RunError where a round has no student of its own, or its adapter was changed."""
    adapter = folder.round(number) / "adapter"
    if adapter.is_dir():
        folder.verify(adapter)
        return
    there = sorted(int(place.parent.name) for place in (folder.path / "rounds").glob("[0-9]*/adapter"))
    raise RunError(
        f"The run {folder.name!r} has no student of round {number}: {folder.round(number)} holds no adapter. It has those of the "
        f"rounds {', '.join(map(str, there)) or '(none)'}; name one with --round, or leave --round out for the best."
    )
