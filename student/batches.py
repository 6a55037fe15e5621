"""Examples as tokens, and which of them make up each optimiser step."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from student.prompting import Ask, Prompter
from student.records import Example
from student.settings import TrainSettings


@dataclass(frozen=True)
class Encoded:
    """One example as token ids."""

    ids: list[int]
    """Question and answer, end token included."""
    answer_length: int
    """How many of the last ids are learned."""


def encode(tokenizer: Any, ask: Ask, examples: Sequence[Example], max_tokens: int) -> tuple[list[Encoded], int]:
    """The examples as tokens, and how many were left out as too long."""
    prompter = Prompter(tokenizer, ask)
    encoded: list[Encoded] = []
    for example in examples:
        answer = [*prompter.answer(example.answer), tokenizer.eos_token_id]
        ids = prompter.question(example.prompt, example.turns) + answer
        if len(ids) <= max_tokens:
            encoded.append(Encoded(ids, len(answer)))
    return encoded, len(examples) - len(encoded)


def plan_steps(encoded: Sequence[Encoded], settings: TrainSettings, seed: int) -> list[list[int]]:
    """Row numbers of every optimiser step: shuffled each epoch, then grouped so that a step has items of like length.

    Grouping happens inside windows of four steps: attention sees rows of like length while batches still differ every epoch.
    """
    per_epoch = math.ceil(len(encoded) / settings.batch_size)
    total = max(settings.min_steps, round(settings.epochs * per_epoch))
    shuffler, steps = random.Random(seed), list[list[int]]()
    while len(steps) < total:
        order = list(range(len(encoded)))
        shuffler.shuffle(order)
        window = 4 * settings.batch_size
        epoch = list[list[int]]()
        for start in range(0, len(order), window):
            near = sorted(order[start : start + window], key=lambda row: len(encoded[row].ids))
            epoch += [near[at : at + settings.batch_size] for at in range(0, len(near), settings.batch_size)]
        shuffler.shuffle(epoch)
        steps += epoch
    return steps[:total]


def by_tokens(rows: Sequence[int], encoded: Sequence[Encoded], most: int) -> list[list[int]]:
    """The rows in order, cut into parts of like size with at most `most` tokens; a longer row is a part of its own."""
    total = sum(len(encoded[row].ids) for row in rows)
    even = total / math.ceil(total / most)
    parts: list[list[int]] = []
    held = most
    for row in rows:
        length = len(encoded[row].ids)
        if held + length > most or held >= even:
            parts.append([])
            held = 0
        parts[-1].append(row)
        held += length
    return parts
