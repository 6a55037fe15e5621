"""`contrast`: the teacher sees what the student got wrong **and what it said instead**, and writes on both sides of that.

Where labels are fixed, a third of a confusion's lessons have the label that the student said by mistake, so that a
lesson about one side does not simply push the boundary over. Requests rotate through the failures of a weakness and
through manners of writing, a few items a request.
"""

from __future__ import annotations

from student.records import Failure, Weakness
from teacher.prompts import template
from teacher.strategies.order import Desk, Order, Want, place_order, rotate, slices
from teacher.strategies.voices import MANNERS


def contrast(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """The requests for so many lessons on one weakness; `number` is how many of its requests come before."""
    orders: list[Order] = []
    for part, (other, count) in enumerate(sides(desk, weakness, lessons)):
        shown = rotate(weakness.failures, part, desk.settings.examples)
        want = wanted(desk, "contrast", weakness, shown, (other, count))
        aim = template(_words(desk, shown[0]), **boundary(shown[0], other), manner=manner(desk, number + part))
        orders.append(place_order(desk, want, number + part, aim, shown))
    return orders


def _words(desk: Desk, first: Failure) -> str:
    """Which prompt says what went wrong."""
    if not desk.sheet.labels:
        return "contrast_choice" if first.seed.choices else "contrast_answer"
    return "contrast_label" if is_confused(desk, first) else "contrast_unsure"


def boundary(first: Failure, other: bool) -> dict[str, str]:
    """The two labels, and which of them the new items must not be."""
    right, wrong = first.seed.answer, first.wrong_answer
    return {"right": right, "wrong": wrong, "avoided": right if other else wrong}


def wanted(desk: Desk, strategy: str, weakness: Weakness, shown: tuple[Failure, ...], part: tuple[bool, int]) -> Want:
    """What a request for one side of a weakness is to bring. `part`: whether it is the other side, and how many."""
    other, count = part
    answer = shown[0].wrong_answer if other else shown[0].seed.answer
    answers = (answer,) * count if desk.sheet.labels else ()
    return Want(strategy, weakness.id, shown[0].seed, tuple(one.seed for one in shown), count, answers)


def sides(desk: Desk, weakness: Weakness, lessons: int) -> list[tuple[bool, int]]:
    """(whether it is about the label said by mistake, how many items) of each request."""
    most = desk.settings.per_request
    both = bool(desk.sheet.labels) and all(is_confused(desk, one) for one in weakness.failures)
    other = int(lessons * desk.settings.other_side) if both else 0
    if other < most // 2:
        other = 0  # a request for one item costs nearly as much as for four
    return [
        *((False, count) for count in slices(lessons - other, most)),
        *((True, count) for count in slices(other, most)),
    ]


def is_confused(desk: Desk, failure: Failure) -> bool:
    """Whether the student said another of the labels."""
    return failure.wrong_answer in desk.sheet.labels and failure.wrong_answer != failure.seed.answer


def manner(desk: Desk, number: int) -> str:
    """How the items of a request are to be written."""
    return MANNERS[(number + desk.round) % len(MANNERS)]
