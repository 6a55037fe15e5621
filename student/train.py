"""Fine-tune the adapter on examples: the training step, written for small students and short items.

Why not a library's trainer: on short items most of its time goes to padding, to logits nobody needs, and to the host
(docs/decisions/0002-own-training-step.md). Here batches hold items of like length; the output head runs only where
there are labels; and where the adapter covers only the top layers, the frozen layers below are computed once per item
and remembered for all epochs. Loss: cross-entropy on the answer's tokens and the end token, averaged over tokens of a
step. The optimiser is AdamW with a linear warm-up and cosine decay, its state in float32 whatever the model's dtype.
Same data, seed, machine and settings give the same weights, bit for bit, on a CPU.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from student.layers import Features, forward_hidden
from student.lora import Student
from student.prompting import Ask, Prompter
from student.records import Example, Record
from student.settings import TrainSettings


class TrainResult(Record):
    """What one fine-tuning did."""

    steps: int
    """Optimiser steps made."""
    tokens: int
    """Real tokens seen over all epochs, padding not counted."""
    final_loss: float
    """Mean loss per answer token over the last tenth of the steps, in nats."""
    dropped_too_long: int
    """Items left out because they exceed `max_tokens`."""
    seconds: float
    """Wall time of the steps."""


@dataclass(frozen=True)
class Encoded:
    """One example as token ids."""

    ids: list[int]
    """Question and answer, end token included."""
    answer_length: int
    """How many of the last ids are learned."""


OnStep = Callable[[int, int, float, float], None]
"""Called with step, steps, loss in nats per answer token, real tokens per second."""


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


def train(
    student: Student, ask: Ask, examples: Sequence[Example], settings: TrainSettings, seed: int, on_step: OnStep
) -> TrainResult:
    """Reset the adapter and fit it to the examples. Raises ValueError when no example fits `max_tokens`."""
    encoded, dropped = encode(student.tokenizer, ask, examples, settings.max_tokens)
    if not encoded:
        raise ValueError(f"none of the {len(examples)} training items fits train.max_tokens={settings.max_tokens}")
    student.reset(seed)
    steps = plan_steps(encoded, settings, seed)
    optimiser = Optimiser(student.trainable(), settings, len(steps))
    features = Features(student, encoded)
    losses: list[float] = []
    tokens, start = 0, time.perf_counter()
    for number, rows in enumerate(steps, 1):
        loss = _step(student, features, [encoded[row] for row in rows], rows)
        optimiser.step()
        losses.append(loss)
        tokens += sum(len(encoded[row].ids) for row in rows)
        on_step(number, len(steps), loss, tokens / (time.perf_counter() - start))
    tail = losses[-max(1, len(losses) // 10) :]
    return TrainResult(
        steps=len(steps), tokens=tokens, final_loss=round(sum(tail) / len(tail), 6), dropped_too_long=dropped,
        seconds=round(time.perf_counter() - start, 3),
    )  # fmt: skip


def plan_steps(encoded: Sequence[Encoded], settings: TrainSettings, seed: int) -> list[list[int]]:
    """Row numbers of every optimiser step: shuffled each epoch, then grouped so that a step has items of like length.

    Grouping happens inside windows of four steps: padding falls to a few per cent while batches still differ every epoch.
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


def _step(student: Student, features: Features, rows: list[Encoded], numbers: list[int]) -> float:
    """Forward and backward over one batch; gradients are left on the adapter. Returns the loss."""
    hidden = forward_hidden(student, features.batch(rows, numbers))
    width = hidden.shape[1]
    spots = [(at, width - back - 1) for at, row in enumerate(rows) for back in range(row.answer_length, 0, -1)]
    labels = [token for row in rows for token in row.ids[-row.answer_length :]]
    index = torch.tensor(spots, device=hidden.device).T
    logits = student.logits(hidden[index[0], index[1]])
    loss = functional.cross_entropy(logits, torch.tensor(labels, device=hidden.device))
    loss.backward()
    return float(loss.detach())


class Optimiser:
    """AdamW over float32 master copies of the adapter's weights, with warm-up and cosine decay."""

    def __init__(self, weights: list[torch.nn.Parameter], settings: TrainSettings, steps: int) -> None:
        self.weights = weights
        self.masters = [weight.detach().float().clone().requires_grad_(True) for weight in weights]
        self.inner = torch.optim.AdamW(
            self.masters, lr=settings.learning_rate, weight_decay=settings.weight_decay, foreach=True
        )
        warm = max(1, round(settings.warmup * steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.inner, lambda step: _rate(step, warm, steps))

    def step(self) -> None:
        """Apply the gradients on the model's weights, clipped to norm 1, and clear them."""
        for master, weight in zip(self.masters, self.weights, strict=True):
            master.grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.inner.step()
        self.schedule.step()
        with torch.no_grad():
            for master, weight in zip(self.masters, self.weights, strict=True):
                weight.copy_(master)


def _rate(step: int, warm: int, steps: int) -> float:
    """The learning rate at a step, as a share of its peak."""
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
