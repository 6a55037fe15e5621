"""The training data of one student as rows, each with where it comes from, and as a Parquet file.

In: a chosen student. Out: one row for each example it was trained on, in that order; a seed that was repeated comes again, with
`repeat` counting. Held-out items are in no list that this file sees.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from agent.export.chosen import Chosen
from agent.trail import Trail
from student.records import Lesson, Record, Seed, Turn
from teacher.book import Book, open_readonly, unreadable


class Row(Record):
    """One thing the student learned."""

    prompt: str
    """The question, before framing."""
    answer: str
    """What the student was to say."""
    source: Literal["seed", "lesson"]
    """A labelled item of the eval set, or an item a teacher wrote."""
    id: str
    """The item's or the lesson's name."""
    repeat: int = 0
    """How often this example stands above already: seeds are repeated where lessons outnumber them."""
    turns: tuple[Turn, ...] = ()
    """The question as chat messages; empty where `prompt` is all of it."""
    skill: str = ""
    """What it exercises."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; empty where the answer is written."""
    round: int = 0
    """The teaching round of a lesson; 0 for a seed."""
    strategy: str | None = None
    """How a lesson was written."""
    weakness_id: str | None = None
    """The weakness a lesson is aimed at."""
    weakness: str | None = None
    """That weakness in words; None where the run does not hold it."""
    parent_id: str | None = None
    """The seed a lesson was written for."""
    shown_ids: tuple[str, ...] = ()
    """The seeds that stood in the prompt a lesson was written from."""
    request_id: str | None = None
    """The ledger key of the request whose reply held a lesson; None for one made by rule."""
    prompt_version: str | None = None
    """The first 8 hex digits of the sha256 of the teacher's system message; None where the run does not hold it."""
    belief: float | None = None
    """Probability, 0 to 1, that a lesson's answer is right, given the witnesses; None where none was asked."""
    edited: bool = False
    """Whether a person changed a lesson."""


SCHEMA = pa.schema([
    pa.field("prompt", pa.string(), nullable=False), pa.field("answer", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False), pa.field("id", pa.string(), nullable=False),
    pa.field("repeat", pa.int32(), nullable=False),
    pa.field("turns", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    pa.field("skill", pa.string()), pa.field("choices", pa.list_(pa.string())), pa.field("round", pa.int32()),
    pa.field("strategy", pa.string()), pa.field("weakness_id", pa.string()), pa.field("weakness", pa.string()),
    pa.field("parent_id", pa.string()), pa.field("shown_ids", pa.list_(pa.string())), pa.field("request_id", pa.string()),
    pa.field("prompt_version", pa.string()), pa.field("belief", pa.float64()), pa.field("edited", pa.bool_()),
])  # fmt: skip


def rows_of(chosen: Chosen) -> list[Row]:
    """Every training example with its provenance. Raises TeacherUnusable for a damaged ledger."""
    lessons = {one.id: one for one in _lesson_rows(chosen.trail, chosen.lessons, chosen.folder.ledger)}
    seen, rows = Counter[str](), list[Row]()
    for one in chosen.trained_on:
        row = _seed_row(one) if isinstance(one, Seed) else lessons[one.id]
        rows.append(row.model_copy(update={"repeat": seen[f"{row.source} {row.id}"]}))
        seen[f"{row.source} {row.id}"] += 1
    return rows


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """One Parquet file, the same bytes for the same rows."""
    table = pa.Table.from_pylist([row.model_dump() for row in rows], schema=SCHEMA)
    pq.write_table(table, path, compression="zstd")


def _seed_row(one: Seed) -> Row:
    return Row(prompt=one.prompt, answer=one.answer, source="seed", id=one.id, turns=one.turns, skill=one.skill,
               choices=one.choices)  # fmt: skip


def _lesson_rows(trail: Trail, lessons: Sequence[Lesson], ledger: Path) -> list[Row]:
    if not ledger.is_file():
        return [_lesson_row(trail, one, None) for one in lessons]
    try:
        with open_readonly(ledger) as book:
            return [_lesson_row(trail, one, _prompt_version(book, one.request_key)) for one in lessons]
    except sqlite3.DatabaseError as error:
        raise unreadable(ledger, error) from error


def _lesson_row(trail: Trail, one: Lesson, prompt_version: str | None) -> Row:
    at = next((each for each in trail.rounds if one.id in each.lessons), None)
    candidate = next((each for each in at.candidates if each.id == one.id), None) if at else None
    weakness = next((each for each in at.weaknesses if each.id == one.weakness_id), None) if at else None
    verdict = at.verdicts.get(one.id) if at else None
    return Row(
        prompt=one.prompt, answer=one.answer, source="lesson", id=one.id, skill=one.skill, choices=one.choices,
        round=one.round, strategy=one.strategy, weakness_id=one.weakness_id or None, parent_id=one.parent_id or None,
        weakness=weakness.name if weakness else None, shown_ids=one.shown_ids, request_id=one.request_key or None,
        prompt_version=prompt_version, belief=verdict.belief if verdict else None,
        edited=candidate is not None and (candidate.prompt, candidate.answer) != (one.prompt, one.answer),
    )  # fmt: skip


def _prompt_version(book: Book, key: str) -> str | None:
    entry = book.entry(key) if key else None
    if entry is None:
        return None
    system = "\n\n".join(one.content for one in entry.request.messages if one.role == "system")
    return hashlib.sha256(system.encode("utf-8", "replace")).hexdigest()[:8]
