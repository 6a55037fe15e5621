"""Whose code failed: the file and line of a task's or plug-in's own code in a traceback, and the error in one line.

An error in code that a team brought along is theirs to mend, so it is told as a paragraph that names their file, not as a
traceback through ours. An error that never passed through their code is not theirs, and keeps its traceback.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

_PROGRAM = Path(__file__).resolve().parent.parent
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in ')
_PRINTED_FRAME = re.compile(r"(?P<file>/[^\s:]+\.py):(?P<line>\d+) in ")


def place_of(error: BaseException, folders: Sequence[Path]) -> str:
    """`file:line` of the innermost frame below one of `folders`, or "" when none is."""
    for one in _chain(error):
        if isinstance(one, SyntaxError) and one.filename and _below(one.filename, folders):
            return f"{one.filename}:{one.lineno}"
        for frame in reversed(traceback.extract_tb(one.__traceback__)):
            if _below(frame.filename, folders):
                return f"{frame.filename}:{frame.lineno}"
    return ""


def is_ours(error: BaseException) -> bool:
    """Whether a line of this program raised it: that is a bug here, whatever was called before."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _below(frames[-1].filename, [_PROGRAM])


def place_in_text(printed: str, folders: Sequence[Path]) -> str:
    """The same, from a traceback that somebody else has printed."""
    found = [*_FRAME.finditer(printed), *_PRINTED_FRAME.finditer(printed)]
    places = [f"{match['file']}:{match['line']}" for match in found if _below(match["file"], folders)]
    return places[-1] if places else ""


def in_words(error: BaseException) -> str:
    """The error's type and the first lines of its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}{'...' if len(text) > 300 else ''}" if text else type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _below(file: str, folders: Sequence[Path]) -> bool:
    return Path(file).is_absolute() and any(Path(file).resolve().is_relative_to(folder) for folder in folders)
