"""What the YAML file says about the columns, applied to one row: its question, answer, skill and id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from student.evals.cells import dig, text_of, turns_of, whole
from student.evals.choices import Choices, choices_of
from student.evals.files import missing
from student.evals.rows import Row, Source
from student.evals.spec import EvalSpec
from student.evals.template import Template
from student.evals.trouble import BadCell, EvalError, listed, meant, shown
from student.records import Seed, Turn, text_hash

_SEED = set(Seed.model_fields)
"""Which fields are set, once for all items: a set for each would be half of what an item takes."""


class Draft(NamedTuple):
    """One row, read."""

    number: int
    """Where it stands."""
    question: str
    """What makes it the same as another: its text, or a hash of its messages and choices."""
    prompt: str
    """The question as text."""
    turns: tuple[Turn, ...]
    """The question as messages, where it is more than one."""
    choices: Choices
    """What there is to choose from."""
    answer: str
    """The right answer; for choices of its own, what the file says of it."""
    skill: str
    """What it exercises."""
    id: str
    """Its name."""

    def seed(self) -> Seed:
        """The labelled item. Its parts are texts that have been checked, and are not checked again."""
        return Seed.model_construct(
            _SEED, id=self.id, prompt=self.prompt, answer=self.answer, skill=self.skill, choices=self.choices.texts,
            turns=self.turns,
        )  # fmt: skip


def check_mapping(spec: EvalSpec, where: str) -> None:
    """Raises EvalError, naming the YAML file `where`, for keys about the columns that do not go together."""
    columns = spec.columns
    for key, column, template in (("prompt", columns.prompt, spec.prompt), ("answer", columns.answer, spec.answer)):
        if bool(column) == bool(template):
            wrong = "both given" if column else "both missing"
            raise EvalError(
                f"{where}: `columns.{key}` and the template `{key}` are {wrong}. Name the column, or write a template."
            )
    if columns.choices and spec.kind != "choice":
        raise EvalError(
            f"{where}: `columns.choices` is for kind: choice; here the answer is written. Take one of the two out."
        )
    if columns.answer_is and not columns.choices:
        raise EvalError(
            f"{where}: `columns.answer_is` says which of `columns.choices` is right, and there are none. Take it out."
        )
    if isinstance(columns.choices, tuple) and len(columns.choices) < 2:  # a choice
        raise EvalError(
            f"{where}: `columns.choices` lists {len(columns.choices)} columns. Name the one that holds a list, or all."
        )
    strange = [label for label in spec.label_names.values() if spec.labels and label not in spec.labels]
    if strange:
        raise EvalError(
            f"{where}: `label_names` names {shown(strange[0])}, which is none of the labels ({listed(spec.labels)})."
            f"{meant(strange[0], list(spec.labels))} Correct one of them."
        )
    try:
        Mapping(spec)
    except EvalError as error:
        raise EvalError(f"{where}: {error}") from error


class Mapping:
    """Reads rows the way one spec says."""

    def __init__(self, spec: EvalSpec) -> None:
        """Raises EvalError for a template that cannot be used."""
        self.spec = spec
        self._prompt = Template("prompt", spec.prompt) if spec.prompt else None
        self._answer = Template("answer", spec.answer) if spec.answer else None
        self._labels = Choices(tuple(spec.labels))
        self._known = {whole(label): label for label in spec.labels} | {label: label for label in spec.labels}
        self._names = {whole(cell): label for cell, label in spec.label_names.items()} | spec.label_names
        self._cut_answer = (spec.columns.answer or "").startswith(f"{spec.columns.prompt}.-1")
        self._skills = 0
        self.wanted = self._wanted()
        """The columns that are used; None for all."""
        self.answer_from = "the `answer` template" if self._answer else f"column {spec.columns.answer!r}"
        """Where answers come from, for a message."""

    def _named(self) -> dict[str, str]:
        """Columns that have to be there, by their key in the YAML file."""
        columns = self.spec.columns
        named = {
            "columns.prompt": None if self._prompt else columns.prompt, "columns.answer": None if self._answer else columns.answer,
            "columns.skill": columns.skill, "columns.id": columns.id,
        }  # fmt: skip
        choices = (columns.choices,) if isinstance(columns.choices, str) else columns.choices or ()
        many = {
            f"columns.choices.{at}" if len(choices) > 1 else "columns.choices": name for at, name in enumerate(choices)
        }
        return {key: name for key, name in named.items() if name} | many

    def _wanted(self) -> frozenset[str] | None:
        names = {name for column in self._named().values() for name in (column, column.partition(".")[0])}
        for template in (self._prompt, self._answer):
            if template and template.columns is None:
                return None
            names |= set(template.columns or ()) if template else set()
        return frozenset(names)

    def check(self, source: Source) -> None:
        """Raises EvalError for a table that lacks a column."""
        if source.columns is None:
            return
        where = f"{source.name}:1" if source.has_lines else source.name
        for key, column in self._named().items():
            if column not in source.columns and column.partition(".")[0] not in source.columns:
                raise missing(where, key, column, list(source.columns))

    def check_skill(self, source: Source) -> None:
        """Raises EvalError when no row had the column of skills."""
        column = self.spec.columns.skill
        if column and not self._skills:
            raise EvalError(
                f"{source.name}: no row says anything in column {column!r}. Correct `columns.skill`, or take it out."
            )

    def draft(self, row: Row, source: Source) -> Draft:
        """One row, read. Raises BadCell."""
        columns, cells = self.spec.columns, row.cells
        prompt, turns = self._question(cells)
        own = self._choices(cells)
        answer = self._answer_of(cells, source, own is not None)
        question = prompt
        if own or turns:
            said = (text for turn in turns for text in (turn.role, turn.content))
            question = text_hash(prompt, *(own.texts if own else ()), *said)
        name = _full(columns.id, cells) if columns.id else question if own or turns else text_hash(prompt)
        return Draft(row.number, question, prompt, turns, own or self._labels, answer, self._skill(cells, answer), name)

    def _question(self, cells: dict[str, Any]) -> tuple[str, tuple[Turn, ...]]:
        if self._prompt:
            return _rendered(self._prompt, cells), ()
        column = self.spec.columns.prompt or ""
        with _column(column):
            value = dig(cells, column)
            if isinstance(value, list):
                return turns_of(cast("list[Any]", value), column, self._cut_answer)
            if isinstance(value, dict):
                raise BadCell(
                    "odd messages", "holds an object; expected text, or a list of messages with `role` and `content`"
                )
        return _full(column, cells), ()

    def _choices(self, cells: dict[str, Any]) -> Choices | None:
        columns = self.spec.columns.choices
        if not columns:
            return None
        with _column(columns if isinstance(columns, str) else ", ".join(columns)):
            return choices_of(cells, columns)

    def _answer_of(self, cells: dict[str, Any], source: Source, own_choices: bool) -> str:
        column = self.spec.columns.answer or ""
        answer = _rendered(self._answer, cells) if self._answer else _full(column, cells)
        if own_choices:
            return answer
        named = self._names.get(answer) or self._names.get(whole(answer))
        if named is None and not self._answer and self.spec.kind == "choice" and answer not in self.spec.labels:
            named = _class_name(source, column, cells)
        named = named or answer
        if self.spec.kind != "choice":
            return named
        label = self._known.get(named) or self._known.get(whole(named))
        if label is None:
            raise BadCell("answer is no label", self._no_label(named))
        return label

    def _no_label(self, answer: str) -> str:
        labels = list(self.spec.labels)
        return (
            f"{self.answer_from} holds {shown(answer)}, which is none of the labels ({listed(labels)}).{meant(answer, labels)} "
            "Correct the row, add it to `labels`, or say in `label_names` which label it means."
        )

    def _skill(self, cells: dict[str, Any], answer: str) -> str:
        column, skill = self.spec.columns.skill, ""
        if column:
            with _column(column):
                skill = text_of(dig(cells, column)) if column.partition(".")[0] in cells or column in cells else ""
        self._skills += bool(skill)
        return skill or (answer if self.spec.labels else "")


def _class_name(source: Source, column: str, cells: dict[str, Any]) -> str | None:
    """What the file says that a number means."""
    names, value = source.class_names.get(column, ()), dig(cells, column)
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None


def _full(column: str, cells: dict[str, Any]) -> str:
    with _column(column):
        text = text_of(dig(cells, column))
        if not text:
            raise BadCell("empty cell", "is empty")
        return text


def _rendered(template: Template, cells: dict[str, Any]) -> str:
    try:
        text = text_of(template.render(cells))
    except BadCell as bad:
        raise BadCell(bad.reason, f"{bad}. Correct the row or the template.") from bad
    if not text:
        raise BadCell(
            "empty cell", f"the `{template.key}` template makes an empty text. Correct the row or the template."
        )
    return text


@contextmanager
def _column(name: str) -> Iterator[None]:
    """What is wrong with a cell is said with its column."""
    try:
        yield
    except BadCell as bad:
        said = f"column {name!r} {bad}. Correct the row, or `columns` in the YAML file."
        raise BadCell(bad.reason, said) from bad
