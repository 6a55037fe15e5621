"""Out of memory is no end: the work is done in smaller parts. Here is what counts as out of memory, and what is said.

On a GPU torch raises an error of its own kind; on a CPU its allocator raises RuntimeError, and Python and numpy MemoryError.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from student.errors import StudentError

OnNote = Callable[[str], None]
"""Told, in a sentence, what a person should know about how the work goes."""


def is_full(error: BaseException) -> bool:
    """Whether memory ran out."""
    told = str(error)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and ("not enough memory" in told or "can't allocate memory" in told)
    )


def give_way(error: BaseException, present: int, what: str, on_note: OnNote) -> int:
    """Half of `present`, told. Raises the error where it is another one, and StudentError where nothing is left to halve."""
    if not is_full(error):
        raise error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if present < 2:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StudentError(
            f"The memory does not suffice for one question at a time ({said}). Close other programs, choose "
            "a smaller student, or leave out the longest items."
        ) from error
    on_note(f"out of memory: going on with {present // 2} {what} at once")
    return present // 2
