"""How the right answer to an item may have to be written so that a task's own scorer takes it.

A task says what is right (`B`), its scorer says what an answer looks like (`ANSWER: B`), and a student has to learn the
second. The forms are tried on the scorer itself; the first that scores fully is what the student is taught.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from student.evals.template import Template
from student.evals.trouble import BadCell

FORMS = (
    "{}", "ANSWER: {}", "Answer: {}", "The answer is {}.", "The answer is {}", "#### {}", "\\boxed{{}}",
    "<answer>{}</answer>", "({})",
)  # fmt: skip


def forms(target: str, template: Template | None, columns: Mapping[str, Any]) -> list[str]:
    """What to try for one item, best first. A person's own template over the item's columns comes alone."""
    if template is None:
        return [form.replace("{}", target, 1) for form in FORMS] if target.strip() else []
    try:
        return [template.render(columns)]
    except BadCell:
        return []
