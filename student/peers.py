"""Processes that train one student together: each takes a part of every step's rows, and their gradients are added up."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Alone:
    """One process that does everything."""

    first: bool = True
    """Whether this process tells and writes what came of it."""

    def share(self, rows: Sequence[int]) -> list[int]:
        """This process's rows of a step."""
        return list(rows)

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' values, in place."""
        return values

    def least(self, values: torch.Tensor) -> torch.Tensor:
        """The smallest of all processes' values, in place."""
        return values


class Group(Alone):
    """One of several processes that `torch.distributed` has joined."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count, self.first = rank, count, rank == 0

    def share(self, rows: Sequence[int]) -> list[int]:
        return list(rows[self.rank :: self.count])

    def add(self, values: torch.Tensor) -> torch.Tensor:
        torch.distributed.all_reduce(values)
        return values

    def least(self, values: torch.Tensor) -> torch.Tensor:
        torch.distributed.all_reduce(values, torch.distributed.ReduceOp.MIN)
        return values
