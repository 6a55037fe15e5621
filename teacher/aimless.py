"""Lessons without aim: from seeds as they come, and of every label its share of the seeds.

They are a part of every round where labels are fixed (`generate.spread`), written by whoever writes the others, so that no label is crowded
out; with `generate.level` of each label what the aimed ones leave short of its share. And they are all there is in the control arms:
the strategy `untargeted`, or, where a run's own lessons are written by `style`, that, from random seeds, so that what is compared differs
in aim and in nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from student.records import Failure, Seed, Weakness, text_hash
from teacher.generate import mix_of, plan_orders
from teacher.shares import in_turn, share_out
from teacher.sheet import TaskSheet
from teacher.strategies.order import Order
from teacher.strategies.settings import GenerateSettings

NAME = "every label, without aim"
"""What such a part of a round is called, where weaknesses are listed."""


def aimless(sheet: TaskSheet, seeds: Sequence[Seed], generate: GenerateSettings, number: int, draw: int) -> list[Order]:
    """The requests of a control arm's round `number`. `draw` is the run's seed."""
    mix = mix_of(sheet, generate)
    if not sheet.labels or max(mix, key=lambda name: mix[name]) != "style":
        nothing = Weakness(id="", name="", failures=(), lessons=generate.lessons)
        plain = generate.model_copy(update={"mix": {"untargeted": 1.0}})
        return plan_orders(sheet, [nothing], plain, number, draw, seeds)
    styled = generate.model_copy(update={"mix": {"style": 1.0}})
    orders = plan_orders(sheet, anything(seeds, generate.lessons, number), styled, number, draw, seeds)
    # An arm reads the beginning: no label may stand there alone.
    orders = sorted(orders, key=lambda one: text_hash("untargeted", one.request.model_dump_json()))
    return [filed_under("", one) for one in orders]


def filed_under(weakness_id: str, order: Order) -> Order:
    """The order, with its candidates filed under that weakness; under none where it is empty."""
    return replace(order, want=replace(order.want, weakness_id=weakness_id))


def anything(
    seeds: Sequence[Seed], lessons: int, number: int, aimed: Mapping[str, int] | None = None
) -> list[Weakness]:
    """For every label its seeds in random order, another for each `number`, in the place of failures, and lessons by its share of them.

    Numbers count from 1, and each goes on where the one before it ended: a label too rare for a lesson this time has its turn. `aimed`:
    lessons asked for each label otherwise; then it gets what these leave short of its share of both.
    """
    labels, there = Counter(seed.answer for seed in seeds), aimed or {}
    every = lessons + sum(there.get(label, 0) for label in labels)
    now, before = (in_turn(list(labels.values()), every * times) for times in (number, number - 1))
    short = [max(0, one - other - there.get(label, 0)) for label, one, other in zip(labels, now, before, strict=True)]
    shares = short if sum(short) == lessons else share_out(short, lessons, least=0)
    mixed = sorted(seeds, key=lambda seed: text_hash("untargeted", str(number), seed.id))
    return [
        Weakness(id=label, name="", lessons=share,
                 failures=tuple(Failure(seed=seed, wrong_answer="", barely=True) for seed in mixed if seed.answer == label))
        for label, share in zip(labels, shares, strict=True)
    ]  # fmt: skip
