"""In a student's process that was started several times over (`accelerate launch`): join the others and work as one.

The first process hears the jobs and passes each on; all do it together, and the first answers. A training's steps are shared out
(`student.peers`), and so are an examination's questions. When one process ends, the others do.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

from student.peers import Alone, Group

WAITING = timedelta(days=30)
"""A teacher may write lessons for long before the next job comes."""


class Team:
    """This process and those beside it; a single one when nothing launched several."""

    def __init__(self) -> None:
        self.peers, self.local = Alone(), 1
        self._line: Any = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            self._join()

    def _join(self) -> None:
        import torch
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available(), timeout=WAITING)
        self.peers = Group(state.process_index, state.num_processes)
        # What is told goes through processors alone: a GPU that waits for the next job would be busy with waiting.
        self._line = torch.distributed.new_group(backend="gloo", timeout=WAITING)
        self.local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))

    @property
    def first(self) -> bool:
        """Whether this process hears jobs and answers them."""
        return self.peers.first

    def agreed(self, value: Any) -> Any:
        """The first process's value, in all of them. Raises RuntimeError when another process is gone."""
        if isinstance(self.peers, Group):
            import torch

            box = [value]
            torch.distributed.broadcast_object_list(box, src=0, group=self._line)
            return box[0]
        return value

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process does what follows before the others do: it may leave a file that they find."""
        if not self.first:
            self._meet()
        try:
            yield
        finally:
            if self.first:
                self._meet()

    def _meet(self) -> None:
        if isinstance(self.peers, Group):
            import torch

            torch.distributed.barrier(group=self._line)

    def together(self, values: Sequence[Any], work: Callable[[list[Any]], list[Any]]) -> list[Any]:
        """One result per value, in order; each process works on its share. What one of them raises, all raise: none waits for it."""
        if not isinstance(self.peers, Group):
            return work(list(values))
        import torch

        shares: list[Any] = [None] * self.peers.count
        mine = self.peers.share(range(len(values)))
        try:
            done: list[Any] | Exception = work([values[at] for at in mine]) if mine else []
        except Exception as error:  # noqa: BLE001  raised again by everyone
            done = error
        torch.distributed.all_gather_object(shares, done, group=self._line)
        results: list[Any] = [None] * len(values)
        for rank, share in enumerate(shares):
            if isinstance(share, Exception):
                raise share
            results[rank :: self.peers.count] = share
        return results

    def follow(self, do: Callable[[dict[str, Any]], object], fixable: tuple[type[Exception], ...]) -> NoReturn:
        """Do every job that the first process hears. What it tells the person, it tells for all."""
        while True:
            try:
                do(self.agreed(None))
            except fixable:
                traceback.print_exc()
            except BaseException:  # noqa: BLE001  the launcher ends the others when this one ends
                traceback.print_exc()
                os._exit(1)
