"""The settings of training, apart from the code that trains, so that reading a config file never imports torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from student.records import Record

SHAPE = "lora.json"
"""Where trained weights that are no adapter lie, the file that says what was trained: a `Lora`."""


class Launch(Record):
    """How the student's process is started: the fields are those of the `student` settings."""

    launcher: Literal["none", "accelerate"] = "none"
    processes: int = 1
    accelerate_config: str | None = None


class Lora(Record):
    """What of the student is trained."""

    how: Literal["lora", "qlora", "full"] = "lora"
    """`lora`: low-rank updates of every linear layer; `qlora`: the same over a base in 4 bits (needs a GPU); `full`: all weights of
    those layers."""

    rank: int = Field(default=16, ge=1)
    """Rank r of the update B @ A."""
    alpha: int = Field(default=32, ge=1)
    """The update is scaled by alpha / rank."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead, which keeps large ranks learning (arXiv 2312.03732)."""
    layers: float = Field(default=0.5, gt=0, le=1)
    """The share of the decoder layers that are trained, counted from the top. Below 1 the frozen lower layers are
    computed once per item instead of once per epoch."""


class TrainSettings(Record):
    """How the student is fine-tuned."""

    epochs: float = Field(default=6.0, gt=0, allow_inf_nan=False)
    """Passes over the data."""
    min_steps: int = Field(default=120, ge=1)
    """Optimiser steps at least: with little data there are more epochs, so that a weak baseline cannot fake a gain."""
    batch_size: int = Field(default=16, ge=1)
    """Items per optimiser step."""
    learning_rate: float = Field(default=2e-3, gt=0, allow_inf_nan=False)
    """Peak learning rate of AdamW. The default is for adapters on the upper half of the layers (docs/evidence.md); all layers, and whole
    weights above all, want less."""
    smoothing: float | None = Field(default=None, ge=0, lt=1)
    """Share of each target that is spread evenly over the vocabulary (label smoothing: Szegedy et al., arXiv 1512.00567), so that a
    student does not grow certain of its few items, some of them wrong. null: 0.1 where labels are fixed, else none (docs/evidence.md)."""
    warmup: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps over which the rate rises from zero."""
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """AdamW's decoupled weight decay."""
    hold_out: float = Field(default=0.0, ge=0, lt=1)
    """Share of the real items that are not learned but watched: training stops when their loss falls no more; 0 for none."""
    patience: int = Field(default=2, ge=1)
    """With `hold_out`: epochs without a lower loss before training stops and the best weights are kept."""
    tokens_at_once: int | None = Field(default=None, ge=1)
    """Tokens of one forward and backward pass; a step with more adds the gradients of several up. Bounds memory. null: 512 on a CPU,
    16,384 on a GPU."""
    seeds: int = Field(default=1, ge=1)
    """Trainings of the best round's and of the seed-only student for the claim. One shows that this model is better; several show
    whether the lessons help, whatever the luck of a training."""
    start: Literal["base", "last"] = "base"
    """Where a round's training starts: from the untouched base model, as LLM2LLM found better (arXiv 2403.15042), or from the
    student of the round before (`last`), which is then trained longer in all than the seed-only one: `--control` tells that from what the
    lessons do. Whoever is compared goes the same way: the arms and the further `seeds` are trained round by round too, and a cross-fitted
    fold goes on from its own last student. The fold students of mining start from the base always."""
    max_tokens: int = Field(default=1024, ge=2)
    """Items longer than this are left out and counted, never cut."""
