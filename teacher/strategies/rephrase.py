"""`rephrase`: real items of the weakness said differently, by rule (`teacher.noise`). No teacher, no request, no cost.

The label or answer is the seed's own. Chat questions are left alone: their other messages would be lost.
"""

from __future__ import annotations

import re

from student.records import Candidate, Seed, Weakness, text_hash
from teacher.noise import rephrased
from teacher.strategies.order import Desk

TRIES = 6
"""Draws until a text is another one than the seed and than what was made of it before."""


def rephrase(desk: Desk, weakness: Weakness, lessons: int) -> list[Candidate]:
    """So many candidates, or fewer where nothing more can be said differently; the failures take turns."""
    seeds = [one.seed for one in weakness.failures if not one.seed.turns]
    made: list[Candidate] = []
    taken = {seed.prompt for seed in seeds}
    for at in range(lessons if seeds else 0):
        seed = seeds[at % len(seeds)]
        text = _other(desk, seed, at, taken)
        if text:
            taken.add(text)
            made.append(_candidate(desk, weakness, seed, text))
    return made


def _other(desk: Desk, seed: Seed, at: int, taken: set[str]) -> str:
    keep = frozenset(re.findall(r"\w+", " ".join([seed.answer, *_own_choices(desk, seed)]).lower()))
    for draw in range(TRIES):
        text = rephrased(seed.prompt, keep, text_hash(str(desk.seed), str(desk.round), seed.id, str(at), str(draw)))
        if text.strip() and text not in taken:
            return text
    return ""


def _own_choices(desk: Desk, seed: Seed) -> tuple[str, ...]:
    return () if desk.sheet.labels else seed.choices


def _candidate(desk: Desk, weakness: Weakness, seed: Seed, text: str) -> Candidate:
    return Candidate(
        id=text_hash("rephrase", str(desk.round), weakness.id, seed.id, text), prompt=text.strip(), answer=seed.answer,
        skill=seed.skill, choices=seed.choices, round=desk.round, weakness_id=weakness.id, parent_id=seed.id,
        strategy="rephrase", request_key="", shown_ids=(seed.id,),
    )  # fmt: skip
