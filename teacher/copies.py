"""Is a candidate a copy of a seed, of an earlier lesson, or of another candidate?

Two kinds of likeness are wanted and therefore exempt: candidates on the two sides of one confusion, which may differ in just
the few words that change the answer, and a seed said in other words, which may be near that seed and near nothing else.

Letters are compared first. Which texts say the same in other words is worked out beforehand, for all candidates at once, by
whoever has a model: see `Alike`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from student.records import Candidate, Seed, Verdict
from teacher.verdicts import reject

Alike = Mapping[str, Sequence[tuple[str, float]]]
"""For a candidate's id the names of texts that say the same, nearest first, each with how near it is. What no text says the
same as may be missing."""


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

    def __contains__(self, name: str) -> bool:
        """Whether a text of that name is remembered."""
        ...


class Copies:
    """Finds copies among what is known, and adds to it what is accepted."""

    def __init__(
        self, known: Known, threshold: float, candidates: Sequence[Candidate] = (), seeds: Sequence[Seed] = (),
        meant: Alike | None = None,
    ) -> None:  # fmt: skip
        self._known, self._threshold, self._meant = known, threshold, meant or {}
        self._seeds = {seed.id: seed.prompt for seed in seeds}
        self._candidates = {one.id: one for one in candidates}

    def check(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a copy; None for a text of its own."""
        return self._spelt(candidate) or self._said(candidate)

    def _spelt(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a text that is spelt like another."""
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

    def _said(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a text that says what another says. A seed in other words is meant to."""
        if is_rephrased(candidate):
            return None
        for name, nearness in self._meant.get(candidate.id, ()):
            if name in self._known and not self._is_kin(candidate, name):
                return reject(candidate, "near-duplicate", f"says the same as {name} ({nearness:.2f})")
        return None

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
