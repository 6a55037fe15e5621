"""`taxonomy`: grows the leaves of an InstructLab taxonomy that lie nearest to a weakness (LAB, arXiv 2403.01081).

The teacher sees a leaf (where it stands, what it is about, some of its seed examples) and real items of the task, and
writes items of the task on the leaf's ground, where the student is weak. Leaves take turns, and so do their examples.
"""

from __future__ import annotations

from typing import Any

from student.records import Weakness
from teacher.prompts import template
from teacher.strategies.contrast import sides, wanted
from teacher.strategies.order import Desk, Order, aims, clip, place_order, rotate
from teacher.taxonomy import Leaf, nearest_leaves

LEAVES = 3
"""How many leaves one weakness makes grow."""
LONGEST = 600
"""Characters of a leaf's context, question or answer that are shown."""


def taxonomy(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """The requests for so many lessons on one weakness; `number` is how many of its requests come before."""
    leaves = nearest_leaves(desk.leaves, _about(weakness), LEAVES)
    orders: list[Order] = []
    for part, (other, count) in enumerate(sides(desk, weakness, lessons)):
        shown = rotate(weakness.failures, part, desk.settings.examples)
        want = wanted(desk, "taxonomy", weakness, shown, (other, count))
        turn = number + part + desk.round
        data = {**aims(weakness), "leaf": _leaf(leaves[turn % len(leaves)], turn, desk.settings.examples)}
        orders.append(place_order(desk, want, number + part, template("taxonomy"), want.shown, data))
    return orders


def _about(weakness: Weakness) -> str:
    questions = [f"{one.seed.prompt} {one.seed.answer}" for one in weakness.failures]
    return " ".join([weakness.name, weakness.skill, weakness.wrong_move, *questions])


def _leaf(leaf: Leaf, turn: int, most: int) -> dict[str, Any]:
    """The leaf as data, with another handful of its examples each turn."""
    start = turn * most % len(leaf.examples)
    shown = [*leaf.examples[start:], *leaf.examples[:start]][:most]
    rows = [{key: clip(text, LONGEST) for key, text in one.model_dump().items() if text} for one in shown]
    return {"place": leaf.path, "about": clip(leaf.about, LONGEST), "examples": rows}
