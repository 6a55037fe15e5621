"""`skill`: the teacher writes from a whole weakness, not from one item: what it is, the wrong move, and how items look.

Real items of that label or skill are shown for their style only, and every item asked for has a voice of its own: who
writes, on which topic, how and how long (`voices`). Spread is the point: see EvalTree (arXiv 2503.08893), where lessons
by weak skill beat untargeted ones at equal count and with less variance.
"""

from __future__ import annotations

from dataclasses import replace

from student.records import Seed, Weakness
from teacher.prompts import template
from teacher.strategies.contrast import boundary, is_confused, sides, wanted
from teacher.strategies.order import Desk, Order, Want, aims, place_order, rotate
from teacher.strategies.voices import voice


def skill(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """The requests for so many lessons on one weakness; `number` is how many of its requests come before."""
    orders: list[Order] = []
    for part, (other, count) in enumerate(sides(desk, weakness, lessons)):
        first = rotate(weakness.failures, part, 1)
        want = wanted(desk, "skill", weakness, first, (other, count))
        style = style_seeds(desk, want, number + part)
        place = (number + part) * desk.settings.per_request
        voices = [voice(place + at, str(desk.seed), str(desk.round)) for at in range(count)]
        lines = "\n".join(template("skill_voice", number=str(at), **each) for at, each in enumerate(voices, 1))
        words = "skill_label" if is_confused(desk, first[0]) else "skill"
        want, aim = replace(want, shown=style), template(words, **boundary(first[0], other), voices=lines)
        orders.append(place_order(desk, want, number + part, aim, style, aims(weakness)))
    return orders


def style_seeds(desk: Desk, want: Want, number: int) -> tuple[Seed, ...]:
    """Real items like those wanted: of the label asked for, else of the parent's skill; another handful each time."""
    pool = desk.seeds or (want.parent,)
    if want.answers:
        alike = [one for one in pool if one.answer == want.answers[0]]
    else:
        alike = [one for one in pool if one.skill == want.parent.skill]
    return tuple(desk.shuffled(alike or pool, "style", str(number))[: desk.settings.examples])
