"""Decide which candidates become lessons. Every candidate gets one verdict with one counted reason.

Cheap checks come first (`sift`), so nobody is asked about what could not be accepted anyway: form, control tokens, length,
language, copies of seeds, of earlier lessons and of one another, the held-out guard. Then witnesses say what each
survivor's answer is (`answers`, `nearest`, `witnesses`), and what one label has too much of is trimmed (`balance`). Copies
and the guard are asked through plain callables: this room holds no held-out text and no index of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from student.records import Candidate, Lesson, Record, Seed, Verdict
from teacher.answers import Same, answer_request, asked_seeds, read_answer, shown_seeds
from teacher.copies import Alike, Copies, Known
from teacher.form import Lengths, form
from teacher.language import SeedLanguages
from teacher.verdicts import accept, reject

__all__ = [
    "CurateSettings",
    "Edit",
    "Guard",
    "Known",
    "Same",
    "answer_request",
    "asked_seeds",
    "lessons_of",
    "read_answer",
    "shown_seeds",
    "sift",
]

Guard = Callable[[str], str | None]
"""Told a text; returns why it is too close to a held-out item, or None."""
Check = Callable[[Candidate], Verdict | None]
"""Told a candidate; returns why it cannot be a lesson, or None."""
LONG = 12
"""An answer of so many words can itself be a copy of a held-out item."""


class CurateSettings(Record):
    """How hard candidates are sifted."""

    duplicate: float = Field(default=0.6, gt=0, le=1)
    """Character 4-gram overlap with a seed, a lesson or another candidate from which a candidate is a copy."""
    meaning: float | None = Field(default=0.6, gt=0, le=1)
    """How near a candidate may come in what it says to a text with the same answer: the mean of two cosines, of the student's
    vectors and of the letters; null: as near as it likes. Where a task's own seeds come nearer to one another, candidates may, too."""
    longest: float = Field(default=3.0, gt=0)
    """A candidate longer than this many times the longest seed, in characters, is dropped."""
    verify: bool = True
    """Whether witnesses are asked for each candidate's answer: the teacher afresh, the nearest seeds, the student."""
    answers: int = Field(default=1, ge=1, le=20)
    """How often the teacher answers each candidate afresh: once at temperature 0, then drawn."""
    shown: int = Field(default=3, ge=0, le=20)
    """With fixed labels: so many real items of each, with their right answers, are shown to the teacher before it answers; fewer where
    there is no room. 0: it is told what the labels mean and no more, for a quarter of the tokens."""
    agree: int = Field(default=1, ge=1, le=20)
    """How many of these answers must be the same for the teacher to have said anything."""
    belief: float = Field(default=0.5, ge=0, le=1)
    """With choices: the least probability, given all witnesses, that a candidate's answer is right."""
    balance: float = Field(default=2.0, ge=1)
    """Seeds and lessons of one label or skill are at most this many times its share among the seeds (or an even share)."""
    narrow: float = Field(default=0.7, ge=0, le=1)
    """Lessons with less than this share of the seeds' own variety raise an alarm."""
    real_share: float = Field(default=0.3, ge=0, lt=1)
    """Real rows are at least this share of what the student is trained on: where lessons outnumber them, seeds repeat."""
    review: bool = False
    """Whether a person accepts, edits or rejects each lesson in the terminal before it is trained on."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.agree > self.answers:
            raise ValueError(f"agree={self.agree} of answers={self.answers} can never be reached; ask for more answers")
        return self


class Edit(Record):
    """What a person made of a candidate."""

    prompt: str
    """The question."""
    answer: str
    """The answer."""


def sift(
    candidates: Sequence[Candidate], seeds: Sequence[Seed], known: Known, guard: Guard, settings: CurateSettings,
    meant: Alike | None = None,
) -> list[Verdict]:  # fmt: skip
    """Verdicts of the checks that ask nobody; survivors are marked accepted for now and added to `known`.

    `meant`: which texts say the same as a candidate in other words, where that was worked out.
    """
    copies = Copies(known, settings.duplicate, candidates, seeds, meant)
    lengths, languages = Lengths(seeds, settings.longest), SeedLanguages(seeds)
    labels = common_choices(seeds)
    checks: list[Check] = [form, lengths.check, languages.check, copies.check, lambda one: guarded(one, guard, labels)]
    verdicts: list[Verdict] = []
    for candidate in candidates:
        verdict = next((found for check in checks if (found := check(candidate))), None) or accept(candidate)
        if verdict.accepted:
            copies.take(candidate)
        verdicts.append(verdict)
    return verdicts


def guarded(candidate: Candidate, guard: Guard, labels: Sequence[str] = ()) -> Verdict | None:
    """The verdict on a candidate that is too close to a held-out item; None for any other.

    Asked about are the question, the question with choices of its own, and an answer that is long.
    """
    texts = [candidate.prompt]
    if candidate.choices and candidate.choices != tuple(labels):
        texts.append(" ".join((candidate.prompt, *candidate.choices)))
    if len(candidate.answer.split()) >= LONG:
        texts.append(candidate.answer)
    why = next((found for text in texts if (found := guard(text))), None)
    return reject(candidate, "held-out", why) if why else None


def common_choices(seeds: Sequence[Seed]) -> tuple[str, ...]:
    """The labels, where all items are to be answered with the same ones; nothing where each has its own."""
    kinds = {seed.choices for seed in seeds}
    return next(iter(kinds)) if len(kinds) == 1 else ()


def lessons_of(
    candidates: Sequence[Candidate], verdicts: Sequence[Verdict], edits: Mapping[str, Edit] | None = None
) -> list[Lesson]:
    """The accepted candidates, as lessons, in order; as a person edited them, where one did."""
    accepted = {verdict.candidate_id for verdict in verdicts if verdict.accepted}
    kept = [candidate for candidate in candidates if candidate.id in accepted]
    return [Lesson(**_edited(one, (edits or {}).get(one.id)).model_dump()) for one in kept]


def _edited(candidate: Candidate, edit: Edit | None) -> Candidate:
    if edit is None:
        return candidate
    skill = edit.answer if candidate.skill == candidate.answer else candidate.skill  # a label is its own skill
    return candidate.model_copy(update={**edit.model_dump(), "skill": skill})
