"""What `evals check` says of an eval set: findings, each with how bad it is, where, how many and some examples.

In every `findings_*.py` beside this file there is one look at a `Suite`: a function that takes it and yields `Finding`s. The
levels: an `error` makes results wrong or a run fail, a `warning` makes them worth less, a `note` is for information.
Examples are texts of the team's own items, cut short; whoever shows them makes them harmless first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from student.evals.load import Loaded
from student.grade import RawAnswer
from student.records import Attempt, Item, Record, Seed, Split
from student.similar import fold

Level = Literal["error", "warning", "note"]
Score = Callable[[Sequence[Item], Sequence[RawAnswer]], list[Attempt]]
"""The eval set's own scorer: one attempt per item and answer."""
OnStage = Callable[[str, int, int | None], None]
"""Told what is being looked at, how much is done, and of how much (None where that is not known)."""


class Finding(Record):
    """One thing that was found."""

    level: Level
    """How bad it is."""
    code: str
    """A short countable name: `look-alikes`, `majority`, ..."""
    where: str
    """The file, split, label or column it is about; empty for the whole set."""
    text: str
    """What it is and what to do, for a person."""
    count: int = 1
    """How many items, pairs or labels it is true of."""
    examples: tuple[str, ...] = ()
    """Some of them, cut short; untrusted."""


class Report(Record):
    """Everything `evals check` found."""

    name: str
    """The eval set's name."""
    where: str
    """What was checked, as it was typed."""
    kind: str
    """`choice` or `generate`."""
    scorer: str
    """How answers are compared."""
    noun: str
    """What one item is called."""
    parts: dict[str, int]
    """Items by part of the source; "" for a source in one piece."""
    splits: dict[Split, int]
    """Items by role; empty when they could not be dealt out."""
    classes: dict[str, dict[Split, int]]
    """For fixed labels: items by label and role."""
    majority: float | None
    """For fixed labels: the accuracy on `test` of always giving its most frequent label."""
    chance: float | None
    """For choices: the accuracy of picking blindly."""
    dropped: dict[str, int]
    """Rows that became no item, by reason."""
    looked_at: tuple[str, ...]
    """What was looked at in samples only, and what the lengths were measured with."""
    findings: tuple[Finding, ...]
    """Errors first, then warnings, then notes."""

    def counts(self) -> dict[Level, int]:
        """Findings by level."""
        levels: tuple[Level, ...] = ("error", "warning", "note")
        return {level: sum(one.level == level for one in self.findings) for level in levels}


@dataclass(frozen=True)
class Suite:
    """An eval set under inspection."""

    loaded: Loaded
    """Everything the source gave."""
    roles: dict[Split, list[Seed]]
    """Who gets which items; empty when they could not be dealt out."""
    score: Score
    """The set's scorer."""
    on_stage: OnStage
    """Where progress goes."""
    sampled: list[str]
    """Filled while looking: what was looked at in a sample only."""

    @cached_property
    def items(self) -> list[Seed]:
        """All items, also those in no role."""
        return [item for items in self.loaded.parts.values() for item in items]

    @cached_property
    def folded(self) -> list[str]:
        """The questions in lower case without marks and accents, numbers as they are; in the order of `items`."""
        return [fold(item.prompt, "keep") for item in self.items]

    @property
    def noun(self) -> str:
        return self.loaded.spec.noun

    @cached_property
    def role_of(self) -> list[Split | Literal[""]]:
        """The role of each of `items`; "" for those in none."""
        roles: dict[int, Split] = {id(item): role for role, items in self.roles.items() for item in items}
        return [roles.get(id(item), "") for item in self.items]
