"""What the teacher is told about the task: a plain record, filled by the loop from the eval set."""

from __future__ import annotations

from pydantic import Field

from student.records import Record

ANSWER_TOKENS = 160
"""How long a teacher's own answer may be, where the task does not say that answers are longer."""


class TaskSheet(Record):
    """The task as one would explain it to a person."""

    task: str
    """The instruction, with every label and its description where labels are fixed."""
    noun: str
    """What one item is called: ticket, question, review."""
    labels: tuple[str, ...] = ()
    """The fixed labels; empty where answers are written, and where every item has choices of its own."""
    meanings: dict[str, str] = Field(default={})
    """What belongs to each label, said again where a request names one; empty where that is not known."""
    own_choices: bool = False
    """Whether every item has choices of its own."""
    answer_tokens: int = ANSWER_TOKENS
    """For written answers: how long the teacher's own answer may be."""
