"""`style`: lessons that read as the real items do, aimed at a weakness.

Told of topics and manners, a small teacher still writes what it always writes ("What is the name of ..."), and such lessons teach little
even where they are right (docs/evidence.md). So it is shown, not told. Where labels are fixed, exchanges stand before each request in
which real items are the reply, a label each, the same ones for a whole run so that servers can cache them; and every new item is
given its first words: those of a real item of its label, the failures of the weakness first, and of an item that is shown the first
one only: given more, a small teacher writes that item down again. As with `contrast`, a third of a confusion's lessons are of the label
that the student said by mistake. Where answers are not labels, first words say nothing about them: then real items are shown beside
the failure, and the request is to write like them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice

from student.records import Failure, Seed, Weakness, text_hash
from teacher.prompts import conversation, plain_json, template
from teacher.requests import Message
from teacher.strategies.contrast import sides, wanted
from teacher.strategies.order import Desk, Order, place_order, request, rotate, schema
from teacher.strategies.skill import style_seeds

SHOWN = 3
"""Labels of which real items are shown as replies: those with most."""
ITEMS = 6
"""Real items of each, at most."""
LONGEST = 3000
"""Characters of all of them at most: with the reply's own they have to fit a small teacher's context, and every request pays for them."""
TIMES = 2
"""Times `generate.per_request` items in one request: with first words of their own they differ all the same, and what stands before
them is paid for once."""
WORDS = 2
"""First words that a new item is given."""


def style(desk: Desk, weakness: Weakness, lessons: int, number: int) -> list[Order]:
    """The requests for so many lessons on one weakness; `number` is how many of its requests come before."""
    if not desk.sheet.labels:
        return [_written(desk, weakness, part, number + at) for at, part in enumerate(sides(desk, weakness, lessons))]
    twice = desk.settings.model_copy(update={"per_request": TIMES * desk.settings.per_request})
    parts = sides(replace(desk, settings=twice), weakness, lessons)
    return [_labelled(desk, weakness, part, number + at) for at, part in enumerate(parts)]


def _labelled(desk: Desk, weakness: Weakness, part: tuple[bool, int], number: int) -> Order:
    """One request for new items of one label. `part`: whether it is the label said by mistake, and how many items."""
    want = wanted(desk, "style", weakness, rotate(weakness.failures, number, 1), part)
    shown = exchanges(desk)
    begin = beginnings(desk, weakness.failures, want.answers[0], shown.get(want.answers[0], ()), number, want.count)
    want = replace(want, shown=tuple(seed for seeds in shown.values() for seed in seeds))
    system = Message(role="system", content=template("style", task=desk.sheet.task, noun=desk.sheet.noun))
    before = [message for answer, seeds in shown.items() for message in _exchange(desk, answer, seeds)]
    messages = (system, *before, _asking(desk, want.answers[0], want.count, begin))
    asked = request(desk, want, number, messages, schema("text", want.count))
    return Order(asked, want, "text", desk.sheet.labels)


def exchanges(desk: Desk) -> dict[str, list[Seed]]:
    """The real items that are shown as replies, by label, as many as `LONGEST` has room for; no two of a label begin alike."""
    pool: dict[str, dict[str, Seed]] = {}
    spaced = [one for one in desk.seeds if opening(one.prompt)] or desk.seeds
    for seed in sorted(spaced, key=lambda one: text_hash("shown as a reply", str(desk.seed), one.id)):
        pool.setdefault(seed.answer, {}).setdefault(opening(seed.prompt).casefold(), seed)
    most = sorted(pool, key=lambda answer: (-len(pool[answer]), answer))[:SHOWN]
    sizes = [(SHOWN, each) for each in range(ITEMS, 0, -1)] + [(labels, 1) for labels in range(SHOWN - 1, 0, -1)]
    for labels, each in sizes:
        chosen = {answer: [*pool[answer].values()][:each] for answer in most[:labels]}
        if sum(len(seed.prompt) for seeds in chosen.values() for seed in seeds) <= LONGEST:
            return chosen
    return {}


def beginnings(
    desk: Desk, failures: Sequence[Failure], answer: str, shown: Sequence[Seed], number: int, count: int
) -> list[str]:  # fmt: skip
    """The first words of `count` new items of a label, from its real ones; nothing where texts set no spaces.

    Failures first; one word of an item that is shown as a reply. Where more are wanted than begin differently, one word of the others,
    too, and then over again. Another handful for each `number`.
    """
    failed = [one.seed for one in failures if one.seed.answer == answer]
    others = desk.shuffled([one for one in desk.seeds if one.answer == answer and one not in failed], "models")
    real = [*failed, *others] or [failures[0].seed]  # a label without a seed: any first words will do
    short = {one.id: opening(one.prompt).split(" ")[0] for one in real}
    words = [*(short[one.id] if one in shown else opening(one.prompt) for one in real), *short.values()]
    different: dict[str, str] = {}
    for one in filter(None, words):
        different.setdefault(one.casefold(), one)
    pool = [*different.values()]
    start = number * count % len(pool) if pool else 0
    return list(islice(cycle([*pool[start:], *pool[:start]]), count))


def opening(text: str) -> str:
    """A text's first words; nothing where it has hardly more, or sets no spaces."""
    words = text.split()
    return " ".join(words[:WORDS]) if len(words) > WORDS + 1 else ""


def _exchange(desk: Desk, answer: str, seeds: Sequence[Seed]) -> tuple[Message, Message]:
    """A request, and real items as the reply."""
    reply = plain_json({"items": [seed.prompt for seed in seeds]})
    begin = [words for seed in seeds if (words := opening(seed.prompt))]
    return _asking(desk, answer, len(seeds), begin), Message(role="assistant", content=reply)


def _asking(desk: Desk, answer: str, count: int, begin: Sequence[str]) -> Message:
    """The request for new items of a label that begin with these words."""
    meaning = f" ({told})" if (told := desk.sheet.meanings.get(answer)) else ""
    words = {"count": str(count), "noun": desk.sheet.noun, "answer": answer, "meaning": meaning}
    data = {"answer": answer, "begin": [*begin]} if begin else {"answer": answer}
    asked = template("style_begin" if begin else "style_label", **words)
    return conversation("", asked, {**data, "lessons": count})[1]


def _written(desk: Desk, weakness: Weakness, part: tuple[bool, int], number: int) -> Order:
    """One request for new items with answers that are not labels."""
    failure = rotate(weakness.failures, number, 1)
    want = wanted(desk, "style", weakness, failure, part)
    shown = tuple(dict.fromkeys([failure[0].seed, *style_seeds(desk, want, number)]))
    return place_order(desk, replace(want, shown=shown), number, template("style_written"), shown)
