"""Is a candidate a copy of a seed, of an earlier lesson, or of another candidate?

Two kinds of likeness are wanted and therefore exempt: candidates on the two sides of one confusion, which may differ in just
the few words that change the answer, and a seed said in other words, which may be near that seed and near nothing else.
"""

from __future__ import annotations

from collections import defaultdict
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
        self._aimed: dict[str, list[Candidate]] = defaultdict(list)
        for one in candidates:
            self._aimed[one.weakness_id].append(one)

    def check(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a copy; None for a text of its own."""
        name, similarity = self._known.nearest(candidate.prompt)
        if similarity < self._threshold:
            return None
        kin = self._kin(candidate)
        if name in kin:
            others = [one for one in self._known.alike(candidate.prompt, self._threshold) if one not in kin]
            return reject(candidate, "near-duplicate", f"alike {others[0]}") if others else None
        if similarity >= 1:
            return reject(candidate, "duplicate", name)
        return reject(candidate, "near-duplicate", f"{similarity:.2f} alike {name}")

    def take(self, candidate: Candidate) -> None:
        """Remember an accepted candidate's text."""
        self._known.add(candidate.id, candidate.prompt)

    def _kin(self, candidate: Candidate) -> set[str]:
        """The names of texts it may be like: its own parent's, or those across the boundary from it."""
        if is_rephrased(candidate):
            parent = self._seeds.get(candidate.parent_id)
            return set() if parent is None or parent == candidate.prompt else {candidate.parent_id}
        if not candidate.choices or not candidate.weakness_id:
            return set()
        said = _plain(candidate.prompt)
        siblings = self._aimed[candidate.weakness_id]
        return {one.id for one in siblings if one.answer != candidate.answer and _plain(one.prompt) != said}


def is_rephrased(candidate: Candidate) -> bool:
    """Whether it is a seed in other words, made without a teacher, with that seed's own answer."""
    return not candidate.request_key


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
