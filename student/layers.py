"""Run the decoder from its embeddings or from its middle.

When the adapter covers only the top layers, what enters the first of them never changes: it is computed once per item
and kept (`Features`), and training runs the top layers alone. The middle entry reuses the model's own forward with the
lower layers taken out, so no architecture is copied here; a self-check compares it with the full forward once, and
falls back to the full forward for models where the two differ (those that rescale embeddings, for instance).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from student.lora import Student

if TYPE_CHECKING:
    from student.train import Encoded


@dataclass(frozen=True)
class Batch:
    """Left-padded input: token ids, or hidden states entering `student.first_layer`."""

    mask: torch.Tensor
    """[rows, width], 1 at real tokens."""
    ids: torch.Tensor | None
    """[rows, width] token ids; None where `hidden` is given."""
    hidden: torch.Tensor | None
    """[rows, width, model width] states entering the first adapted layer."""


def forward_hidden(student: Student, batch: Batch) -> torch.Tensor:
    """Final hidden states [rows, width, model width]."""
    positions = (batch.mask.cumsum(1) - 1).clamp(min=0)
    if batch.hidden is None:
        return student.backbone(
            input_ids=batch.ids, attention_mask=batch.mask, position_ids=positions, use_cache=False
        ).last_hidden_state
    with _only_layers(student.backbone, student.first_layer, student.layer_count):
        return student.backbone(
            inputs_embeds=batch.hidden, attention_mask=batch.mask, position_ids=positions, use_cache=False
        ).last_hidden_state


def pad_left(rows: Sequence[Sequence[int]], fill: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and their mask, both [rows, longest], padded on the left."""
    width = max(len(row) for row in rows)
    ids = torch.tensor([[fill] * (width - len(row)) + list(row) for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


class Features:
    """What enters the first adapted layer, per training item; computed on first use and kept on the CPU."""

    def __init__(self, student: Student, encoded: Sequence[Encoded]) -> None:
        self.student = student
        self.kept: dict[int, torch.Tensor] = {}
        self.usable = student.first_layer > 0 and enters_cleanly(student, encoded[0].ids)

    def batch(self, rows: Sequence[Encoded], numbers: Sequence[int]) -> Batch:
        """The batch for these rows; `numbers` name them across epochs."""
        ids, mask = pad_left([row.ids for row in rows], self.student.tokenizer.pad_token_id, self.student.device)
        if not self.usable:
            return Batch(mask, ids, None)
        if any(number not in self.kept for number in numbers):
            self._compute(rows, numbers, ids, mask)
        width = mask.shape[1]
        hidden = torch.zeros(
            len(rows), width, self.kept[numbers[0]].shape[1], dtype=self.kept[numbers[0]].dtype, device=mask.device
        )
        for at, number in enumerate(numbers):
            hidden[at, width - len(self.kept[number]) :] = self.kept[number].to(mask.device)
        return Batch(mask, None, hidden)

    def _compute(self, rows: Sequence[Encoded], numbers: Sequence[int], ids: torch.Tensor, mask: torch.Tensor) -> None:
        states = lower_hidden(self.student, Batch(mask, ids, None))
        for at, (row, number) in enumerate(zip(rows, numbers, strict=True)):
            self.kept[number] = states[at, -len(row.ids) :].cpu()


@torch.no_grad()
def lower_hidden(student: Student, batch: Batch) -> torch.Tensor:
    """The states entering the first adapted layer: the frozen layers alone, without the final norm."""
    positions = (batch.mask.cumsum(1) - 1).clamp(min=0)
    with _only_layers(student.backbone, 0, student.first_layer), _without_norm(student.backbone):
        return student.backbone(
            input_ids=batch.ids, attention_mask=batch.mask, position_ids=positions, use_cache=False
        ).last_hidden_state


@torch.no_grad()
def enters_cleanly(student: Student, ids: Sequence[int]) -> bool:
    """Whether lower layers and upper layers, run apart, give what the whole model gives."""
    if not (hasattr(student.backbone, "layers") and hasattr(student.backbone, "norm")):
        return False
    tokens, mask = pad_left([ids], 0, student.device)
    batch = Batch(mask, tokens, None)
    whole = forward_hidden(student, batch)
    parts = forward_hidden(student, Batch(batch.mask, None, lower_hidden(student, batch)))
    return torch.allclose(whole.float(), parts.float(), rtol=1e-2, atol=1e-2)


@contextmanager
def _only_layers(backbone: Any, start: int, stop: int) -> Iterator[None]:
    layers, config = backbone.layers, backbone.config
    backbone.layers = torch.nn.ModuleList(list(layers)[start:stop])
    config.num_hidden_layers = stop - start
    try:
        yield
    finally:
        backbone.layers, config.num_hidden_layers = layers, len(layers)


@contextmanager
def _without_norm(backbone: Any) -> Iterator[None]:
    norm = backbone.norm
    backbone.norm = torch.nn.Identity()
    try:
        yield
    finally:
        backbone.norm = norm
