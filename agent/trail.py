"""What a run left behind about its lessons, read from its files alone: rounds, failures, candidates, verdicts, who was asked.

A run that is still at work, was killed or is of an older version is read as far as it goes; only a damaged file is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from loops.run_folder import ATTEMPTS, RunError, RunFolder
from student.records import Attempt, Candidate, Failure, Lesson, Record, Verdict, Weakness, read_records
from teacher.book import Entry, open_readonly
from teacher.errors import TeacherUnusable
from teacher.witnesses import Witness

R = TypeVar("R", bound=Record)
_WITNESSES = TypeAdapter(tuple[Witness, ...])


@dataclass(frozen=True)
class Round:
    """One teaching round; what it has not come to yet is empty."""

    number: int
    """From 1."""
    mined: dict[str, Attempt]
    """Attempts on the seeds before its lessons, by seed."""
    weaknesses: list[Weakness]
    """What was found weak."""
    candidates: list[Candidate]
    """What was written."""
    verdicts: dict[str, Verdict]
    """What curation, and a person where one was asked, made of it, by candidate."""
    lessons: dict[str, Lesson]
    """What was trained on, by candidate."""
    witnesses: dict[str, Witness]
    """Who was asked about answers, by name."""

    def failure(self, one: Candidate | Lesson) -> Failure | None:
        """The failure something was written for."""
        weakness = self.weakness(one)
        failures = weakness.failures if weakness else ()
        return next((each for each in failures if each.seed.id == one.parent_id), None)

    def weakness(self, one: Candidate | Lesson) -> Weakness | None:
        """The weakness something is aimed at."""
        return next((each for each in self.weaknesses if each.id == one.weakness_id), None)

    def fate(self, one: Candidate) -> str:
        """`accepted`, or why not."""
        verdict = self.verdicts.get(one.id)
        return verdict.reason if verdict else "not judged yet"


@dataclass(frozen=True)
class Trail:
    """A whole run, as far as lessons go."""

    folder: RunFolder
    """Where it lies."""
    rounds: list[Round]
    """Its teaching rounds, in order."""
    last: Round | None = None
    """In a cross-fitted run, the look at the seeds after the last round: mined, and not taught."""

    @property
    def looks(self) -> list[Round]:
        """Whenever the seeds were looked at, in order."""
        return [*self.rounds, *([self.last] if self.last else [])]

    def when(self, number: int) -> str:
        """What the look of that number is called."""
        return (
            f"the last look, after round {number - 1}"
            if self.last and number == self.last.number
            else f"round {number}"
        )

    def after(self, number: int, seed: str) -> list[tuple[int, Attempt]]:
        """What the student made of a seed each time it was mined after that round's lessons."""
        return [(one.number, one.mined[seed]) for one in self.looks if one.number > number and seed in one.mined]

    def candidate(self, name: str) -> tuple[Round, Candidate]:
        """The candidate whose id is `name` or starts with it, and its round. Raises RunError."""
        found = {one.id: (at, one) for at in self.rounds for one in at.candidates}
        return found[self._one_of(list(found), name, "candidate")]

    def failed(self, name: str) -> Failure:
        """The failure whose item's id is `name` or starts with it, as it last was. Raises RunError."""
        found = {one.seed.id: one for at in self.rounds for each in at.weaknesses for one in each.failures}
        return found[self._one_of(list(found), name, "failure")]

    def entry(self, key: str) -> Entry | None:
        """What the ledger knows of a request. Raises RunError."""
        try:
            with open_readonly(self.folder.ledger) as book:
                return book.entry(key)
        except TeacherUnusable as error:
            raise RunError(str(error)) from error

    def _one_of(self, ids: Sequence[str], name: str, what: str) -> str:
        found = [name] if name in ids else sorted({one for one in ids if name and one.startswith(name)})
        if len(found) == 1:
            return found[0]
        run = self.folder.name
        if found:
            some = ", ".join(found[:4])
            raise RunError(f"{name!r} is how {len(found)} ids begin in {run!r}: {some}. Type more of the one you mean.")
        known = f"It has {len(ids)}, for example {', '.join(sorted(ids)[:3])}" if ids else "It has none yet"
        raise RunError(f"The run {run!r} has no {what} whose id is or starts with {name!r}. {known}.")


def read_trail(folder: RunFolder) -> Trail:
    """Everything that is known of a run's lessons. Raises RunError for a damaged file."""
    places = (place for place in (folder.path / "rounds").glob("[0-9]*") if int(place.name) > 0)
    rounds = [_round(folder, place) for place in sorted(places, key=lambda place: int(place.name))]
    number = rounds[-1].number + 1 if rounds else 1
    mined = _mined(folder, number)
    return Trail(folder, rounds, Round(number, mined, [], [], {}, {}, {}) if mined else None)


def _mined(folder: RunFolder, number: int) -> dict[str, Attempt]:
    """The attempts a round starts from; in a cross-fitted run those that the round before was compared by."""
    own = folder.round(number) / "attempts.mine.jsonl"
    place = own if own.exists() else folder.round(number - 1) / ATTEMPTS
    return {one.item_id: one for one in _read(place, Attempt)}


def _round(folder: RunFolder, place: Path) -> Round:
    reviewed = place / "reviewed.jsonl"
    verdicts = _read(reviewed if reviewed.exists() else place / "verdicts.jsonl", Verdict)
    return Round(
        number=int(place.name),
        mined=_mined(folder, int(place.name)),
        weaknesses=_read(place / "weaknesses.jsonl", Weakness),
        candidates=_read(place / "candidates.jsonl", Candidate),
        verdicts={one.candidate_id: one for one in verdicts},
        lessons={one.id: one for one in _read(place / "lessons.jsonl", Lesson)},
        witnesses=_witnesses(place / "witnesses.json"),
    )


def _read(path: Path, kind: type[R]) -> list[R]:
    try:
        return read_records(path, kind) if path.exists() else []
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} cannot be read ({type(error).__name__}): it is damaged, or of another version of the program. Restore it "
            "from a copy, or look at the run with the version that made it."
        ) from error


def _witnesses(path: Path) -> dict[str, Witness]:
    """Who was asked. It only adds to the story, so a missing or damaged file is passed over."""
    try:
        return {one.name: one for one in _WITNESSES.validate_json(path.read_bytes())}
    except (OSError, ValidationError):
        return {}
