"""A person's part of a round: accept, edit or reject each lesson before it is trained on.

Every decision is one line of `rounds/NNN/review.jsonl`, on the disk before the next lesson is shown; a review that was broken off,
also by kill -9, goes on with the first lesson not decided. What a person wrote meets the checks again that ask nobody about
answers: form, copies, the held-out guard. How lessons are shown and keys are read is the agent's: it is handed a `Docket`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from loops.crew import Crew, ReviewWaits
from loops.judging import taken_texts
from loops.learning import lessons_until, round_file
from student.records import Candidate, Failure, Record, Verdict, Weakness, read_records, sync_folder
from teacher.copies import Copies
from teacher.curate import Edit, common_choices, guarded
from teacher.form import form
from teacher.verdicts import accept, reject

REJECTED = "rejected by a person"


class Decision(Record):
    """What a person decided about one lesson."""

    candidate_id: str
    """The lesson."""
    act: Literal["accept", "edit", "reject"]
    """What is to become of it."""
    edit: Edit | None = None
    """Its new text, where it was edited."""


@dataclass(frozen=True)
class Case:
    """One lesson to be looked at, and where it comes from."""

    candidate: Candidate
    """The lesson as the teacher wrote it."""
    verdict: Verdict
    """What curation found."""
    weakness: Weakness | None
    """What it is aimed at; None for a lesson without aim."""
    failure: Failure | None
    """The failure it was written for, with the student's wrong answer; None for a lesson without aim."""


@dataclass
class Docket:
    """The lessons of one round that curation let pass, and what was decided about them so far."""

    round: int
    """The teaching round."""
    cases: list[Case]
    """In the order they were written."""
    path: Path
    """Where decisions are kept."""
    recheck: Callable[[Candidate, Sequence[Candidate]], Verdict | None]
    """Told an edited lesson and all others; why it cannot be one, or None."""
    decided: dict[str, Decision] = field(default_factory=dict[str, Decision])
    """Decisions by candidate."""

    @property
    def waiting(self) -> list[Case]:
        """The lessons nobody has decided about."""
        return [case for case in self.cases if case.candidate.id not in self.decided]

    def decide(self, decision: Decision) -> str | None:
        """Write a decision down. Returns why an edited lesson cannot be one; then nothing is written."""
        wrong = self.wrong_with(decision)
        if wrong is not None:
            return f"{wrong.reason}: {wrong.detail}" if wrong.detail else wrong.reason
        append_line(self.path, decision.model_dump_json())
        self.decided[decision.candidate_id] = decision
        return None

    def wrong_with(self, decision: Decision) -> Verdict | None:
        """The verdict on an edited lesson that cannot be one."""
        if decision.edit is None:
            return None
        case = next(case for case in self.cases if case.candidate.id == decision.candidate_id)
        others = [self._as_decided(other) for other in self.cases if other is not case and not self._is_out(other)]
        return self.recheck(case.candidate.model_copy(update=decision.edit.model_dump()), others)

    def verdicts(self, before: Sequence[Verdict]) -> list[Verdict]:
        """Curation's verdicts, with what the person decided in their place."""
        cases = {case.candidate.id: case for case in self.cases}
        return [self._verdict(cases[one.candidate_id]) if one.candidate_id in cases else one for one in before]

    def edits(self) -> dict[str, Edit]:
        """The new texts, by candidate."""
        return {name: one.edit for name, one in self.decided.items() if one.edit is not None}

    def _verdict(self, case: Case) -> Verdict:
        decision = self.decided[case.candidate.id]
        if decision.act == "reject":
            return reject(case.candidate, REJECTED, heard=case.verdict)
        wrong = self.wrong_with(decision)  # the file may have been written to by other hands
        if wrong is not None:
            return reject(case.candidate, wrong.reason, f"edited by a person; {wrong.detail}", case.verdict)
        was = f"edited by a person; the teacher wrote: {case.candidate.prompt} -> {case.candidate.answer}"
        return accept(case.candidate, was if decision.edit else "accepted by a person", case.verdict)

    def _is_out(self, case: Case) -> bool:
        decision = self.decided.get(case.candidate.id)
        return decision is not None and decision.act == "reject"

    def _as_decided(self, case: Case) -> Candidate:
        decision = self.decided.get(case.candidate.id)
        edit = decision.edit if decision else None
        return case.candidate if edit is None else case.candidate.model_copy(update=edit.model_dump())


def open_docket(crew: Crew, number: int) -> Docket:
    """The review of a round, as far as it has come."""
    by_id = {one.candidate_id: one for one in read_records(round_file(crew, number, "verdicts.jsonl"), Verdict)}
    candidates = read_records(round_file(crew, number, "candidates.jsonl"), Candidate)
    weaknesses = {one.id: one for one in read_records(round_file(crew, number, "weaknesses.jsonl"), Weakness)}
    cases = [_case(one, by_id[one.id], weaknesses.get(one.weakness_id)) for one in candidates if by_id[one.id].accepted]
    path, known = round_file(crew, number, "review.jsonl"), {case.candidate.id for case in cases}
    decided = {one.candidate_id: one for one in read_decisions(path) if one.candidate_id in known}
    return Docket(number, cases, path, _rechecker(crew, number), decided)


def _case(candidate: Candidate, verdict: Verdict, weakness: Weakness | None) -> Case:
    failures = weakness.failures if weakness else ()
    return Case(
        candidate, verdict, weakness, next((one for one in failures if one.seed.id == candidate.parent_id), None)
    )


def _rechecker(crew: Crew, number: int) -> Callable[[Candidate, Sequence[Candidate]], Verdict | None]:
    seeds, earlier = crew.evals.seeds, lessons_until(crew, number - 1)
    guard, labels = crew.evals.held_out.guard(seeds), common_choices(seeds)

    def recheck(edited: Candidate, others: Sequence[Candidate]) -> Verdict | None:
        known = taken_texts(crew, [*earlier, *others])
        copies = Copies(known, crew.settings.curate.duplicate, [edited, *others], seeds)
        return form(edited) or copies.check(edited) or guarded(edited, guard, labels)

    return recheck


def hold_review(crew: Crew, number: int) -> None:
    """Have a person decide about a round's lessons. Raises ReviewWaits while some are not decided."""
    docket = open_docket(crew, number)
    crew.emit("review", round=number, lessons=len(docket.cases), waiting=len(docket.waiting))
    if crew.reviewer is not None:
        crew.reviewer(docket)
    if left := len(docket.waiting):
        where = "" if crew.reviewer else " in a terminal"
        raise ReviewWaits(
            f"{left} of {len(docket.cases)} lessons of round {number} wait for a person's review (curate.review); what was "
            f"decided is kept. `llm2llm resume {crew.folder.as_typed}`{where} goes on with the next one."
        )


def read_decisions(path: Path) -> list[Decision]:
    """Every whole decision, in order; a torn last line was never made."""
    if not path.exists():
        return []
    found: list[Decision] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        try:
            found.append(Decision.model_validate_json(line))
        except ValidationError:
            continue  # a damaged line is a lesson that is shown again
    return found


def append_line(path: Path, line: str) -> None:
    """Add a line and have it on the disk; what a killed process left of one is cut off first."""
    fresh = not path.exists()
    with path.open("ab") as handle:
        whole = path.read_bytes()
        handle.truncate(whole.rfind(b"\n") + 1)
        handle.write(line.encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())
    if fresh:
        sync_folder(path.parent)
