"""Text streams whose reader may go away at any moment."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TextIO


class Pipe:
    """A text stream that falls silent for good when its reader is gone."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream  # Python has no stdout at all where the shell closed it: `llm2llm run ... >&-`

    def line(self, text: str) -> None:
        """Write one line and hand it over at once; whoever reads along wants it now."""
        if self.stream is None:
            return
        try:
            self.stream.write(encodable(text, self.stream) + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # the reader closed its end, or somebody closed the stream
            _point_at_nothing(self.stream)
            self.stream = None


class Lasting:
    """stderr for rich: everything it is, except that a terminal that went away ends no thread and no run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(encodable(text, self._stream))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _point_at_nothing(stream: TextIO) -> None:
    """Python flushes stdout once more at exit and would complain there; what is still buffered goes to /dev/null."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
