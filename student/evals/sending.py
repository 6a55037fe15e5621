"""What a teacher may be told of an eval set: which columns leave, and the seeds as they are without the others.

In: a loaded eval set, its address, and the columns that `teacher.send_columns` lists. Out: the eval set with its seeds as a teacher
may be told them. Lessons are made from questions and answers, so these cannot be kept back whole; but a prompt template is filled
in once more with the columns empty that are not listed, and skills are told only where their column is. Students are asked the
whole items, whatever a teacher is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from student.evals.address import address
from student.evals.load import EvalSet, hub_parts, places_of
from student.evals.mapping import Mapping
from student.evals.rows import Row
from student.evals.sources import open_sources
from student.evals.spec import EvalSpec
from student.evals.template import Template
from student.evals.trouble import BadCell, EvalError, listed, meant
from student.records import Seed

ANYTHING = "what the template says"
"""Stands for the columns of a template that names none of them."""


def columns_told(spec: EvalSpec, send: Sequence[str] | None) -> tuple[str, ...]:
    """The columns a teacher is told, in the order of question, answer, choices, skill."""
    used = [column for part in _used(spec).values() for column in part]
    return tuple(dict.fromkeys(one for one in used if send is None or one == ANYTHING or _is_in(one, send)))


def narrowed(evals: EvalSet, where: str, send: Sequence[str] | None) -> EvalSet:
    """The eval set, loaded from `where`, with its seeds as a teacher may be told them. Raises EvalError.

    `send`: the columns to be told; None for all that make an item.
    """
    if send is None:
        return evals
    _check(evals.spec, send)
    texts = _told_questions(evals.spec, where, send) if _leaves_out(evals.spec, send) else {}
    skill = evals.spec.columns.skill
    keeps_skill = skill is not None and not _is_in(skill, send)
    return replace(evals, told=tuple(_told(evals, seed, texts, keeps_skill) for seed in evals.seeds))


def _told(evals: EvalSet, seed: Seed, texts: dict[str, str], keeps_skill: bool) -> Seed:
    if texts and seed.id not in texts:
        raise EvalError(f"The data of {evals.spec.name!r} changed while it was read. Start again.")
    skill = (seed.answer if evals.spec.labels else "") if keeps_skill else seed.skill
    return seed.model_copy(update={"prompt": texts.get(seed.id, seed.prompt), "skill": skill})


def _used(spec: EvalSpec) -> dict[str, tuple[str, ...]]:
    """The columns by what they make of an item. A skill is told only where no labels name what goes wrong."""
    columns = spec.columns
    choices = (columns.choices,) if isinstance(columns.choices, str) else columns.choices or ()
    skill = (columns.skill,) if columns.skill and not spec.labels else ()
    return {
        "question": _made_of(spec.prompt) if spec.prompt else tuple(filter(None, [columns.prompt])),
        "answer": _made_of(spec.answer) if spec.answer else tuple(filter(None, [columns.answer])),
        "choices": choices, "skill": skill,
    }  # fmt: skip


def _made_of(template: str) -> tuple[str, ...]:
    names = Template("prompt", template).columns
    return (ANYTHING,) if names is None else tuple(sorted(names))


def _is_in(column: str, send: Sequence[str]) -> bool:
    """A place inside a column (`answers.text.0`) is listed by its own name or by its column's."""
    return column in send or column.partition(".")[0] in send


def _check(spec: EvalSpec, send: Sequence[str]) -> None:
    """Raises EvalError for a list that names what is not there, or leaves out what lessons are made from."""
    used = _used(spec)
    known = [*dict.fromkeys(column for part in used.values() for column in part)]
    unsaid = [column for column in (spec.columns.skill, spec.columns.id) if column]
    inside = {name for column in (*known, *unsaid) for name in (column, column.partition(".")[0])}
    strange = [name for name in send if name not in inside]
    if strange and ANYTHING not in known:
        raise EvalError(
            f"teacher.send_columns names {strange[0]!r}, and of that column nothing is made in {spec.name!r}; columns used are "
            f"{listed(known)}.{meant(strange[0], known)} Correct the list, or take the name out."
        )
    for part in ("question", "answer", "choices"):
        left = [one for one in used[part] if one != ANYTHING and not _is_in(one, send)]
        some = part == "question" and spec.prompt and len(left) < len(used[part])
        if left and not some:
            raise EvalError(
                f"teacher.send_columns leaves out {left[0]!r}, which holds the {part}: lessons are made from it. List it, or use a "
                "teacher on this machine, to which nothing is sent."
            )


def _leaves_out(spec: EvalSpec, send: Sequence[str]) -> bool:
    """Whether the prompt template uses what is not to be told."""
    return bool(spec.prompt) and not all(one != ANYTHING and one in send for one in _used(spec)["question"])


def _told_questions(spec: EvalSpec, where: str, send: Sequence[str]) -> dict[str, str]:
    """The question of every row by its item's id, with the columns empty that are not listed: the data is read once more."""
    place = address(where, Path())
    places = places_of(spec, Path(place.place).parent, where) if place.kind == "yaml" else {}
    if not places or any(one.kind not in ("file", "hub") for one in places.values()):
        raise EvalError(
            f"teacher.send_columns leaves out a column of the prompt template of {where}, whose rows are made by code and cannot be read "
            "anew without it. Let the code leave it out."
        )
    mapping, template, told = Mapping(spec), Template("prompt", spec.prompt), dict[str, str]()
    for part, one in places.items():
        for source in open_sources(one, mapping.wanted, () if part else hub_parts(spec)).values():
            for row in source.rows:
                if not isinstance(row, Row) or row.is_empty:
                    continue
                try:
                    name = mapping.draft(row, source).id
                    told.setdefault(name, _filled(template, row, send))
                except BadCell as bad:
                    raise bad.at(source.at(row.number)) from bad
    return told


def _filled(template: Template, row: Row, send: Sequence[str]) -> str:
    text = template.render({name: cell if name in send else "" for name, cell in row.cells.items()}).strip()
    if not text:
        raise BadCell(
            "empty cell",
            "of what teacher.send_columns lists nothing is left of the question. List another column, too.",
        )
    return text
