"""What can be set about how lessons are asked for: `generate.*` in a config file."""

from __future__ import annotations

import difflib
import math
from typing import Literal

from pydantic import Field, field_validator

from student.records import Record

NAMES = ("contrast", "skill", "style", "taxonomy", "errors", "rephrase", "paper", "untargeted")
"""Every strategy; `teacher.strategies` says what each does."""


class GenerateSettings(Record):
    """How lessons are asked for."""

    lessons: int = Field(default=60, ge=1)
    """Candidates asked for in a round."""
    per_failure: int | None = Field(default=None, ge=1)
    """At most so many candidates a round for each failure, as in the paper, where it is 1; null: `lessons`, however few failures."""
    per_seed: int | None = Field(default=2, ge=1)
    """At most so many candidates a round for each seed: asked for more, a small teacher writes the same things again (docs/evidence.md);
    null: `lessons`, however few seeds."""
    mix: dict[str, float] | None = None
    """Who writes them, by weight: contrast, skill, style, taxonomy, errors, rephrase, paper, untargeted. null: style where labels are
    fixed, contrast where answers are written or every item has choices of its own (docs/evidence.md)."""
    per_request: int = Field(default=4, ge=1, le=50)
    """Candidates asked for in one request: more are cheaper, fewer are more varied. `style` asks for twice as many labelled ones."""
    examples: int = Field(default=3, ge=1, le=50)
    """Real items shown in one request."""
    other_side: float = Field(default=0.34, ge=0, le=1)
    """With fixed labels: the share of a confusion's lessons whose answer is the label the student said instead."""
    spread: float = Field(default=0.5, ge=0, le=1)
    """With fixed labels: the share of a round's lessons that is aimed at nothing, from seeds as they come and of every label its share of
    them. Labels that hear of lessons for others only are answered less and less (docs/evidence.md)."""
    level: bool = False
    """With `spread`: of each label such lessons are what the aimed ones leave short of its share of the seeds, so that the whole round has
    the seeds' shares; false: they have them by themselves, whatever the aimed ones are, which was worth as much (docs/evidence.md)."""
    explore: float = Field(default=0.2, ge=0, le=1)
    """The share of the aimed lessons that is spread evenly over the weaknesses; the rest goes by expected gain."""
    taxonomy: str = ""
    """For the strategy `taxonomy`: the folder of an InstructLab taxonomy, with its `qna.yaml` files as they are."""
    error_answer: Literal["correction", "kind"] = "correction"
    """For the strategy `errors`: what the right answer to an item is, the text put right or the kind of error."""
    error_kinds: tuple[str, ...] = (
        "a wrong number or date", "a wrong name", "a word left out", "two words swapped", "a wrong verb form",
        "a misspelt word", "a statement that contradicts another one",
    )  # fmt: skip
    """For `errors` with corrections: which errors are put in, in turn, where the teacher has not named what the student lacks. With
    kinds they are the answers of the eval set."""
    temperature: float = Field(default=0.9, ge=0, le=2)
    """Sampling temperature of the teacher when it writes."""
    tokens_per_lesson: int = Field(default=90, ge=8)
    """The reply's limit, per candidate asked for; higher where the real items shown are longer."""

    @field_validator("mix")
    @classmethod
    def _known(cls, mix: dict[str, float] | None) -> dict[str, float] | None:
        if mix is None:
            return None
        for name, weight in mix.items():
            if name not in NAMES:
                near = difflib.get_close_matches(name, NAMES, 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(f"{name!r} is no strategy; {hint}there are {', '.join(NAMES)}")
            if not (weight >= 0 and math.isfinite(weight)):
                raise ValueError(f"the weight of {name!r} is {weight}; weights are numbers from 0 up")
        if not sum(mix.values()) > 0:
            raise ValueError("some strategy needs a weight above 0, for example {contrast: 0.5, skill: 0.5}")
        return mix

    @field_validator("error_kinds")
    @classmethod
    def _some(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        if not any(kind.strip() for kind in kinds):
            raise ValueError("name at least one kind of error")
        return kinds
