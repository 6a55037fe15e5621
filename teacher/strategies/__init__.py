"""The strategies, by name: each turns a weakness and a number of lessons into requests, or into lessons by rule.

`contrast` sees the wrong answer and writes on both sides of it; `skill` writes from the whole weakness in many voices; `taxonomy`
grows the nearest leaves of an InstructLab tree; `errors` puts in errors on purpose; `paper` is LLM2LLM as published;
`style` shows real items as if the teacher had written them and gives every new one its first words; `untargeted` is the control;
`rephrase` needs no teacher. `generate.mix` weighs them.
"""

from __future__ import annotations

from collections.abc import Callable

from student.records import Weakness
from teacher.strategies.contrast import contrast
from teacher.strategies.errors import errors
from teacher.strategies.order import Desk, Order
from teacher.strategies.paper import paper
from teacher.strategies.skill import skill
from teacher.strategies.style import style
from teacher.strategies.taxonomy import taxonomy
from teacher.strategies.untargeted import untargeted

Strategy = Callable[[Desk, Weakness, int, int], list[Order]]
"""Told the weakness, how many lessons, and how many requests of its own come before; writes the next."""

STRATEGIES: dict[str, Strategy] = {
    "contrast": contrast, "skill": skill, "taxonomy": taxonomy, "errors": errors, "paper": paper,
    "style": style, "untargeted": untargeted,
}  # fmt: skip
"""Those that ask a teacher; `rephrase` does not."""
