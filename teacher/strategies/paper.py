"""`paper`: LLM2LLM as published (arXiv 2403.15042), to compare with and to come from.

One request for each failure asks for one similar new item. The teacher sees the item and its right answer, and **not**
what the student said. As in the paper's prompts there are rules first, then one worked example (here two seeds of the
same label or skill, the second standing in for what a teacher would write), then the failed item.
"""

from __future__ import annotations

from student.records import Seed, Weakness
from teacher.prompts import conversation, template
from teacher.strategies.order import (
    Desk,
    Form,
    Order,
    Want,
    demonstrated,
    demonstration,
    form_of,
    request,
    rotate,
    row,
    schema,
)


def paper(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """One request a lesson, through the failures of the weakness in turn."""
    pair = demonstration(desk)
    rules = template("paper", task=desk.sheet.task, noun=desk.sheet.noun)
    orders: list[Order] = []
    for part in range(lessons):
        parent = rotate(weakness.failures, part, 1)[0].seed
        answers = (parent.answer,) if desk.sheet.labels else ()
        want = Want("paper", weakness.id, parent, (parent,), 1, answers)
        form, choices = form_of(desk, want)
        said = template("paper_item", noun=desk.sheet.noun, reply=template(f"paper_{form}"))
        messages = conversation(rules, said, _data(parent, form))
        if pair:
            asked = conversation("", said, _data(pair[0], form))[1]
            want, messages = demonstrated(want, messages, pair, asked, _written(pair[1], form))
        asked = request(desk, want, number + part, messages, schema(form, 1, choices))
        orders.append(Order(asked, want, form, choices))
    return orders


def _data(seed: Seed, form: Form) -> dict[str, object]:
    return {"real": [row(seed, form in ("choice", "pick"))], "lessons": 1}


def _written(seed: Seed, form: Form) -> str | dict[str, object]:
    """A seed as if a teacher had written it."""
    if form == "text":
        return seed.prompt
    wrong = [choice for choice in seed.choices if choice != seed.answer]
    extra = {"wrong_choices": wrong} if form == "choice" else {}
    return {"question": seed.prompt, "answer": seed.answer, **extra}
