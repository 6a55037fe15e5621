"""Is a candidate a copy of a seed, of an earlier lesson, or of another candidate?

Two kinds of likeness are wanted and therefore exempt: candidates on the two sides of one confusion, which may differ in just
the few words that change the answer, and a seed said in other words, which may be near that seed and near nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from student.records import Candidate, Seed, Verdict
from teacher.verdicts import reject


class Known(Protocol):
    """An index of texts that are taken."""

    def nearest(self, text: str) -> tuple[str, float]:
        """The most similar text's name and its similarity, 0 to 1."""
        ...

    def alike(self, text: str, threshold: float) -> list[str]:
        """The names of all texts at least that similar."""
        ...

    def add(self, name: str, text: str) -> None:
        """Remember a text."""
        ...


class Copies:
    """Finds copies among what is known, and adds to it what is accepted."""

    def __init__(
        self, known: Known, threshold: float, candidates: Sequence[Candidate] = (), seeds: Sequence[Seed] = ()
    ) -> None:
        self._known, self._threshold = known, threshold
        self._seeds = {seed.id: seed.prompt for seed in seeds}
        self._candidates = {one.id: one for one in candidates}

    def check(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a copy; None for a text of its own."""
        name, similarity = self._known.nearest(candidate.prompt)
        if similarity < self._threshold:
            return None
        if self._is_kin(candidate, name):
            alike = self._known.alike(candidate.prompt, self._threshold)
            other = next((one for one in alike if not self._is_kin(candidate, one)), None)
            return reject(candidate, "near-duplicate", f"alike {other}") if other else None
        if similarity >= 1:
            return reject(candidate, "duplicate", name)
        return reject(candidate, "near-duplicate", f"{similarity:.2f} alike {name}")

    def take(self, candidate: Candidate) -> None:
        """Remember an accepted candidate's text."""
        self._known.add(candidate.id, candidate.prompt)

    def _is_kin(self, candidate: Candidate, name: str) -> bool:
        """Whether a text it is like is its own parent's, or one across the boundary from it."""
        if is_rephrased(candidate):
            return name == candidate.parent_id and self._seeds.get(name) not in (None, candidate.prompt)
        other = self._candidates.get(name)
        return (
            other is not None
            and bool(candidate.choices and candidate.weakness_id)
            and other.weakness_id == candidate.weakness_id
            and other.answer != candidate.answer
            and _plain(other.prompt) != _plain(candidate.prompt)
        )


def is_rephrased(candidate: Candidate) -> bool:
    """Whether it is a seed in other words, made without a teacher, with that seed's own answer."""
    return not candidate.request_key


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
