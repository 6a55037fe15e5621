"""`errors`: deliberate error insertion, for tasks about finding or putting right errors.

Writing a right text is easy and breaking it in one named way is too; finding what is broken is hard. So the teacher writes
a right text in the manner of real ones, then the same text with one error of a kind we name, and the answer is known: the right
text, or (`generate.error_answer: kind`) the kind. An item whose two texts are the same holds no error and is left out.
Corrections: the real ones are shown in the form the reply is to have, which a small teacher follows better than a description; and
where the teacher has named what the student lacks, that is the kind of error that is put in.
"""

from __future__ import annotations

from student.records import Seed, Weakness
from teacher.prompts import conversation, template
from teacher.strategies.order import (
    STAND_IN,
    Desk,
    Order,
    Want,
    aims,
    demonstrated,
    demonstration,
    opening,
    request,
    rotate,
    row,
    schema,
    slices,
)
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
        real = [row(one) if as_kind else _pair(one.seed) for one in shown]
        data = {"real": real, **aims(weakness), "write": write, "lessons": count}
        messages = conversation(opening(desk), user, data)
        if not as_kind and (pair := demonstration(desk)):
            said = template("errors", count="1", noun=desk.sheet.noun)
            first_of = {"real": [_pair(pair[0])], **aims(weakness), "write": write[:1], "lessons": 1}
            want, messages = demonstrated(want, messages, pair, conversation("", said, first_of)[1], _pair(pair[1]))
        orders.append(Order(request(desk, want, number + part, messages, schema("error", count)), want, "error"))
    return orders


def _pair(seed: Seed) -> dict[str, str]:
    """A real item as the two texts that a reply gives."""
    return {"correct": seed.answer, "question": seed.prompt}


def _kinds(desk: Desk, weakness: Weakness) -> list[str]:
    """Kinds of error in turn. Corrections: the weakness, where it has a name of its own, else those of the settings.

    Where the kind is the answer: the answers of the eval set, the weakness's own first.
    """
    if desk.settings.error_answer == "correction":
        named = weakness.name and not weakness.name.endswith(STAND_IN)
        return [weakness.name] if named else [kind for kind in desk.settings.error_kinds if kind.strip()]
    own = [one.seed.answer for one in weakness.failures]
    return list(dict.fromkeys([*own, *sorted({one.answer for one in desk.seeds})]))
