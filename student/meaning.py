"""Where texts lie in meaning: one vector a text, out of the lower part of the student's own untouched model.

In: plain texts, and texts of the same task around them. Out: [texts, width] float32. The states of one layer are averaged over a
text's tokens, the rare ones of the task counting for more (as in SIF, Arora et al., ICLR 2017): `what is the ... of` says little. After
a quarter of the layers a word stands for what it means where it stands; higher ones look ahead to the next word, and were
worse at this (docs/likeness.md). The first position is left out, because decoders keep there what is not about the text (arXiv 2309.17453),
and nothing past that layer is computed. Rows are sorted by length and batched by tokens: the same texts give the same
batches and, on a CPU, the same bits. What is near to what is the matter of `student.nearness`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from student.lora import Student
from student.room import OnNote, give_way

OnProgress = Callable[[int, int], None]
"""Called with texts done and texts in all."""
DEPTH = 0.25
"""The share of the layers after which states are taken."""
TOKENS = {"cpu": 1024, "cuda": 32768}
"""Tokens of a batch."""
LONGEST = 512
"""Of a longer text so many tokens are read."""


class _Reached(Exception):
    """The states are there: the layers behind them need not run."""


@torch.no_grad()
def embed(
    student: Student, texts: Sequence[str], around: Sequence[str], on_progress: OnProgress = lambda done, total: None,
    on_note: OnNote = lambda note: None,
) -> NDArray[np.float32]:  # fmt: skip
    """The vector of each text, [texts, width]. `around` says which tokens are rare.

    Raises StudentError where not even one text fits in memory.
    """
    rows = [_row(student.tokenizer, text) for text in texts]
    weigh = rarity([_row(student.tokenizer, text) for text in around])
    order = sorted(range(len(rows)), key=lambda at: (-len(rows[at]), at))  # longest first: memory peaks early
    found = np.zeros((len(rows), student.causal.config.hidden_size), np.float32)
    budget, at = TOKENS[student.device.type], 0
    with student.using(None):
        while at < len(order):
            width = len(rows[order[at]])
            batch = order[at : at + max(1, budget // width)]
            try:
                found[batch] = _means(student, [rows[one] for one in batch], weigh)
            except (RuntimeError, MemoryError) as error:
                budget = width * give_way(error, len(batch), "texts", on_note)
                continue
            at += len(batch)
            on_progress(at, len(rows))
    return found


def _row(tokenizer: Any, text: str) -> list[int]:
    """A first token that is read and not counted, then the text's own; control tokens in it are plain text."""
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return [first, *(ids[:LONGEST] or [first])]


def rarity(rows: Sequence[list[int]]) -> Callable[[int], float]:
    """What a token weighs: the logarithm of how seldom a row has it, and a half, so that every token counts."""
    counts = Counter(token for row in rows for token in set(row))
    return lambda token: math.log((len(rows) + 1) / (counts[token] + 1)) + 0.5


def _means(student: Student, rows: Sequence[list[int]], weigh: Callable[[int], float]) -> NDArray[np.float32]:
    """The weighed mean state of each row's tokens but the first, [rows, width]."""
    width, fill, device = len(rows[0]), student.tokenizer.pad_token_id, student.device
    gaps = [width - len(row) for row in rows]
    ids = torch.tensor([row + [fill] * gap for row, gap in zip(rows, gaps, strict=True)], device=device)
    counted = [[0.0, *map(weigh, row[1:]), *[0.0] * gap] for row, gap in zip(rows, gaps, strict=True)]
    counts = torch.tensor(counted, device=device)
    states = _middle(student, ids).float()  # padding stands behind every token that is looked at, so no mask is needed
    return ((states * counts[:, :, None]).sum(1) / counts.sum(1, keepdim=True)).cpu().numpy()


def _middle(student: Student, ids: torch.Tensor) -> torch.Tensor:
    """States after DEPTH of the layers, [rows, width, model width]."""
    states: list[torch.Tensor] = []

    def stop(module: Any, given: Any, said: Any) -> None:
        states.append(said[0] if isinstance(said, tuple) else said)
        raise _Reached

    layers = student.layers
    hook = layers[max(0, round(DEPTH * len(layers)) - 1)].register_forward_hook(stop)
    try:
        student.backbone(input_ids=ids, use_cache=False)
    except _Reached:
        pass
    finally:
        hook.remove()
    return states[0]
