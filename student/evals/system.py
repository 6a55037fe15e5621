"""A system message that every item of a data file begins with belongs to the task, not to its items.

In: a spec and its items, as they were read. Out: the same, with that message as the spec's `system`. So new items, which are a question
alone, are put to the student as the real ones are, and a teacher reads it once, as part of the task. A file whose items have several
such messages, or none on some, is left as it is, and so is one asked in `plain` format, which has no place for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from student.evals.cells import as_transcript
from student.evals.spec import EvalSpec
from student.records import Seed


def without_system(spec: EvalSpec, parts: Mapping[str, list[Seed]]) -> tuple[EvalSpec, dict[str, list[Seed]]]:
    """The spec with the system message that all items share, and the items without it."""
    said = {
        one.turns[0].content if one.turns and one.turns[0].role == "system" else ""
        for items in parts.values()
        for one in items
    }
    if spec.system or spec.format == "plain" or len(said) != 1 or not (system := said.pop()):
        return spec, dict(parts)
    known = {"system": system, "instruction": f"{system}\n\n{spec.instruction}".strip()}
    return spec.model_copy(update=known), {part: [_shorter(one) for one in items] for part, items in parts.items()}


def _shorter(item: Seed) -> Seed:
    """The item without its first message; a single message that is left is a question like any other."""
    prompt, turns = as_transcript(item.turns[1:])
    return item.model_copy(update={"prompt": prompt, "turns": turns})
