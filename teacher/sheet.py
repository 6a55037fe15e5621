"""What the teacher is told about the task: a plain record, filled by the loop from the eval set."""

from __future__ import annotations

from student.records import Record


class TaskSheet(Record):
    """The task as one would explain it to a person."""

    task: str
    """The instruction, with every label and its description where labels are fixed."""
    noun: str
    """What one item is called: ticket, question, review."""
    labels: tuple[str, ...] = ()
    """The fixed labels; empty where answers are written."""
    answer_tokens: int = 160
    """For written answers: how long the teacher's own answer may be."""
