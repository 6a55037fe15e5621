"""What all prompts begin with: run once, its keys and values kept once, and attended to by every row without a copy.

Instructions and worked examples are often longer than the question. Their keys are the same for every row, so all rows' queries
meet them in one matrix product instead of row by row over repeated keys (a lead of 1,000 tokens before 17 of one's own:
4 times less time in attention than with the keys repeated). The attention is registered with transformers under a name of its
own; `reads_like_the_model` tries it against the model's own forward, for models that do something else in theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import DynamicLayer

from student.frozen import below_adapter, frozen_of, only_layers
from student.lora import Student

NAME = "shared_beginning"
AT_LEAST = 24
"""Fewer tokens than this are not worth being shared."""
_tried: WeakKeyDictionary[Student, bool] = WeakKeyDictionary()
_in_parts: WeakKeyDictionary[Student, bool] = WeakKeyDictionary()


@dataclass(frozen=True)
class Shared:
    """The beginning that all prompts share; nothing where they share too little."""

    ids: tuple[int, ...] = ()
    """Its tokens."""
    states: tuple[tuple[torch.Tensor, torch.Tensor], ...] = ()
    """Keys and values of each layer, [heads, length, size]."""

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.ids)


@torch.no_grad()
def run_shared(student: Student, ids: Sequence[int]) -> Shared:
    """The shared beginning, run once."""
    if not ids:
        return Shared()
    cache = DynamicCache(config=student.causal.config)
    student.backbone(input_ids=torch.tensor([ids], device=student.device), past_key_values=cache, use_cache=True)
    layers: list[Any] = list(cache.layers)
    return Shared(tuple(ids), tuple((layer.keys[0], layer.values[0]) for layer in layers))


def run_rows(student: Student, shared: Shared, mask: torch.Tensor, **inputs: Any) -> torch.Tensor:
    """Final hidden states [rows, width, model width] of rows that go on after the shared beginning.

    `mask` [rows, width, keys] is true where a token may look, among the keys of its own row; the beginning is seen by all.
    """
    dtype = student.causal.dtype
    barred = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)
    config = student.causal.config
    with _attending(config, NAME):
        return student.backbone(attention_mask=barred[:, None], shared=shared, **inputs).last_hidden_state


def run_remembered(
    student: Student, shared: Shared, mask: torch.Tensor, about: Sequence[Any], ids: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:  # fmt: skip
    """`run_rows` of rows that other students of this base were asked before: what the frozen layers give is remembered.

    `ids` and `positions` [rows, width]. `about` is what the mask was made from, in plain values.
    """
    plain = {"position_ids": positions, "use_cache": False}
    if not _runs_in_parts(student):
        return run_rows(student, shared, mask, input_ids=ids, **plain)

    def lower() -> torch.Tensor:
        with below_adapter(student):
            return run_rows(student, shared, mask, input_ids=ids, **plain)

    batch = [shared.ids, ids.tolist(), positions.tolist(), *about]
    states = frozen_of(student).states(batch, lower)
    with only_layers(student.backbone, student.first_layer, student.layer_count):
        return run_rows(student, shared, mask, inputs_embeds=states, **plain)


def attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor, *,
    shared: Shared, scaling: float | None = None, softcap: float | None = None, **kwargs: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of rows over the shared beginning and over their own keys, which may have fewer heads than the queries.

    query [rows, heads, width, size], key and value [rows, fewer heads, keys, size], attention_mask [rows, 1, width, keys], added.
    Returns [rows, width, heads, size], as transformers expects.
    """
    rows, heads, width, size = query.shape
    few, keys = key.shape[1:3]
    asked = (query * (size**-0.5 if scaling is None else scaling)).reshape(rows, few, -1, size)
    weights = asked @ key.transpose(2, 3)
    weights = _capped(weights, softcap).view(rows, few, -1, width, keys) + attention_mask[:, :, None]
    weights = weights.view(rows, few, -1, keys)
    if shared.length:
        far_keys, far_values = shared.states[module.layer_idx]
        together = asked.transpose(0, 1).reshape(few, -1, size) @ far_keys.transpose(1, 2)
        far = _capped(together, softcap).view(few, rows, -1, shared.length).transpose(0, 1)
        weights = torch.cat([far, weights], -1).softmax(-1, dtype=torch.float32).to(value.dtype)
        far, weights = weights.split([shared.length, keys], -1)
        said = far.transpose(0, 1).reshape(few, -1, shared.length) @ far_values
        said = said.view(few, rows, -1, value.shape[-1]).transpose(0, 1) + weights @ value
    else:
        said = weights.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
    return said.reshape(rows, heads, width, -1).transpose(1, 2).contiguous(), None


def _capped(weights: torch.Tensor, softcap: float | None) -> torch.Tensor:
    return weights if softcap is None else torch.tanh(weights / softcap) * softcap


AttentionInterface.register(NAME, attention)


def reads_like_the_model(student: Student, sample: Sequence[int], longest: int) -> bool:
    """Whether rows after a shared beginning give what the model's own forward gives, for rows of up to `longest` tokens.

    They do not where a layer keeps something other than all keys (a sliding window, a recurrent state), or where the model computes its
    attention by itself. Tried once a student, on the first tokens of `sample`.
    """
    config = student.causal.config
    if not all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers):
        window = getattr(config, "sliding_window", None)
        if window is None or window < longest:
            return False
    if student not in _tried:
        _tried[student] = _alike(student, [*sample[:8], *[0] * (8 - len(sample))])
    return _tried[student]


@torch.no_grad()
def _alike(student: Student, row: list[int]) -> bool:
    if not getattr(student.backbone, "_supports_attention_backend", False):
        return False
    half, device = len(row) // 2, student.device
    ids, places = torch.tensor([row], device=device), torch.arange(half, len(row), device=device)[None]
    mask = torch.ones(1, half, half, dtype=torch.bool, device=device).tril()
    shared = run_shared(student, row[:half])
    whole = student.backbone(input_ids=ids, use_cache=False).last_hidden_state[:, half:].float()
    parts = run_rows(student, shared, mask, input_ids=ids[:, half:], position_ids=places, use_cache=False).float()
    return _close(student, whole, parts)


def _runs_in_parts(student: Student) -> bool:
    """Whether frozen and adapted layers, run apart, give what the whole gives. Tried once a student, on any tokens."""
    if student not in _in_parts:
        layered = hasattr(student.backbone, "layers") and hasattr(student.backbone, "norm")
        _in_parts[student] = student.first_layer > 0 and layered and _parts_alike(student)
    return _in_parts[student]


@torch.no_grad()
def _parts_alike(student: Student) -> bool:
    ids, places = (torch.arange(8, device=student.device)[None] for _ in range(2))
    mask = torch.ones(1, 8, 8, dtype=torch.bool, device=student.device).tril()
    whole = run_rows(student, Shared(), mask, input_ids=ids, position_ids=places, use_cache=False)
    with below_adapter(student):
        states = run_rows(student, Shared(), mask, input_ids=ids, position_ids=places, use_cache=False)
    with only_layers(student.backbone, student.first_layer, student.layer_count):
        parts = run_rows(student, Shared(), mask, inputs_embeds=states, position_ids=places, use_cache=False)
    return _close(student, whole.float(), parts.float())


def _close(student: Student, one: torch.Tensor, other: torch.Tensor) -> bool:
    most = 1e-3 if student.causal.dtype == torch.float32 else 5e-2
    return float((one - other).norm()) <= most * float(one.norm())


@contextmanager
def _attending(config: Any, name: str) -> Iterator[None]:
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before
