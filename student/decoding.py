"""Write many answers at once, greedily: a batch in which every row is at its own place, and no row waits for another.

Keys and values lie in one block made beforehand, a row's tokens from its left end; a step writes one column of each row and copies
nothing else. A finished row gives its place up at once: the last row moves there, and prompts that wait come in, the longest
first, so that memory peaks early. The same prompts always make the same batches. The output head runs on last tokens only. Out of
memory halves the number of rows; what was half written is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from student.lora import Student
from student.room import OnNote, give_way
from student.shared import Shared, run_rows

ROWS = {"cpu": 64, "cuda": 512}
"""Rows at once. On a CPU products of 64 rows reach 0.95 of the peak, of 16 rows 0.75."""
READ = {"cpu": 1024, "cuda": 16384}
"""Prompt tokens read at once."""
CPU_BYTES = 700_000_000
"""Keys and values on a CPU at most; on a GPU a quarter of its memory."""


@dataclass
class Row:
    """An answer that is being written."""

    number: int
    """Which question."""
    prompt: list[int]
    """Its own tokens, without the shared beginning."""
    said: list[int] = field(default_factory=list)
    """Tokens written so far."""

    @property
    def place(self) -> int:
        """Where the last written token stands, counted from the row's own first token."""
        return len(self.prompt) + len(self.said) - 1


class Block(Cache):
    """Keys and values of all rows: per layer [rows, heads, capacity, size]. Memory is taken as it is filled."""

    def __init__(self, rows: int, capacity: int) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.rows, self.capacity = rows, capacity
        self.held: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.first = 0
        """Row where prompts that are read come in."""
        self.places: torch.Tensor | None = None
        """Column of each row where a step writes; None while prompts are read."""
        self.width = 0
        """Columns in use."""
        self.clean = 0
        """Columns that hold nothing but numbers, so that what no row may look at counts for nothing there."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep a layer's new keys and values; returns those that the present tokens may look at."""
        if layer_idx not in self.held:
            self.held[layer_idx] = (self._empty(key_states), self._empty(value_states))
        keys, values = self.held[layer_idx]
        return self._put(keys, key_states), self._put(values, value_states)

    def use(self, width: int) -> None:
        """From here on look at so many columns."""
        self.width = width
        if width > self.clean:
            for states in (one for held in self.held.values() for one in held):
                states[:, :, self.clean : width] = 0
            self.clean = width

    def move(self, source: int, target: int) -> None:
        """Put one row in another's place."""
        for states in (one for held in self.held.values() for one in held):
            states[target, :, : self.width] = states[source, :, : self.width]

    def get_seq_length(self, *args: Any, **kwargs: Any) -> int:
        """Not used: positions and masks are given."""
        return 0

    def _empty(self, like: torch.Tensor) -> torch.Tensor:
        made = like.new_empty(self.rows, like.shape[1], self.capacity, like.shape[3])
        made[:, :, : self.clean] = 0
        return made

    def _put(self, held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        count, width = new.shape[0], new.shape[2]
        if self.places is None:
            held[self.first : self.first + count, :, :width] = new
            return new
        held[torch.arange(count, device=new.device), :, self.places] = new[:, :, 0]
        return held[:count, :, : self.width]


class Desk:
    """Where answers are written: who waits, who is being written, and the block of keys and values."""

    def __init__(self, student: Student, shared: Shared, rows: Sequence[Row], most_tokens: int) -> None:
        self.student, self.shared = student, shared
        self.waiting = sorted(rows, key=lambda row: (len(row.prompt), -row.number))
        self.capacity = max(len(row.prompt) for row in rows) + most_tokens
        self.most = min(len(rows), _most_rows(student, self.capacity))
        self.present: list[Row] = []
        self.block = Block(self.most, self.capacity)

    @torch.no_grad()
    def write(self, is_done: Callable[[Row], bool], on_note: OnNote) -> Iterator[Row]:
        """Rows in the order in which they are done. Raises StudentError where memory does not suffice for one row."""
        while self.waiting or self.present:
            try:
                if not self._admit():
                    self._step()
            except (RuntimeError, MemoryError) as error:
                self._make_room(error, on_note)
                continue
            yield from self._leave(is_done)

    def _admit(self) -> bool:
        """Read prompts into free places, once an eighth of the places is free; whether any were."""
        free = self.most - len(self.present)
        if not self.waiting or free < (max(1, self.most // 8) if self.present else 1):
            return False
        count = min(free, max(1, READ[self.student.device.type] // len(self.waiting[-1].prompt)), len(self.waiting))
        coming = self.waiting[-count:][::-1]
        self._read(coming)
        del self.waiting[-count:]
        self.present += coming
        return True

    def _read(self, rows: Sequence[Row]) -> None:
        """Run prompts, and take down each one's first token."""
        width, device = len(rows[0].prompt), self.student.device
        fill = self.student.tokenizer.pad_token_id
        ids = torch.tensor([row.prompt + [fill] * (width - len(row.prompt)) for row in rows], device=device)
        mask = torch.ones(1, width, width, dtype=torch.bool, device=device).tril()
        self.block.first, self.block.places = len(self.present), None
        self.block.use(max(self.block.width, width))
        places = torch.arange(self.shared.length, self.shared.length + width, device=device)
        hidden = self._run(ids, places.expand(len(rows), -1), mask)
        last = torch.tensor([len(row.prompt) - 1 for row in rows], device=device)
        self._say(rows, hidden[torch.arange(len(rows), device=device), last])

    def _step(self) -> None:
        """One more token for every row."""
        device = self.student.device
        ids = torch.tensor([[row.said[-1]] for row in self.present], device=device)
        places = torch.tensor([row.place for row in self.present], device=device)
        self.block.places = places
        self.block.use(1 + max(row.place for row in self.present))
        mask = torch.arange(self.block.width, device=device)[None, None] <= places[:, None, None]
        self._say(self.present, self._run(ids, self.shared.length + places[:, None], mask)[:, 0])

    def _run(self, ids: torch.Tensor, places: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return run_rows(
            self.student, self.shared, mask, input_ids=ids, position_ids=places, past_key_values=self.block, use_cache=True
        )  # fmt: skip

    def _say(self, rows: Sequence[Row], hidden: torch.Tensor) -> None:
        for row, token in zip(rows, self.student.logits(hidden).argmax(-1).tolist(), strict=True):
            row.said.append(token)

    def _leave(self, is_done: Callable[[Row], bool]) -> Iterator[Row]:
        done = [at for at, row in enumerate(self.present) if is_done(row)]
        for at in reversed(done):
            yield self.present[at]
            if at < len(self.present) - 1:
                self.block.move(len(self.present) - 1, at)
                self.present[at] = self.present[-1]
            self.present.pop()

    def _make_room(self, error: BaseException, on_note: OnNote) -> None:
        self.most = give_way(error, min(self.most, max(1, len(self.present) + len(self.waiting))), "answers", on_note)
        for row in self.present:
            row.said.clear()
        self.waiting = sorted([*self.waiting, *self.present], key=lambda row: (len(row.prompt), -row.number))
        self.present = []
        self.block = Block(self.most, self.capacity)


def _most_rows(student: Student, capacity: int) -> int:
    """How many rows' keys and values there is room for."""
    config = student.causal.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    row = 2 * config.num_hidden_layers * heads * size * capacity * student.causal.dtype.itemsize
    device = student.device
    room = CPU_BYTES if device.type == "cpu" else torch.cuda.get_device_properties(device).total_memory // 4
    return max(1, min(ROWS[device.type], room // row))
