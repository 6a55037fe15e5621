"""What a card may call the student and the teacher, and the licences that are known: nothing that only this machine knows.

A path or a server's address is the team's business and of no use to a stranger, so only a file's or a model's name is told. A
licence is known of built-in models alone; of any other, a card says that it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.builtin import BUILTINS
from loops.run_folder import RunError, RunFolder
from loops.settings import RunSettings, TeacherSettings

TINY = "builtin:tiny"


@dataclass(frozen=True)
class Named:
    """A model as a stranger can know it."""

    name: str
    """What to call it."""
    hub: str = ""
    """Its id on the Hugging Face hub; empty where it is a file, a folder, or made here."""
    licence: str = ""
    """SPDX identifier of the licence of its weights; empty where that is not known."""
    note: str = ""
    """What else is to be known of it, as a sentence."""


def student_of(settings: RunSettings) -> Named:
    """The base model."""
    model = settings.student.model
    if model in BUILTINS:
        known = BUILTINS[model]
        note = (
            f"The base is the file {known.file_name} of this model, whose quantised weights were turned back into ordinary ones; "
            "they differ a little from the hub's own."
        )
        return Named(model, known.hub, known.licence, note)
    if model == TINY:
        return Named(model, note="The base is a toy with random weights, made by llm2llm for dry runs.")
    if is_file(model):
        return Named(Path(model).name, note="The base is a file or folder of whoever made this model.")
    return Named(model, hub=model)


def teacher_of(settings: RunSettings) -> Named | None:
    """Who wrote the lessons; None where that is not known because they were taken over, or replayed, from a run that is not there."""
    teacher = settings.teacher
    if not (former := settings.lessons_from or teacher.replay):
        return _asked(teacher)
    try:
        source, _ = RunFolder(Path(former)).load_settings()
    except RunError:
        return None
    before = teacher_of(source)
    if settings.lessons_from or not teacher.replay_then_ask or before in (None, own := _asked(teacher)):
        return before
    assert before is not None
    return Named(f"{before.name} and {own.name}")


def _asked(teacher: TeacherSettings) -> Named:
    """Who is asked."""
    if teacher.model == "scripted" and not teacher.base_url:
        return Named(
            "scripted", note="No model wrote the lessons: they were put together from seeds by rule, for a dry run."
        )
    if teacher.base_url:
        return Named(teacher.model, note="It answered behind an OpenAI-compatible server.")
    if teacher.model in BUILTINS:
        return Named(teacher.model, BUILTINS[teacher.model].hub, BUILTINS[teacher.model].licence)
    return Named(Path(teacher.model).name if is_file(teacher.model) else teacher.model)


def is_file(model: str) -> bool:
    """Whether a model's name is a path on the machine of whoever made the run."""
    return model.startswith(("/", ".", "~")) or model.endswith(".gguf") or "\\" in model
