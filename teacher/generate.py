"""Plan the requests for new lessons by the mix of strategies, and read the candidates out of the replies.

In: weaknesses, each with its share of the round's lessons. The lessons of a weakness are cut into requests and these are
dealt to the strategies by weight, exactly and evenly over the weaknesses (`deal`). Out: orders, each a request with what its
candidates will be filed under. The same inputs give the same requests, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from student.records import Candidate, Seed, Weakness, text_hash
from teacher.errors import TeacherUnusable
from teacher.replies import as_text, read_object
from teacher.requests import Reply
from teacher.shares import share_out
from teacher.sheet import TaskSheet
from teacher.strategies import STRATEGIES
from teacher.strategies.order import Desk, Order, slices
from teacher.strategies.rephrase import rephrase
from teacher.strategies.settings import GenerateSettings
from teacher.taxonomy import read_taxonomy

__all__ = ["GenerateSettings", "Order", "check_strategies", "plan_orders", "read_candidates", "rephrased_candidates"]

MOST_CHOICES = 20
"""A reply with more choices than this for one item is no item."""


def check_strategies(sheet: TaskSheet, settings: GenerateSettings) -> None:
    """Refuse a mix that makes no sense for the task, before a run is made. Raises TeacherUnusable."""
    used = {name for name, weight in mix_of(sheet, settings).items() if weight > 0}
    if "errors" in used and (sheet.labels or sheet.own_choices):
        raise TeacherUnusable(
            "generate.mix asks for `errors`, but answers of this eval set are picked from choices: the strategy makes texts with "
            "an error whose answer is the correction or the kind of error, written out. Take `errors` out of the mix, or use an "
            "eval set of kind: generate."
        )
    if {"errors", "rephrase"} <= used:
        raise TeacherUnusable(
            "generate.mix asks for `errors` and `rephrase`, but the typos of `rephrase` would be errors that no answer speaks of. "
            "Take one of them out of the mix."
        )
    if "taxonomy" in used:
        if not settings.taxonomy:
            raise TeacherUnusable(
                "generate.mix asks for `taxonomy`, but no tree is named. Set generate.taxonomy to the folder of an InstructLab "
                "taxonomy, or take `taxonomy` out of the mix."
            )
        read_taxonomy(Path(settings.taxonomy).expanduser())


def mix_of(sheet: TaskSheet, settings: GenerateSettings) -> dict[str, float]:
    """Who writes by what weight: as the settings say, else what suits the task."""
    if settings.mix is not None:
        return settings.mix
    return {"style": 1.0} if sheet.labels else {"contrast": 1.0}


def plan_orders(
    sheet: TaskSheet, weaknesses: Sequence[Weakness], settings: GenerateSettings, round_number: int, seed: int,
    seeds: Sequence[Seed] = (),
) -> list[Order]:  # fmt: skip
    """Every request of the round, in a fixed order. `seeds`: what may be shown besides the failures."""
    desk = _desk(sheet, weaknesses, settings, round_number, seed, seeds)
    orders, written = list[Order](), Counter[str]()
    for weakness, name, lessons in deal(weaknesses, settings, mix_of(sheet, settings)):
        if name in STRATEGIES:
            made = STRATEGIES[name](desk, weakness, lessons, written[name])
            written[name] += len(made)
            orders += made
    return orders


def rephrased_candidates(
    sheet: TaskSheet, weaknesses: Sequence[Weakness], settings: GenerateSettings, round_number: int, seed: int
) -> tuple[list[Candidate], int]:
    """The candidates of the mix that no teacher is asked for, and how many there should be."""
    desk = _desk(sheet, weaknesses, settings, round_number, seed, ())
    mix = mix_of(sheet, settings)
    parts = [(weakness, lessons) for weakness, name, lessons in deal(weaknesses, settings, mix) if name == "rephrase"]
    return [one for weakness, lessons in parts for one in rephrase(desk, weakness, lessons)], sum(n for _, n in parts)


def _desk(
    sheet: TaskSheet, weaknesses: Sequence[Weakness], settings: GenerateSettings, round_number: int, seed: int,
    seeds: Sequence[Seed],
) -> Desk:  # fmt: skip
    known = {one.id: one for one in seeds or (each.seed for weakness in weaknesses for each in weakness.failures)}
    leaves = (
        read_taxonomy(Path(settings.taxonomy).expanduser()) if mix_of(sheet, settings).get("taxonomy", 0) > 0 else []
    )
    return Desk(sheet, tuple(known[name] for name in sorted(known)), settings, round_number, seed, tuple(leaves))


def deal(
    weaknesses: Sequence[Weakness], settings: GenerateSettings, mix: Mapping[str, float]
) -> list[tuple[Weakness, str, int]]:
    """(weakness, strategy, lessons): whose lessons are written by whom.

    Requests, not lessons, are dealt, since half a request costs nearly as much as a whole one. How many each strategy gets
    in the round is exact to the largest remainder, and each one's are spread evenly over the round.
    """
    parts = [(weakness, count) for weakness in weaknesses for count in slices(weakness.lessons, settings.per_request)]
    dealt = Counter[tuple[str, str]]()
    for (weakness, count), name in zip(parts, spread(mix, len(parts)), strict=True):
        dealt[weakness.id, name] += count
    return [
        (weakness, name, dealt[weakness.id, name])
        for weakness in weaknesses for name in mix if dealt[weakness.id, name]
    ]  # fmt: skip


def spread(weights: Mapping[str, float], total: int) -> list[str]:
    """`total` names in proportion to their weights, each one's places as evenly apart as they come."""
    names = [name for name, weight in weights.items() if weight > 0]
    counts = dict(zip(names, share_out([weights[name] for name in names], total, least=0), strict=True))
    places = [((at + 0.5) / counts[name], rank, name) for rank, name in enumerate(names) for at in range(counts[name])]
    return [name for _, _, name in sorted(places)]


def read_candidates(order: Order, reply: Reply, key: str, round_number: int) -> list[Candidate]:
    """The candidates in a reply: at most as many as were asked for, those of another form left out."""
    value = read_object(reply.text)
    rows = value.get("items") if value else None
    found = (
        [_item(order, at, row) for at, row in enumerate(cast("list[Any]", rows)[: order.count])]
        if isinstance(rows, list)
        else []
    )
    return [_candidate(order, key, at, item, round_number) for at, item in enumerate(found) if item is not None]


Item = tuple[str, str, tuple[str, ...]]
"""Question, answer, choices."""


def _item(order: Order, at: int, row: Any) -> Item | None:
    """One element of a reply, or None when it is not of the form asked for."""
    given = order.want.answers[at] if order.want.answers else None
    if isinstance(row, str):
        return (row.strip(), given, order.choices) if given is not None and order.form == "text" else None
    if not isinstance(row, dict):
        return None
    fields = {str(name): value for name, value in cast("dict[Any, Any]", row).items()}
    if order.form == "error":
        return _error(fields, given)
    question, answer = fields.get("question"), as_text(fields.get("answer", given))
    if not isinstance(question, str) or answer is None:
        return None
    if order.form == "choice":
        return _choice(question.strip(), answer, fields.get("wrong_choices"))
    return question.strip(), answer, order.choices


def _error(fields: Mapping[str, Any], kind: str | None) -> Item | None:
    """A text with an error; None where nothing was broken."""
    correct, question = fields.get("correct"), fields.get("question")
    if not (isinstance(correct, str) and isinstance(question, str)) or correct.split() == question.split():
        return None
    return question.strip(), (correct if kind is None else kind).strip(), ()


def _choice(question: str, answer: str, wrong: Any) -> Item | None:
    """An item with choices of its own, the right one at a place that depends on nothing but their texts."""
    if not isinstance(wrong, list) or not all(isinstance(one, str) for one in cast("list[Any]", wrong)):
        return None
    others = dict.fromkeys(one.strip() for one in cast("list[str]", wrong))
    choices = sorted({answer, *others}, key=lambda one: text_hash(question, one))
    whole = answer and all(others) and answer not in others and 2 <= len(choices) <= MOST_CHOICES
    return (question, answer, tuple(choices)) if whole else None


def _candidate(order: Order, key: str, at: int, item: Item, round_number: int) -> Candidate:
    question, answer, choices = item
    want, parent = order.want, order.want.parent
    # Where no skills are given the label is the skill, of a new item too.
    skill = answer if order.form == "text" and parent.skill == parent.answer else parent.skill
    return Candidate(
        id=text_hash(key, str(at)), prompt=question, answer=answer, choices=choices, skill=skill, round=round_number,
        weakness_id=want.weakness_id, parent_id=parent.id, strategy=want.strategy, request_key=key,
        shown_ids=tuple(one.id for one in want.shown),
    )  # fmt: skip
