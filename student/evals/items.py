"""Labelled items from rows: which column is what, and what is wrong with a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from student.evals.address import Address
from student.evals.sources import rows_of
from student.evals.spec import EvalError, EvalSpec
from student.records import Seed, text_hash

OnProgress = Callable[[int, int | None], None]
"""Called with rows read and rows in all (None where that is not known before the end)."""


def read_items(
    spec: EvalSpec, place: Address, hub_parts: Sequence[str], on_progress: OnProgress,
    on_trouble: Callable[[EvalError], None] | None,
) -> tuple[dict[str, list[Seed]], Counter[str]]:  # fmt: skip
    """Items by part ("" for a file), and rows that became none by reason; exact repeats are kept once."""
    dropped = Counter[str]()
    return {"": _items(spec, place.place, dropped)}, dropped


def _items(spec: EvalSpec, data: str, dropped: Counter[str]) -> list[Seed]:
    items, by_text = dict[str, Seed](), dict[str, Seed]()
    for line, row in rows_of(data):
        item = _item(spec, data, line, row)
        known = by_text.setdefault(item.prompt, item)
        if known.answer != item.answer:
            raise EvalError(
                f"{data}:{line}: the same {spec.noun} stands elsewhere with the answer {known.answer!r}, here with "
                f"{item.answer!r}. Keep one of the two."
            )
        if known is item and items.setdefault(item.id, item) is not item:
            raise EvalError(f"{data}:{line}: another {spec.noun} has the id {item.id!r}, too. Give each its own.")
        dropped["exact repeat"] += known is not item
    if not items:
        raise EvalError(f"{data}: there are no items in this file. Give a JSONL, JSON or CSV file with one item a row.")
    return list(items.values())


def _item(spec: EvalSpec, data: str, line: int, row: dict[str, Any]) -> Seed:
    prompt, answer = (
        _cell(spec.columns.prompt or "", data, line, row),
        _cell(spec.columns.answer or "", data, line, row),
    )
    if spec.kind == "choice" and answer not in spec.labels:
        raise EvalError(
            f"{data}:{line}: column {spec.columns.answer!r} holds {answer!r}, which is none of the labels "
            f"({', '.join(spec.labels)}). Add it to `labels`, or correct the row."
        )
    skill = _cell(spec.columns.skill, data, line, row) if spec.columns.skill else answer if spec.labels else ""
    name = _cell(spec.columns.id, data, line, row) if spec.columns.id else text_hash(prompt)
    return Seed(id=name, prompt=prompt, answer=answer, skill=skill, choices=tuple(spec.labels))


def _cell(column: str, data: str, line: int, row: dict[str, Any]) -> str:
    value = row.get(column)
    if value is None or not str(value).strip():
        what = "is empty" if column in row else f"is missing; this row has {', '.join(map(repr, row)) or 'none'}"
        raise EvalError(f"{data}:{line}: column {column!r} {what}. Correct the row, or `columns` in the YAML file.")
    return str(value).strip()
