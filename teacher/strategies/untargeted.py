"""`untargeted`: the control. Random seeds instead of failures, the same number of requests, the same form, no aim.

If this does as well as the others, aiming was not worth it: Homeroom (github.com/rahbarahsan/Homeroom) found just that on
Banking77, and so did a first measurement here with one item at a time. Its lessons are filed under no weakness.
"""

from __future__ import annotations

from student.records import Seed, Weakness
from teacher.prompts import template
from teacher.strategies.contrast import manner
from teacher.strategies.order import Desk, Order, Want, place_order, slices


def untargeted(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """The requests for so many lessons on nothing in particular; of the weakness only its share of lessons counts."""
    orders: list[Order] = []
    for part, count in enumerate(slices(lessons, desk.settings.per_request)):
        shown = _drawn(desk, number + part)
        answers = (shown[0].answer,) * count if desk.sheet.labels else ()
        want = Want("untargeted", "", shown[0], shown, count, answers)
        aim = template("untargeted", manner=manner(desk, number + part))
        orders.append(place_order(desk, want, number + part, aim, shown))
    return orders


def _drawn(desk: Desk, number: int) -> tuple[Seed, ...]:
    """A seed, each one once before any comes twice, and others with the same answer (or skill) beside it."""
    first = desk.shuffled(desk.seeds, "untargeted")[number % len(desk.seeds)]
    kind = "answer" if desk.sheet.labels else "skill"
    others = [one for one in desk.seeds if one != first and getattr(one, kind) == getattr(first, kind)]
    return (first, *desk.shuffled(others, "beside", str(number))[: desk.settings.examples - 1])
