"""The settings of training, apart from the code that trains, so that reading a config file never imports torch."""

from __future__ import annotations

from student.records import Record


class Lora(Record):
    """The shape of the adapter."""

    rank: int = 16
    """Rank r of the update B @ A."""
    alpha: int = 32
    """The update is scaled by alpha / rank."""
    layers: float = 1.0
    """The share of the decoder layers that get an adapter, counted from the top. Below 1 the frozen lower layers are
    computed once per item instead of once per epoch."""


class TrainSettings(Record):
    """How the student is fine-tuned."""

    epochs: float = 6.0
    """Passes over the data."""
    min_steps: int = 40
    """Optimiser steps at least: with little data there are more epochs, so that a weak baseline cannot fake a gain."""
    batch_size: int = 16
    """Items per optimiser step."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    warmup: float = 0.1
    """Share of the steps over which the rate rises from zero."""
    weight_decay: float = 0.0
    """AdamW's decoupled weight decay."""
    max_tokens: int = 1024
    """Items longer than this are left out and counted, never cut."""
