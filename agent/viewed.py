"""The values that a view of a run is made of: what a screen, `show` and the report are told."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One student (or the teacher) examined on one split."""

    round: int
    """The round of the student; 0 is trained on seeds alone."""
    student: str
    """Its name as the run gave it."""
    split: str
    """mine, select or test."""
    n: int
    """Items asked."""
    right: int
    """Items answered rightly."""
    low: float
    """Lower end of the 95 % Wilson interval, 0 to 1."""
    high: float
    """Upper end of the 95 % Wilson interval, 0 to 1."""
    truncated: int = 0
    """Answers cut off by the length limit."""
    malformed: int = 0
    """Answers no scorer could read."""

    @property
    def accuracy(self) -> float:
        return self.right / self.n if self.n else 0.0

    @property
    def role(self) -> str:
        """zero-shot, few-shot, teacher, seed-only, round, control, or other: which row of a table this is."""
        return _role(self.student, self.round)

    @property
    def label(self) -> str:
        """The name of the row, for a person."""
        names = {"zero-shot": "untouched zero-shot", "few-shot": "untouched few-shot", "other": self.student}
        names["control"] = self.student.removeprefix("control: ")
        return names.get(self.role, f"round {self.round}" if self.role == "round" else self.role)


@dataclass(frozen=True)
class Cell:
    """One verb of the strip: running while `seconds` is None."""

    round: int
    """The round it ran in."""
    started: float
    """When it started, seconds since the epoch."""
    seconds: float | None = None
    """How long it took; None while it runs."""


@dataclass(frozen=True)
class Progress:
    """How far the running verb is, and from where its rate is measured."""

    round: int
    """The round it runs in."""
    verb: str
    """The verb."""
    done: int
    """Units finished."""
    total: int
    """Units in all; 0 where nobody knows."""
    unit: str
    """What is counted: items, lessons, steps."""
    note: str
    """What the verb says about itself, for example `fold 2 of 5`."""
    at: float
    """When this was said, seconds since the epoch."""
    base_at: float
    """When the measured stretch began."""
    base_done: int
    """Units finished when the measured stretch began."""

    @property
    def share(self) -> float:
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass(frozen=True)
class Lesson:
    """The part of an accepted lesson a screen shows."""

    round: int
    """The teaching round."""
    prompt: str
    """The question."""
    answer: str
    """Its answer."""
    strategy: str
    """How it was generated."""
    weakness: str
    """What it is aimed at: the weakness's name where known."""


@dataclass(frozen=True)
class WeaknessView:
    """A named group of failures of one round."""

    name: str
    """What goes wrong."""
    failures: int
    """How many failures it holds."""
    lessons: int
    """How many lessons it was given."""


@dataclass(frozen=True)
class Spent:
    """What the teacher has cost so far, over all sessions of the run."""

    requests: int = 0
    """Requests paid for."""
    prompt_tokens: int = 0
    """Tokens sent."""
    completion_tokens: int = 0
    """Tokens received."""
    reused_requests: int = 0
    """Requests answered from the ledger."""
    money: float | None = None
    """Money, in the unit of the configured prices; None is unknown, which is not nothing."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class BudgetLine:
    """One cap and how much of it is used."""

    name: str
    """tokens, requests or money."""
    used: float
    """Spent so far."""
    cap: float
    """The most that may be spent."""

    @property
    def share(self) -> float:
        return min(1.0, self.used / self.cap) if self.cap > 0 else 1.0


def _role(student: str, number: int) -> str:
    words = set(re.split(r"[^a-z0-9]+", student.lower()))
    if "control" in words:
        return "control"
    for word, role in (("zero", "zero-shot"), ("few", "few-shot"), ("teacher", "teacher"), ("seed", "seed-only")):
        if word in words or f"{word}s" in words:
            return role
    if words & {"round", "best", "final", "tuned", "student"}:
        return "round" if number else "seed-only"
    return "other"
