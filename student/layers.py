"""Run the decoder from its embeddings or from its middle, over rows laid in one line (`student.packed`).

When the adapter covers only the top layers, what enters the first of them never changes: it is computed once per item
and kept (`Features`), and training runs the top layers alone. The middle entry reuses the model's own forward with the
lower layers taken out, so no architecture is copied here. A model whose forward cannot be used like that is found out by a
self-check and run in the usual way: padded, and whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from student.batches import Encoded, by_tokens
from student.frozen import below_adapter, only_layers
from student.lora import Student
from student.packed import Layout, can_run_in_line, in_line, layout_of


@dataclass(frozen=True)
class Batch:
    """Rows in line: token ids, or hidden states entering `student.first_layer`."""

    layout: Layout
    values: torch.Tensor
    """[tokens] token ids, or [tokens, model width] states entering the first adapted layer."""
    from_middle: bool = False
    """Whether `values` are such states."""


def batch_of(rows: Sequence[Sequence[int]], student: Student) -> Batch:
    """Rows of token ids as a batch for this student."""
    line = torch.tensor([token for row in rows for token in row], device=student.device)
    return Batch(layout_of(rows, student.device, student.fused_from), line)


class Runner:
    """How one student's decoder is run; what it can do is tried on `sample`, a row of token ids."""

    def __init__(self, student: Student, sample: Sequence[int]) -> None:
        self.student, self._sample = student, list(sample)

    def hidden(self, batch: Batch) -> torch.Tensor:
        """Final hidden states [tokens, model width] of a batch."""
        if not batch.from_middle:
            return self._run(batch.layout, "input_ids", batch.values)
        with only_layers(self.student.backbone, self.student.first_layer, self.student.layer_count):
            return self._run(batch.layout, "inputs_embeds", batch.values)

    @torch.no_grad()
    def lower(self, batch: Batch) -> torch.Tensor:
        """The states [tokens, model width] entering the first adapted layer: the frozen layers alone, without the final norm."""
        with below_adapter(self.student):
            return self._run(batch.layout, "input_ids", batch.values)

    @cached_property
    def in_line(self) -> bool:
        """Whether rows in line give what padded rows give. One row is tried before another of half its length."""
        backbone = self.student.backbone
        if not can_run_in_line(backbone):
            return False
        batch = batch_of([self._sample, self._sample[: max(1, len(self._sample) // 2)]], self.student)
        with torch.no_grad():
            padded = _padded(backbone, batch.layout, "input_ids", batch.values)
            return _alike(padded, in_line(backbone, batch.layout, input_ids=batch.values[None]))

    @cached_property
    def in_parts(self) -> bool:
        """Whether frozen and adapted layers, run apart, give what the whole model gives. False where every layer is adapted."""
        backbone, student = self.student.backbone, self.student
        if not (student.first_layer > 0 and hasattr(backbone, "layers") and hasattr(backbone, "norm")):
            return False
        batch = batch_of([self._sample], student)
        with torch.no_grad():
            return _alike(self.hidden(batch), self.hidden(Batch(batch.layout, self.lower(batch), from_middle=True)))

    def _run(self, layout: Layout, name: str, values: torch.Tensor) -> torch.Tensor:
        if self.in_line:
            return in_line(self.student.backbone, layout, **{name: values[None]})
        return _padded(self.student.backbone, layout, name, values)


SHARE = 4
"""A quarter of the machine's memory at most holds what is computed once."""


def memory() -> int:
    """Bytes this process may use: the machine's, or fewer where its container has fewer; shared out where a launcher started several."""
    here = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    told = limit.read_text("utf-8").strip() if limit.exists() else "max"
    return (min(here, int(told)) if told.isdigit() else here) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class Features:
    """What enters the first adapted layer, per training item: computed once and kept on the CPU.

    With items so many and long that they would take more than their share of the memory nothing is kept, and each step runs the whole
    model.
    """

    def __init__(self, student: Student, encoded: Sequence[Encoded], used: Sequence[int], tokens_at_once: int) -> None:
        self.runner, self.encoded = Runner(student, encoded[used[0]].ids), encoded
        self._kept: dict[int, torch.Tensor] = {}
        one = student.causal.config.get_text_config().hidden_size * student.causal.dtype.itemsize
        needed = one * sum(len(encoded[row].ids) for row in used)
        self.too_large = needed if needed > memory() // SHARE else 0
        """Bytes that all would take, where that is too many; else 0."""
        if not self.too_large and self.runner.in_parts:
            # The parts depend on nothing but the items, so a resumed training computes the same bits.
            for part in by_tokens(sorted(used, key=lambda row: len(encoded[row].ids)), encoded, tokens_at_once):
                whole = self._whole(part)
                states = self.runner.lower(whole).cpu().split(whole.layout.lengths)
                self._kept |= dict(zip(part, states, strict=True))

    def batch(self, rows: Sequence[int]) -> Batch:
        """The batch of these items, by number."""
        whole = self._whole(rows)
        if not self._kept:
            return whole
        hidden = torch.cat([self._kept[row] for row in rows]).to(self.runner.student.device)
        return Batch(whole.layout, hidden, from_middle=True)

    def _whole(self, rows: Sequence[int]) -> Batch:
        return batch_of([self.encoded[row].ids for row in rows], self.runner.student)


def _padded(backbone: Any, layout: Layout, name: str, values: torch.Tensor) -> torch.Tensor:
    """The same in a padded grid [rows, width], for models that cannot be run in line."""
    count, width = len(layout.lengths), layout.width
    grid = values.new_zeros(count * width, *values.shape[1:]).index_copy(0, layout.cells, values)
    mask = torch.zeros(count * width, dtype=torch.long, device=values.device).index_fill(0, layout.cells, 1)
    states = backbone(
        **{name: grid.view(count, width, *values.shape[1:])}, attention_mask=mask.view(count, width), use_cache=False
    ).last_hidden_state
    return states.reshape(count * width, -1).index_select(0, layout.cells)


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two ways to the same states differ by no more than rounding does.

    Measured on all of them together: in bfloat16 single numbers differ by more than 1 % as soon as sums are added up in another order,
    while rows that see each other's tokens, the mistake that is looked for, put the whole a third of its length apart and more.
    """
    slack = 1e-3 if one.dtype == torch.float32 else 0.1
    return float((one.float() - other.float()).norm()) <= slack * float(one.float().norm())
