"""One request for lessons: what it is to bring, how it is put, and what its candidates will be filed under.

A strategy says what it wants (`Want`) and in words of its own why (`aim`); the form of the reply follows from the task.
Where labels are fixed the request names the answer and the reply carries texts only; where answers are written it
carries both; where every item has choices of its own, the teacher gives the right answer and the wrong ones apart, so
that the right one is always among them and nobody learns its place. All requests of a run share their system message. Where
answers are written, one exchange stands before the request, with two real items, the second as if a teacher had written it: small
teachers that were only told the form gave the words of the prompt back as items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from student.records import Failure, Seed, Weakness, text_hash
from teacher.prompts import conversation, plain_json, template
from teacher.requests import Message, Request
from teacher.sheet import TaskSheet
from teacher.strategies.settings import GenerateSettings
from teacher.taxonomy import Leaf

Form = Literal["text", "answer", "pick", "choice", "error"]
"""Texts for a given answer; texts with answers; with one of the same choices; with choices of their own; with an error."""
Items = Sequence[Seed | Failure]
NONE: Mapping[str, Any] = {}
STAND_IN = (" wrong", " missed")
"""How a weakness's name ends where the eval set's skill stands in for a name of its own."""
LONGEST_WRONG = 500
"""Characters of a student's wrong answer that are shown: enough to see what it did."""

BYTES = 3
"""Of a text, for one token: most tokenizers need fewer tokens, which leaves room for items longer than the real ones."""
ROOM = 1000
"""Tokens of one item at most, however long the real ones are: more does not fit into a local teacher's context."""


@dataclass(frozen=True)
class Desk:
    """What every strategy works with in one round."""

    sheet: TaskSheet
    """The task."""
    seeds: tuple[Seed, ...]
    """The items that may be shown, by id."""
    settings: GenerateSettings
    """How lessons are asked for."""
    round: int
    """The teaching round, from 1."""
    seed: int
    """Fixes every draw."""
    leaves: tuple[Leaf, ...] = ()
    """For the strategy `taxonomy`: the tree's leaves."""

    def shuffled(self, seeds: Sequence[Seed], *about: str) -> list[Seed]:
        """These seeds in an order that depends on nothing but the run's seed, the round and what it is about."""
        return sorted(seeds, key=lambda one: text_hash(str(self.seed), str(self.round), *about, one.id))


@dataclass(frozen=True)
class Want:
    """What one request is to bring."""

    strategy: str
    """Which strategy asks."""
    weakness_id: str
    """What it is aimed at; empty for lessons without aim."""
    parent: Seed
    """The seed whose failure it is for."""
    shown: tuple[Seed, ...]
    """Every seed whose text stands in the prompt."""
    count: int
    """How many items are asked for."""
    answers: tuple[str, ...] = ()
    """The answer each item must have, in order; empty where the teacher gives them."""


@dataclass(frozen=True)
class Order:
    """One request for lessons, and what its candidates will be filed under."""

    request: Request
    """What is sent."""
    want: Want
    """What it is to bring."""
    form: Form
    """How an item stands in the reply."""
    choices: tuple[str, ...] = ()
    """The choices all its items have; empty where there are none or the teacher writes them."""

    @property
    def count(self) -> int:
        """How many items are asked for."""
        return self.want.count


def form_of(desk: Desk, want: Want) -> tuple[Form, tuple[str, ...]]:
    """How items stand in the reply, and the choices they all have."""
    if desk.sheet.labels:
        return "text", desk.sheet.labels
    choices = want.parent.choices
    if not choices:
        return "answer", ()
    alike = all(one.choices == choices for one in (*desk.seeds, *want.shown))
    return ("pick", choices) if alike else ("choice", ())


def place_order(desk: Desk, want: Want, number: int, aim: str, items: Items, data: Mapping[str, Any] = NONE) -> Order:
    """The order for `want`. `number` counts the strategy's requests; `aim` is worded by us, `data` by others."""
    form, choices = form_of(desk, want)
    words = {"count": str(want.count), "noun": desk.sheet.noun, "aim": aim}
    given: dict[str, Any] = {"real": [row(one, form == "choice") for one in items], **data}
    if form == "text":
        words["answer"] = given["answer"] = want.answers[0]
        words["meaning"] = f" ({meaning})" if (meaning := desk.sheet.meanings.get(want.answers[0])) else ""
    if form == "pick":
        given["choices"] = list(choices)
    messages = conversation(opening(desk), template(f"ask_{form}", **words), {**given, "lessons": want.count})
    if form == "answer" and (pair := demonstration(desk)):
        said = template("ask_answer", count="1", noun=desk.sheet.noun, aim=template("untargeted", manner="plain"))
        asked = conversation("", said, {"real": [row(pair[0])], "lessons": 1})[1]
        want, messages = demonstrated(
            want, messages, pair, asked, {"question": pair[1].prompt, "answer": pair[1].answer}
        )
    return Order(request(desk, want, number, messages, schema(form, want.count, choices)), want, form, choices)


def demonstration(desk: Desk) -> tuple[Seed, ...]:
    """Two seeds of the same answer, else of the same skill; the same ones for a whole run, so that servers can cache what shows them."""
    for field in ("answer", "skill"):
        first: dict[str, Seed] = {}
        for one in desk.seeds:
            mate = first.setdefault(getattr(one, field), one)
            if mate is not one:
                return mate, one
    return ()


def demonstrated(
    want: Want, messages: tuple[Message, ...], pair: tuple[Seed, ...], asked: Message, item: str | Mapping[str, Any]
) -> tuple[Want, tuple[Message, ...]]:
    """The conversation with an exchange before its request: `asked`, and a reply of one `item`. Its seeds count as shown."""
    reply = Message(role="assistant", content=plain_json({"items": [item]}))
    shown = (*want.shown, *(one for one in pair if one not in want.shown))
    return replace(want, shown=shown), (messages[0], asked, reply, *messages[1:])


def opening(desk: Desk) -> str:
    """The system message: the task first, the same for every request of a run."""
    return template("lessons", task=desk.sheet.task, noun=desk.sheet.noun)


def request(
    desk: Desk, want: Want, number: int, messages: tuple[Message, ...], json_schema: dict[str, Any]
) -> Request:  # fmt: skip
    """A request to write, whatever is asked."""
    return Request(
        purpose="write", messages=messages, json_schema=json_schema, temperature=desk.settings.temperature,
        max_tokens=room(desk, want) * want.count + 20, seed=desk.seed + 1000 * desk.round + number,
        tag=want.strategy,
    )  # fmt: skip


def room(desk: Desk, want: Want) -> int:
    """Tokens for one item of a reply: as the settings say, and more where the real ones shown are longer than that."""
    parts = [(one.prompt,) if desk.sheet.labels else (one.prompt, one.answer, *one.choices) for one in want.shown]
    longest = max((sum(len(text.encode()) for text in each) for each in parts), default=0)
    return max(desk.settings.tokens_per_lesson, min(ROOM, longest // BYTES))


def schema(form: Form, count: int, choices: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON Schema of a reply."""
    text: dict[str, Any] = {"type": "string"}
    fields: dict[Form, dict[str, Any]] = {
        "answer": {"question": text, "answer": text},
        "pick": {"question": text, "answer": {"type": "string", "enum": list(choices)}},
        "choice": {"question": text, "answer": text, "wrong_choices": {"type": "array", "items": text, "minItems": 1}},
        "error": {"correct": text, "question": text},
    }
    item = text if form == "text" else _object(fields[form])
    return _object({"items": {"type": "array", "items": item, "minItems": count, "maxItems": count}})


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def row(one: Seed | Failure, with_choices: bool = False) -> dict[str, Any]:
    """A real item as the teacher sees it; of a failure also what the student said instead."""
    seed = one.seed if isinstance(one, Failure) else one
    choices = {"choices": list(seed.choices)} if with_choices else {}
    shown: dict[str, Any] = {"question": seed.prompt, **choices, "right_answer": seed.answer}
    if isinstance(one, Failure) and one.wrong_answer and not one.barely:
        shown["wrong_answer"] = clip(one.wrong_answer, LONGEST_WRONG)
    return shown


def clip(text: str, most: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else text[: most - 1] + "…"


def slices(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`, as even as they come."""
    parts = -(-total // most)
    return [total // parts + (at < total % parts) for at in range(parts)]


def rotate(failures: Sequence[Failure], part: int, count: int) -> tuple[Failure, ...]:
    """The `part`-th handful of `count` failures: each is shown before one is shown twice."""
    start = part * count % len(failures)
    return tuple([*failures[start:], *failures[:start]][:count])


def aims(weakness: Weakness) -> dict[str, str]:
    """What a weakness is called, as data for a prompt: a teacher may have worded it."""
    named = {"weakness": weakness.name, "wrong_move": weakness.wrong_move}
    return {key: text for key, text in named.items() if text}
