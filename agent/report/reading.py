"""The files of a run folder, read once for a report: attempts, decisions, lessons, settings, events, the record of openings.

A run that is still at work, was killed, or was copied without its neighbours is read as far as it goes: what is not there is
empty, and `absent` says so in words. A file that is there and cannot be read is a `RunError` that names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import TypeAdapter

from agent.progress import RunView
from agent.report.facts import Claim, Training
from agent.tables import plural
from agent.trail import Trail, read_trail
from loops.control import FOLDERS
from loops.decide import Decision
from loops.events import read_events
from loops.run_folder import ATTEMPTS, RunError, RunFolder
from student.records import Attempt, Record, read_records
from teacher.diversity import Diversity
from teacher.witnesses import Witness

R = TypeVar("R", bound=Record)
T = TypeVar("T")
Attempts = dict[str, Attempt]
"""One student's attempts on one split, by item."""
_WITNESSES = TypeAdapter(tuple[Witness, ...])
STUDENTS = {
    "zero-shot": "untouched zero-shot",
    "few-shot": "untouched few-shot",
    "seed-only": "seed-only",
    "best": "best",
}
"""Who wrote the attempts files of `baseline/` and `claim/`, and what a report calls them."""

UNTOUCHED = (STUDENTS["zero-shot"], STUDENTS["few-shot"])
"""Those of them that were not trained."""


@dataclass(frozen=True)
class Files:
    """What a run folder holds, as far as a report needs it."""

    folder: RunFolder
    """Where it lies."""
    settings: dict[str, Any]
    """`config.yaml` as it is, settings of older versions included; empty without one."""
    splits: dict[str, list[str]]
    """Ids by split; empty without `splits.json`."""
    skills: dict[str, str]
    """Skills by item, where `splits.json` holds them."""
    view: RunView
    """What the events tell."""
    torn: int
    """Lines of the event log that could not be read."""
    trail: Trail
    """Mined attempts, weaknesses, candidates, verdicts and lessons of the teaching rounds."""
    select: dict[int, Attempts]
    """Each round's attempts on what decides: `select`, or `mine` in a cross-fitted run."""
    untouched: dict[str, Attempts]
    """The untouched student's attempts on the same, by who it is."""
    test: dict[str, Attempts]
    """Attempts on `test`, by who it is."""
    controls: dict[str, Attempts]
    """Attempts of the control arms on `test`, by the arm's name."""
    teacher: Attempts
    """The teacher's attempts on seeds."""
    decisions: dict[int, Decision]
    """What was decided after each round."""
    trainings: dict[int, Training]
    """How each round's student was trained."""
    diversity: dict[int, Diversity]
    """How varied each round's lessons are."""
    witnesses: dict[int, tuple[Witness, ...]]
    """Who was asked about answers in each round."""
    claim: Claim | None
    """The claim; None while there is none."""
    machine: dict[str, Any]
    """What the student ran on."""
    openings: list[dict[str, Any]] | None
    """The openings of this run's `test` split; None where there is no record beside the run."""
    absent: tuple[str, ...]
    """What is not there."""

    @property
    def fingerprint(self) -> str:
        """Of the eval set; empty where neither file has it."""
        return str(self.settings.get("evals_fingerprint", ""))

    @property
    def cross_fit(self) -> bool:
        """Whether rounds were compared by cross-fitting."""
        return self.settings.get("mode") == "cross-fit"

    @property
    def numbers(self) -> list[int]:
        """Every round that left something, in order."""
        taught = {one.number for one in self.trail.rounds}
        return sorted(taught | self.select.keys() | self.decisions.keys() | self.trainings.keys())


def read_files(folder: RunFolder) -> Files:
    """Everything. Raises RunError for a damaged file."""
    base = folder.path
    settings = _optional(folder.config, _mapping)
    manifest = _optional(base / "splits.json", _json_mapping)
    openings, unread = _openings(base.parent / "test-openings.jsonl", str(settings.get("evals_fingerprint", "")))
    events = list(read_events(folder.events))
    numbers = [int(place.name) for place in (base / "rounds").glob("[0-9]*") if place.is_dir()]
    files = Files(
        folder=folder, settings=settings,
        splits={name: list(map(str, ids)) for name, ids in manifest.items() if isinstance(ids, list)},
        skills={str(key): str(value) for key, value in _dict(manifest.get("skills")).items()},
        view=RunView().replay(events), torn=_lines(folder.events) - len(events), trail=read_trail(folder),
        select=_by_round(folder, numbers, "attempts.select.jsonl", _attempts)
            | _by_round(folder, numbers, ATTEMPTS, _attempts),
        untouched=_by_name(base / "baseline", "attempts.{}.select.jsonl")
            | _by_name(base / "baseline", "attempts.{}.mine.jsonl"),
        test=_by_name(base / "claim", "attempts.{}.test.jsonl"), controls=_controls(base / "control"),
        teacher=_optional(base / "baseline" / "attempts.teacher.mine.jsonl", _attempts),
        decisions=_by_round(folder, numbers, "decision.json", _record(Decision)),
        trainings=_by_round(folder, numbers, "adapter/training.json", _record(Training)),
        diversity=_by_round(folder, numbers, "diversity.json", _record(Diversity)),
        witnesses=_by_round(folder, numbers, "witnesses.json", lambda path: _WITNESSES.validate_json(path.read_bytes())),
        claim=_claim(base / "claim" / "claim.json"), machine=_optional(base / "machine.json", _json_mapping),
        openings=openings, absent=(),
    )  # fmt: skip
    return _with_absences(files, unread)


def _with_absences(files: Files, unread: int) -> Files:
    return replace(files, absent=tuple(_absences(files, unread)))


def _absences(files: Files, unread: int) -> list[str]:
    """What a whole run would have and this one has not, one sentence each."""
    base, rounds = files.folder.path, files.trail.rounds
    said = {
        "config.yaml is missing: settings, and which eval set this was, are unknown.": not files.settings,
        "splits.json is missing: the sizes of the splits are those that the events tell.": not files.splits,
        "events.jsonl is missing: times, notes and retries are unknown.": not files.folder.events.exists(),
        f"Left out of events.jsonl: {plural(files.torn, 'damaged line')}. Times and notes may be incomplete.": files.torn > 0,
        "There is no ledger: the teacher was not asked anything, or its cost is unknown.": not files.folder.ledger.exists(),
        f"No round has been examined on {files.view.deciding_words} yet.": not files.select,
        "No claim has been made: test was not opened, or the run ended while it was.": files.claim is None,
        f"The untouched student was not examined on {files.view.deciding_split}.": not files.untouched,
        "The teacher was not examined on seeds.": not files.teacher,
        "machine.json is missing: what the student ran on is unknown.": not files.machine,
        "There is no teaching round: no lessons were asked for.": not rounds,
        "There is no record of openings (test-openings.jsonl) beside this run: claim.json alone says who opened test before.":
            files.openings is None and files.claim is not None,
        f"Left out of test-openings.jsonl: {plural(unread, 'damaged line')}. There may have been more openings.": unread > 0,
    }  # fmt: skip
    said |= _absent_in_rounds(files, base)
    return [text for text, so in said.items() if so]


def _absent_in_rounds(files: Files, base: Path) -> dict[str, bool]:
    judged = [one for one in files.trail.rounds if one.verdicts]
    unheard = [one.number for one in judged if one.number not in files.witnesses]
    unvaried = [one.number for one in judged if one.lessons and one.number not in files.diversity]
    # A cross-fitted run trains whole students for the claim alone.
    wanted = files.numbers if not files.cross_fit else {0, files.claim.best} if files.claim else set[int]()
    untrained = [number for number in files.numbers if number in wanted and number not in files.trainings]
    return {
        f"No cross-checks of answers are on record for {_rounds(unheard)}: nobody is known to have been asked.": bool(
            unheard
        ),
        f"How varied the lessons are was not measured in {_rounds(unvaried)}.": bool(unvaried),
        f"How the student was trained is not on record for {_rounds(untrained)}.": bool(untrained),
    }


def _rounds(numbers: list[int]) -> str:
    return ("round " if len(numbers) == 1 else "rounds ") + ", ".join(map(str, numbers))


# Reading, with one kind of error.


def damaged(path: Path, error: Exception) -> RunError:
    """What to say of a file that is there and cannot be read."""
    return RunError(
        f"{path} cannot be read ({type(error).__name__}): it is damaged, or of another version of the program. Restore it "
        "from a copy, or report on the run with the version that made it."
    )


def _optional(path: Path, read: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    """What a file holds; nothing where there is none. Raises RunError."""
    return (_read(path, read) or {}) if path.exists() else {}


def _read(path: Path, read: Callable[[Path], T]) -> T:
    try:
        return read(path)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError) as error:
        raise damaged(path, error) from error


def _attempts(path: Path) -> Attempts:
    return {one.item_id: one for one in read_records(path, Attempt)}


def _record(kind: type[R]) -> Callable[[Path], R]:
    return lambda path: kind.model_validate_json(path.read_text(encoding="utf-8"))


def _mapping(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _json_mapping(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _claim(path: Path) -> Claim | None:
    return _read(path, _record(Claim)) if path.exists() else None


def _by_round(folder: RunFolder, numbers: list[int], name: str, read: Callable[[Path], T]) -> dict[int, T]:
    places = {number: folder.round(number) / name for number in sorted(numbers)}
    return {number: _read(place, read) for number, place in places.items() if place.exists()}


def _by_name(place: Path, pattern: str) -> dict[str, Attempts]:
    found = {who: place / pattern.format(name) for name, who in STUDENTS.items()}
    return {who: _read(path, _attempts) for who, path in found.items() if path.exists()}


def _controls(place: Path) -> dict[str, Attempts]:
    paths = {name: place / folder / "attempts.test.jsonl" for name, folder in FOLDERS.items()}
    return {name: _read(path, _attempts) for name, path in paths.items() if path.exists()}


def _openings(path: Path, fingerprint: str) -> tuple[list[dict[str, Any]] | None, int]:
    """The openings of one split, and how many lines were unreadable. Only a missing file is None."""
    if not path.exists():
        return None, 0
    lines = [line for line in _read(path, lambda one: one.read_text(encoding="utf-8")).split("\n") if line]
    rows = [_opening(line) for line in lines]
    return [row for row in rows if row and row.get("split") == fingerprint], rows.count(None)


def _opening(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return cast(dict[str, Any], row) if isinstance(row, dict) else None


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    return sum(bool(line.strip()) for line in path.read_bytes().split(b"\n"))


def _dict(value: object) -> Mapping[Any, Any]:
    return cast(Mapping[Any, Any], value) if isinstance(value, dict) else {}
