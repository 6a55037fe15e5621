"""Group the student's failures into named weaknesses: what to teach, before it is decided how much of it.

With fixed labels a weakness is a confusion: items of one label taken for another. Where every item has choices of its own it
is a skill of the eval set. Where answers are written, what is missing is named by the teacher (`teacher.naming`), failure by
failure, and the eval set's skill stands in where it was not. A right answer that was nearly wrong belongs to no confusion:
what the student nearly said is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from student.records import Failure, Weakness
from teacher.naming import Name, typical
from teacher.sheet import TaskSheet
from teacher.strategies.order import STAND_IN

MOST = 24
"""Weaknesses beyond this many are merged into their label's or skill's own group."""


def find_weaknesses(
    sheet: TaskSheet, failures: Sequence[Failure], names: Mapping[str, Name], round_number: int
) -> list[Weakness]:  # fmt: skip
    """Weaknesses, largest first, with no lessons yet. `names`: what the teacher says is missing, by seed."""
    groups = _groups(failures, lambda one: _name(sheet, one, names))
    if len(groups) > MOST:
        groups = _groups(failures, lambda one: _missed(sheet, one))
    return [
        Weakness(
            id=f"{round_number:03d}-{number:02d}", name=name, failures=tuple(members), lessons=0,
            skill=_shared([_skill(sheet, one) for one in members]), wrong_move=_wrong_move(sheet, members, names),
        )
        for number, (name, members) in enumerate(groups.items(), 1)
    ]  # fmt: skip


def _groups(failures: Sequence[Failure], name: Callable[[Failure], str]) -> dict[str, list[Failure]]:
    groups: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        groups[name(failure)].append(failure)
    return dict(sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0])))


def _name(sheet: TaskSheet, failure: Failure, names: Mapping[str, Name]) -> str:
    if sheet.labels and failure.barely:
        return f"{failure.seed.answer} barely right"
    if sheet.labels:
        return f"{failure.seed.answer} taken for {failure.wrong_answer}"
    known = names.get(failure.seed.id)
    return known.skill if known else f"{failure.seed.skill or 'answers'}{STAND_IN[0]}"


def _missed(sheet: TaskSheet, failure: Failure) -> str:
    return f"{_skill(sheet, failure) or 'anything'}{STAND_IN[1]}"


def _skill(sheet: TaskSheet, failure: Failure) -> str:
    return failure.seed.answer if sheet.labels else failure.seed.skill


def _shared(skills: Sequence[str]) -> str:
    return skills[0] if len(set(skills)) == 1 else ""


def _wrong_move(sheet: TaskSheet, members: Sequence[Failure], names: Mapping[str, Name]) -> str:
    """What was said instead; or, of what the teacher says the members did, the most typical."""
    if sheet.labels:
        said = _shared([one.wrong_answer for one in members if not one.barely] or [""])
        return f"says {said}" if said else ""
    return typical([names[one.seed.id].wrong_move for one in members if one.seed.id in names])
