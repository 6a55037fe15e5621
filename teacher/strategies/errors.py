"""`errors`: deliberate error insertion, for tasks about finding or putting right errors.

Writing a right text is easy and breaking it in one named way is too; finding what is broken is hard. So the teacher writes
a right text in the manner of real ones, then the same text with one error of a kind we name, and the answer is known: the right
text, or (`generate.error_answer: kind`) the kind. An item whose two texts are the same holds no error and is left out.
"""

from __future__ import annotations

from student.records import Weakness
from teacher.prompts import conversation, template
from teacher.strategies.order import Desk, Order, Want, aims, opening, request, rotate, row, schema, slices
from teacher.strategies.voices import TOPICS


def errors(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """The requests for so many lessons on one weakness; `number` is how many of its requests come before."""
    as_kind = desk.settings.error_answer == "kind"
    kinds = _kinds(desk, weakness)
    orders: list[Order] = []
    for part, count in enumerate(slices(lessons, desk.settings.per_request)):
        shown = rotate(weakness.failures, part, desk.settings.examples)
        first = (number + part) * desk.settings.per_request
        chosen = tuple(kinds[(first + at) % len(kinds)] for at in range(count))
        seeds = tuple(one.seed for one in shown)
        want = Want("errors", weakness.id, seeds[0], seeds, count, chosen if as_kind else ())
        user = template("errors_kind" if as_kind else "errors", count=str(count), noun=desk.sheet.noun)
        topics = [TOPICS[(first + at + desk.round) % len(TOPICS)] for at in range(count)]
        write = [{"error": kind, "topic": topic} for kind, topic in zip(chosen, topics, strict=True)]
        data = {"real": [row(one) for one in shown], **aims(weakness), "write": write, "lessons": count}
        messages = conversation(opening(desk), user, data)
        orders.append(Order(request(desk, want, number + part, messages, schema("error", count)), want, "error"))
    return orders


def _kinds(desk: Desk, weakness: Weakness) -> list[str]:
    """Kinds of error in turn: those of the settings, or the answers of the eval set, the weakness's own first."""
    if desk.settings.error_answer == "correction":
        return [kind for kind in desk.settings.error_kinds if kind.strip()]
    own = [one.seed.answer for one in weakness.failures]
    return list(dict.fromkeys([*own, *sorted({one.answer for one in desk.seeds})]))
