"""Run a decoder over rows of different lengths without padding: all tokens stand in one line, only attention sees rows.

Everything in a decoder but attention works token by token, so rows need not be padded for it: they are laid end to end as [1, tokens].
Attention alone needs to know who belongs together; it is registered with transformers under a name of its own, takes the
line apart into rows, and puts it together again. So the linear layers, which are nearly all the work, never see a padding token, whatever
lengths stand in a batch. It needs no kernel that exists on a GPU only, and works for every model that looks its attention up there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

NAME = "rows_in_line"
FUSED_FROM = 128
WIDTHS = (64, 128, 256, 512)
"""Row lengths at which `probe_fused` compares the two ways."""
CLEARLY = 1.3
"""How many times as quick the fused way must be to be taken: the same machine should find the same on a busy day."""


@dataclass(frozen=True)
class Layout:
    """Where each row's tokens stand in the line, and in a grid [rows, width] with every row at its left end."""

    lengths: tuple[int, ...]
    """Tokens of each row."""
    device: torch.device
    fused_from: int = FUSED_FROM
    """Rows at least so long are attended by torch's fused kernel, shorter ones by plain products, which cost less there."""

    @property
    def width(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths)

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(self.lengths)

    @cached_property
    def _places(self) -> torch.Tensor:
        """As `positions`, on the CPU: nobody waits for a GPU to lay rows out."""
        return torch.cat([torch.arange(length) for length in self.lengths])

    @cached_property
    def positions(self) -> torch.Tensor:
        """[tokens] each token's place in its row."""
        return self._places.to(self.device)

    @cached_property
    def cells(self) -> torch.Tensor:
        """[tokens] each token's place in the grid, read row by row."""
        starts = torch.arange(len(self.lengths)) * self.width
        return (self._places + torch.repeat_interleave(starts, torch.tensor(self.lengths))).to(self.device)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Where in the line each row ends (its last token's place plus one)."""
        return tuple(torch.tensor(self.lengths).cumsum(0).tolist())

    def seen(self, window: int | None) -> torch.Tensor:
        """[width, width] which earlier tokens of its row a token attends to; with a window, the last so many.

        Rows stand at the left end of the grid, so what follows a row's end is never seen by its tokens.
        """
        causal = torch.ones(self.width, self.width, dtype=torch.bool, device=self.device).tril()
        return causal if not window or window >= self.width else causal.triu(1 - window)


def layout_of(rows: Sequence[Sequence[int]], device: torch.device, fused_from: int = FUSED_FROM) -> Layout:
    """The layout of rows of token ids."""
    return Layout(tuple(len(row) for row in rows), device, fused_from)


class _ToGrid(torch.autograd.Function):
    """[tokens, ...] to [rows * width, ...], zero where there is no token; its gradient is the way back."""

    @staticmethod
    def forward(ctx: Any, line: torch.Tensor, cells: torch.Tensor, size: int) -> torch.Tensor:
        ctx.save_for_backward(cells)
        return line.new_zeros(size, *line.shape[1:]).index_copy_(0, cells, line)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        return grads[0].index_select(0, ctx.saved_tensors[0]), None, None


class _ToLine(torch.autograd.Function):
    """[rows * width, ...] to [tokens, ...]: the cells that hold a token."""

    @staticmethod
    def forward(ctx: Any, grid: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cells)
        ctx.size = len(grid)
        return grid.index_select(0, cells)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        grad = grads[0]
        return grad.new_zeros(ctx.size, *grad.shape[1:]).index_copy_(0, ctx.saved_tensors[0], grad), None


def attention(  # noqa: PLR0913  transformers decides what an attention is given
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: Any, *,
    scaling: float | None = None, layout: Layout | None = None, softcap: float | None = None,
    sliding_window: int | None = None, **kwargs: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Causal attention of each row over itself. query [1, heads, tokens, size]; key and value may have fewer heads.

    Returns [1, tokens, heads, size], as transformers expects.
    """
    assert layout is not None, "rows in line are run by `in_line` only"
    heads, groups = key.shape[1], query.shape[1] // key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    plain = softcap is not None or sliding_window or layout.width < layout.fused_from
    count, width = len(layout.lengths), layout.width

    def rows(line: torch.Tensor) -> torch.Tensor:
        """[count, width, heads, share, size]: the query heads of one key head stand together."""
        grid = _ToGrid.apply(line[0].transpose(0, 1), layout.cells, count * width)
        return grid.view(count, width, heads, -1, line.shape[-1])

    if plain:
        hidden = ~layout.seen(sliding_window).repeat(groups, 1)
        said = _by_products(rows(query) * scale, rows(key), rows(value), hidden, softcap)
    else:
        asked, keys, values = (rows(line).flatten(2, 3).transpose(1, 2) for line in (query, key, value))
        said = functional.scaled_dot_product_attention(
            asked, keys, values, is_causal=True, scale=scale, enable_gqa=groups > 1
        ).transpose(1, 2)
    grid = said.reshape(count * width, heads * groups, -1)
    return _ToLine.apply(grid, layout.cells)[None], None


def _by_products(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, hidden: torch.Tensor, softcap: float | None
) -> torch.Tensor:
    """Attention as two products, all query heads of one key head in one: [count, width, heads, share, size] in and out.

    `hidden` [share * width, width]: what is not attended to.
    """
    count, width, heads, share, _ = query.shape

    def stacked(rows: torch.Tensor) -> torch.Tensor:
        """[count, heads, share * width, size]"""
        return rows.permute(0, 2, 3, 1, 4).reshape(count, heads, -1, rows.shape[-1])

    weights = stacked(query) @ stacked(key).transpose(2, 3)
    if softcap is not None:
        weights = torch.tanh(weights / softcap) * softcap
    weights = weights.masked_fill(hidden, torch.finfo(weights.dtype).min).softmax(-1, dtype=torch.float32)
    said = weights.to(value.dtype) @ stacked(value)
    return said.view(count, heads, share, width, -1).permute(0, 3, 1, 2, 4)


def probe_fused(device: torch.device, dtype: torch.dtype) -> int:
    """The shortest row for which torch's fused attention is clearly quicker than plain products, there and back.

    Takes well under a second.
    """
    return next((width for width in WIDTHS if _quicker(width, device, dtype)), 2 * WIDTHS[-1])


def _quicker(width: int, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether fused attention clearly wins at rows of so many tokens; the two are timed in turn, the best of each counts, the first not."""
    layout, best = Layout((width,) * (512 // width), device), {0: float("inf"), width + 1: float("inf")}
    heads = {"query": 9, "key": 3, "value": 3}  # those of a small student
    query, key, value = (
        torch.randn(1, count, 512, 64, device=device, dtype=dtype, requires_grad=True) for count in heads.values()
    )
    for turn in range(7):
        for fused_from, least in best.items():
            start = time.perf_counter()
            attention(None, query, key, value, None, layout=replace(layout, fused_from=fused_from))[0].sum().backward()
            best[fused_from] = min(least, time.perf_counter() - start) if turn else least
    return best[0] * CLEARLY < best[width + 1]


AttentionInterface.register(NAME, attention)


def in_line(backbone: Any, layout: Layout, **inputs: torch.Tensor) -> torch.Tensor:
    """Final hidden states [tokens, model width] of a line of ids or embeddings: `input_ids` or `inputs_embeds`, [1, tokens, ...]."""
    with _attending(backbone.config, NAME):
        return backbone(
            **inputs, position_ids=layout.positions[None], use_cache=False, layout=layout
        ).last_hidden_state[0]  # fmt: skip


def can_run_in_line(backbone: Any) -> bool:
    """Whether the model looks its attention up by name, so that ours is found."""
    return bool(getattr(backbone, "_supports_attention_backend", False))


@contextmanager
def _attending(config: Any, name: str) -> Iterator[None]:
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before
