"""Fine-tune the adapter on examples: the training step, written for small students and short items.

Why not a library's trainer: on short items most of its time goes to padding, to logits nobody needs, and to the host
(docs/decisions/0002-own-training-step.md). Here rows stand in one line without padding (`student.packed`); the output head runs only
where there are labels; and where the adapter covers only the top layers, the frozen layers below are computed once per item
and remembered for all epochs. The optimiser is AdamW, its weights and state in float32 whatever the model's dtype.
Same data, seed, machine and settings give the same weights, bit for bit, on a CPU; also when it was killed on the way.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from student.batches import Encoded, encode, plan_steps
from student.layers import Features
from student.lora import Student
from student.optimiser import Optimiser
from student.peers import Alone
from student.prompting import Ask
from student.records import Example, Record, text_hash
from student.settings import TrainSettings
from student.step import Steps
from student.train_state import Kept


class TrainResult(Record):
    """What one fine-tuning did."""

    steps: int
    """Optimiser steps made."""
    tokens: int
    """Real tokens seen over all epochs; there is no padding."""
    final_loss: float
    """Mean loss per answer token over the last tenth of the steps, in nats."""
    dropped_too_long: int
    """Items left out because they exceed `max_tokens`."""
    watched: int = 0
    """Items held out to see when to stop."""
    watched_loss: float | None = None
    """Mean loss per answer token on them, of the weights that were kept; None where none were held out."""
    kept_step: int | None = None
    """The step whose weights were kept, where that is not the last."""
    seconds: float
    """Wall time of the steps."""


TOKENS_AT_ONCE = (512, 16_384)
"""Tokens of one forward and backward pass, on a CPU (about 2 GB for a model of 135M) and on a GPU."""
OnStep = Callable[[int, int, float, float], None]
"""Called with step, steps, loss in nats per answer token, real tokens per second."""


@dataclass(frozen=True)
class Around:
    """What a training has around it, beside what it learns and how."""

    start: Path | None = None
    """The adapter it goes on from; None for the base."""
    kept: Path | None = None
    """A folder for the state of a training that may be killed."""
    peers: Alone = field(default_factory=Alone)
    """The processes that share every step."""
    on_note: Callable[[str], None] = lambda note: None
    """Called with what a person should know."""


def train(
    student: Student, ask: Ask, examples: Sequence[Example], settings: TrainSettings, seed: int, on_step: OnStep,
    around: Around | None = None,
) -> TrainResult:  # fmt: skip
    """Fit the adapter to the examples, from the base unless `around` has a start. Raises ValueError when no example fits `max_tokens`."""
    around = around or Around()
    learned, watched = split_off(examples, settings.hold_out, seed)
    encoded, dropped = encode(student.tokenizer, ask, [*learned, *watched], settings.max_tokens)
    if not encoded:
        raise ValueError(f"none of the {len(examples)} training items fits train.max_tokens={settings.max_tokens}")
    count = len(encode(student.tokenizer, ask, learned, settings.max_tokens)[0]) if watched else len(encoded)
    if not count:
        raise ValueError(
            f"of the training items only those held out (train.hold_out={settings.hold_out:g}) fit train.max_tokens={settings.max_tokens}"
        )
    if around.start is None:
        student.reset(seed)
    else:
        student.restore(around.start)
    student.clear_gradients()
    fitting = _Fitting(student, encoded, count, settings, seed, around.peers)
    start = time.perf_counter()
    fitting.run(on_step, around.on_note, Kept(around.kept, fitting.key(student, goes_on=around.start is not None)))
    return fitting.result(dropped, time.perf_counter() - start)


def split_off(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """The examples to learn, and a share of the distinct real ones to watch the loss on; never all of them."""
    real = sorted({one.prompt for one in examples if one.real}, key=lambda prompt: text_hash(f"watch {seed}", prompt))
    aside = set(real[: min(round(share * len(real)), len(real) - 1)]) if share else set[str]()
    seen = dict[str, Example]()
    for one in examples:
        if one.prompt in aside:
            seen.setdefault(one.prompt, one)
    return [one for one in examples if one.prompt not in aside], list(seen.values())


class _Fitting:
    """One training while it runs."""

    def __init__(
        self, student: Student, encoded: list[Encoded], learned: int, settings: TrainSettings, seed: int, peers: Alone
    ) -> None:
        self.encoded, self.settings, self.seed, self.peers = encoded, settings, seed, peers
        self.plan = plan_steps(encoded[:learned], settings, seed)
        self.watched = list(range(learned, len(encoded)))
        self.optimiser = Optimiser(student.trainable(), settings, len(self.plan))
        used = sorted({row for rows in self.plan for row in rows} | {*self.watched})
        at_once = settings.tokens_at_once or TOKENS_AT_ONCE[student.device.type == "cuda"]
        features = Features(student, encoded, used, at_once)
        self.steps, self.at_once = Steps(student, encoded, features, at_once, settings.smoothing or 0.0), at_once
        self.too_large = features.too_large if features.runner.in_parts else 0
        self.per_epoch = max(1, -(-learned // settings.batch_size))
        self.losses: list[float] = []
        self.best: tuple[float, int, torch.Tensor] | None = None
        self.tokens = 0

    def key(self, student: Student, goes_on: bool) -> str:
        """Names this training: the state of another one is not taken up. One that `goes_on` from another is named by its weights too."""
        begun = hashlib.sha256(self.optimiser.flat.detach().cpu().numpy().tobytes()).hexdigest() if goes_on else ""
        about = [
            [row.ids for row in self.encoded], self.settings.model_dump(), self.seed, len(self.watched),
            student.lora.model_dump(), str(student.causal.dtype), len(self.optimiser.flat), torch.get_num_threads(), begun,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()

    def run(self, on_step: OnStep, on_note: Callable[[str], None], kept: Kept) -> None:
        """Make every step that is not made yet."""
        if self.too_large:
            on_note(
                f"what the layers below the adapter make of {len(self.encoded):,} items would take {self.too_large / 2**30:.1f} GiB, "
                "more than a quarter of this machine's memory: it is computed anew in every step, which is slower and changes nothing "
                "but rounding"
            )
        self._take_up(kept)
        start, before = time.perf_counter(), self.tokens
        for number in range(self.optimiser.done + 1, len(self.plan) + 1):
            loss = self._step(self.plan[number - 1])
            if self._in_smaller_parts():
                on_note(
                    f"memory did not suffice in step {number} of {len(self.plan)}: from here on at most {self.at_once:,} tokens are "
                    f"computed at once, which is slower and changes nothing but rounding; train.tokens_at_once={self.at_once} begins so"
                )
            on_step(number, len(self.plan), loss, (self.tokens - before) / (time.perf_counter() - start))
            if self.watched and (number % self.per_epoch == 0 or number == len(self.plan)) and self._worn_out(number):
                break
            if self.peers.first and kept.due():
                kept.save(*self._state(), number)
        if self.best is not None:
            self.optimiser.put(self.best[2])

    def _step(self, rows: list[int]) -> float:
        labels = sum(self.encoded[row].answer_length for row in rows)
        mine = self.peers.share(rows)
        loss = self.steps.gradient(mine, labels) if mine else 0.0
        self.peers.add(self.optimiser.gather())
        self.optimiser.step()
        loss = float(self.peers.add(torch.tensor(loss, device=self.optimiser.flat.device)))
        self.losses.append(loss)
        self.tokens += sum(len(self.encoded[row].ids) for row in rows)
        return loss

    def _in_smaller_parts(self) -> bool:
        """Whether memory did not suffice for what was computed at once, here or in another process; then all go on with less."""
        before, now = self.at_once, torch.tensor(self.steps.tokens_at_once, device=self.optimiser.flat.device)
        self.at_once = self.steps.tokens_at_once = int(self.peers.least(now))
        return self.at_once < before

    def _worn_out(self, number: int) -> bool:
        """Whether the watched items' loss has not fallen for `patience` epochs; remembers the best weights."""
        loss = self.steps.loss(self.watched)
        if self.best is None or loss < self.best[0]:
            self.best = (loss, number, self.optimiser.flat.detach().clone())
        return number - self.best[1] >= self.settings.patience * self.per_epoch

    def _state(self) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
        tensors = self.optimiser.state()
        best = None
        if self.best is not None:
            tensors["best"], best = self.best[2].cpu(), self.best[:2]
        about = {"step": self.optimiser.done, "losses": self.losses, "tokens": self.tokens, "best": best}
        return tensors, {**about, "at_once": self.at_once}

    def _take_up(self, kept: Kept) -> None:
        found = kept.load()
        if found is None:
            return
        tensors, about = found
        self.optimiser.restore(tensors, about["step"])
        self.losses, self.tokens = about["losses"], about["tokens"]
        self.at_once = self.steps.tokens_at_once = about["at_once"]
        if about["best"] is not None:
            self.best = (*about["best"], tensors["best"].to(self.optimiser.flat.device))

    def result(self, dropped: int, seconds: float) -> TrainResult:
        """What was done."""
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        last = len(self.losses)
        return TrainResult(
            steps=last, tokens=self.tokens, final_loss=round(sum(tail) / len(tail), 6), dropped_too_long=dropped,
            watched=len(self.watched), watched_loss=round(self.best[0], 6) if self.best else None,
            kept_step=self.best[1] if self.best and self.best[1] != last else None, seconds=round(seconds, 3),
        )  # fmt: skip
