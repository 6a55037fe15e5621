"""The records that cross rooms: what a student is asked, what it answered, and what a teacher wrote for it.

Every record is frozen and validated, travels as one JSON line, and holds plain values only. A labelled item exists
in two types that share no base class: a `Seed` may be trained on and shown to a teacher; a `HeldOutItem` may only be
examined. No function that builds a prompt accepts a `HeldOutItem`, so the type checker keeps promise 5.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["right", "wrong", "truncated", "malformed"]
Split = Literal["mine", "select", "test"]


class Record(BaseModel):
    """A frozen, strict value that is one line of JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Turn(Record):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    """Who speaks."""
    content: str
    """What is said, as plain text."""


class Question(Record):
    """What a student is asked, without the answer."""

    prompt: str
    """The question's text."""
    turns: tuple[Turn, ...] = ()
    """The question as chat messages, the last one the user's; empty where `prompt` is all of it."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; empty where the answer is generated."""


class Example(Record):
    """One thing to learn: a question and its answer."""

    prompt: str
    """The question, before framing."""
    answer: str
    """What the student should say."""
    turns: tuple[Turn, ...] = ()
    """The question as chat messages, the last one the user's; empty where `prompt` is all of it."""
    real: bool = True
    """A labelled item of the team's own; False for a lesson."""


class Seed(Record):
    """A labelled item of `mine`: trained on, mined for failures, and shown to the teacher."""

    id: str
    """Stable: a hash of the text, or the team's own id."""
    prompt: str
    """The question as the eval set gives it, before any chat template."""
    answer: str
    """The right answer: a label, or the text the student should produce."""
    skill: str = ""
    """What the item exercises; the label itself where labels are fixed."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; empty where the answer is generated."""
    turns: tuple[Turn, ...] = ()
    """The question as chat messages, the last one the user's; empty where `prompt` is all of it."""


class HeldOutItem(Record):
    """A labelled item of `select` or `test`: examined, and nothing else."""

    id: str
    """Stable: a hash of the text, or the team's own id."""
    prompt: str
    """The question as the eval set gives it, before any chat template."""
    answer: str
    """The right answer: a label, or the text the student should produce."""
    skill: str = ""
    """What the item exercises; the label itself where labels are fixed."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; empty where the answer is generated."""
    turns: tuple[Turn, ...] = ()
    """The question as chat messages, the last one the user's; empty where `prompt` is all of it."""


Item = Seed | HeldOutItem


class Attempt(Record):
    """One answer of one student to one item, scored."""

    item_id: str
    """The item that was asked."""
    output: str
    """What the student said: the chosen answer, or the generated text."""
    outcome: Outcome
    """Truncated and malformed are told apart from wrong: they are met by length and format, not by lessons."""
    score: float
    """0 to 1 by the eval set's scorer."""
    margin: float | None = None
    """Natural-log odds of the right choice over the best other one; None where answers are generated."""

    @property
    def right(self) -> bool:
        return self.outcome == "right"


class Failure(Record):
    """A seed the student got wrong, with what it said instead."""

    seed: Seed
    """The item, with its right answer."""
    wrong_answer: str
    """The student's answer, as the teacher will see it."""
    margin: float | None = None
    """Natural-log odds of the right choice over the best other one; None where answers are generated."""
    barely: bool = False
    """It was right, but by so little that it counts as something to teach."""


class Weakness(Record):
    """A named group of failures and its share of the round's lesson budget."""

    id: str
    """Unique within a run, for example `001-03`."""
    name: str
    """What goes wrong, for a person: `account taken for permission`."""
    failures: tuple[Failure, ...]
    """Its members, the ones to teach from first; none for the part of a round's lessons that has no aim."""
    lessons: int
    """How many candidates the teacher is asked for."""
    skill: str = ""
    """The skill or label its members have in common; empty when they differ."""
    wrong_move: str = ""
    """What the student typically does instead of the right thing, for a person and for the teacher."""


class Candidate(Record):
    """An item as the teacher wrote it, before curation."""

    id: str
    """Hash of the request key and the position in its reply."""
    prompt: str
    """The new question."""
    answer: str
    """The answer the teacher gives for it."""
    skill: str = ""
    """Carried over from the parent unless the teacher names another."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; empty where the answer is generated."""
    round: int
    """The teaching round it was written in, from 1."""
    weakness_id: str
    """The weakness it is aimed at."""
    parent_id: str
    """The seed whose failure it was written for."""
    strategy: str
    """The name of the generation strategy."""
    request_key: str
    """The ledger key of the request whose reply holds it."""
    shown_ids: tuple[str, ...] = ()
    """The seeds whose text stood in the prompt it was written from."""


class Verdict(Record):
    """What curation decided about one candidate, and why."""

    candidate_id: str
    """The candidate judged."""
    accepted: bool
    """Whether it became a lesson."""
    reason: str
    """`accepted`, or the short name of the check that rejected it: `duplicate`, `answer-disagrees`, ..."""
    detail: str = ""
    """What the check saw, for a person."""
    witnesses: dict[str, str] = Field(default_factory=dict)
    """What each witness said the answer is: the teacher asked afresh, the nearest seeds, the student."""
    belief: float | None = None
    """Probability, 0 to 1, that the intended answer is right given the witnesses; None where none was asked."""


class Lesson(Record):
    """A candidate that passed curation: synthetic training data."""

    id: str
    """The candidate's id."""
    prompt: str
    """The question."""
    answer: str
    """The answer."""
    skill: str = ""
    """The skill it exercises."""
    choices: tuple[str, ...] = ()
    """The answers to choose from; empty where the answer is generated."""
    round: int
    """The teaching round it was accepted in."""
    weakness_id: str
    """The weakness it is aimed at."""
    parent_id: str
    """The seed whose failure it was written for."""
    strategy: str
    """The name of the generation strategy."""
    request_key: str
    """The ledger key of the request whose reply holds it."""
    shown_ids: tuple[str, ...] = ()
    """The seeds whose text stood in the prompt it was written from."""


R = TypeVar("R", bound=Record)


def text_hash(*parts: str) -> str:
    """A stable 16-hex-digit name for a text; parts are joined unambiguously."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def read_records(path: Path, kind: type[R]) -> list[R]:
    """All records of a JSON Lines file, in order. Raises pydantic's ValidationError on a line of another shape."""
    lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: a text may hold U+2028
    return [kind.model_validate_json(line) for line in lines if line]


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Replace `path` by these records, one JSON line each, in one atomic and durable step."""
    write_text(path, "".join(record.model_dump_json() + "\n" for record in records))


def write_json(path: Path, value: object) -> None:
    """Replace `path` by `value` as indented JSON with sorted keys, in one atomic and durable step."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write beside `path`, fsync, rename over it, fsync the folder: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with draft.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
