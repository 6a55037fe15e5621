"""What the frozen layers make of a batch of questions, remembered from one examination to the next.

A loop asks the same questions of one student after another, and the students differ in the layers that carry the adapter alone. What
enters the first of those is computed once and kept, so with the adapter on the top third the second examination costs a third of
the arithmetic. A batch is known by its tokens, places and company: remembered or computed again, the bits are the same. When room is
short, what the present examination has not asked for goes first, the longest unused before the rest; a list too long to be kept
whole keeps its beginning.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch

from student.lora import Student

MOST = 192 << 20
"""Bytes of states kept for a student."""


@dataclass
class Frozen:
    """States entering the first adapted layer, by batch."""

    most: int = MOST
    """Bytes that may be kept."""
    examination: int = 0
    """How many there have been."""
    held: int = 0
    """Bytes that are kept."""
    computed: int = 0
    """Batches that had to be computed."""
    _states: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    _used: dict[str, int] = field(default_factory=dict[str, int])

    def states(self, batch: Sequence[Any], make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What `make` gives for this batch, which is named by plain values; made once as long as there is room."""
        key = hashlib.sha256(json.dumps(batch).encode()).hexdigest()
        if key in self._states:
            found = self._states.pop(key)
            self._states[key], self._used[key] = found, self.examination  # the longest unused stands first
            return found
        made = make()
        self.computed += 1
        size = made.numel() * made.element_size()
        while self.held + size > self.most and (oldest := next(iter(self._states), None)) is not None:
            if self._used[oldest] == self.examination:
                return made
            self._forget(oldest)
        if size <= self.most:
            self._states[key], self._used[key] = made, self.examination
            self.held += size
        return made

    def _forget(self, key: str) -> None:
        gone = self._states.pop(key)
        self.held -= gone.numel() * gone.element_size()
        del self._used[key]


_of: WeakKeyDictionary[Student, Frozen] = WeakKeyDictionary()


def frozen_of(student: Student) -> Frozen:
    """What is remembered for a student."""
    return _of.setdefault(student, Frozen())


@contextmanager
def below_adapter(student: Student) -> Iterator[None]:
    """The student's backbone as its frozen layers alone, without the final norm."""
    with only_layers(student.backbone, 0, student.first_layer), _without_norm(student.backbone):
        yield


@contextmanager
def only_layers(backbone: Any, start: int, stop: int) -> Iterator[None]:
    """The backbone with some of its layers only; what enters and leaves them is a matter of how it is called.

    A model of several kinds of layers looks up by place in the list which kind each is, so the list is cut alike.
    """
    layers, config = backbone.layers, backbone.config
    kinds = getattr(config, "layer_types", None)
    backbone.layers = torch.nn.ModuleList(list(layers)[start:stop])
    config.num_hidden_layers = stop - start
    if kinds is not None:
        config.layer_types = list(kinds[start:stop])
    try:
        yield
    finally:
        backbone.layers, config.num_hidden_layers = layers, len(layers)
        if kinds is not None:
            config.layer_types = kinds


@contextmanager
def _without_norm(backbone: Any) -> Iterator[None]:
    norm = backbone.norm
    backbone.norm = torch.nn.Identity()
    try:
        yield
    finally:
        backbone.norm = norm
