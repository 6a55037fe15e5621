"""The maths process: compares two expressions with math-verify, one JSON line a question, and dies rather than hang.

In on stdin: `[expected, answer, seconds]`, both LaTeX. Out on the real stdout: `{"score": 1.0}`, or `{"score": null}` where one
of them is no expression, or `{"late": true}`. sympy can hang in Python and in C and eat all memory, so that the kernel
guards each question: a clock of CPU time raises first, a limit on it kills after. When stdin closes, the process ends.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import resource
import signal
import sys
import threading
from types import FrameType
from typing import Any

_MEMORY = 4 * 1024**3
"""Address space in bytes; sympy itself takes about half a gigabyte of it."""
_GRACE = 2
"""Whole seconds of CPU time after the deadline before the kernel ends the process."""


class Late(BaseException):
    """The question took too long. No `Exception`, because sympy catches those as it goes."""


def main() -> None:
    """Answer questions until stdin closes."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    questions: queue.Queue[list[Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(questions,), daemon=True).start()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, _MEMORY)
    signal.signal(signal.SIGPROF, _late)
    importlib.import_module("math_verify")  # before the first clock starts
    out.write('{"ready": true}\n')
    while True:
        expected, answer, seconds = questions.get()
        out.write(json.dumps(_timed(expected, answer, seconds)) + "\n")


def compare(expected: str, answer: str) -> float | None:
    """1 when both expressions are equal, else 0; None when one cannot be read as an expression."""
    from math_verify import LatexExtractionConfig, parse, verify

    # LaTeX only: math-verify reads plain expressions with sympy's parse_expr, which evaluates them as Python.
    goal, found = (
        parse(f"${text}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
        for text in (expected, answer)
    )
    if not goal or not found:
        return None
    return float(verify(goal, found, timeout_seconds=None))


def _timed(expected: str, answer: str, seconds: float) -> dict[str, Any]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + _GRACE)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        score = compare(expected, answer)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except Late:
        return {"late": True}
    except (Exception, MemoryError) as error:  # noqa: BLE001  sympy raises anything; the parent counts it
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {"score": None, "trouble": type(error).__name__}
    return {"score": score}


def _late(signum: int, frame: FrameType | None) -> None:
    raise Late


def _limit(what: int, most: int) -> None:
    """Lower a soft limit; a system that does not know it (macOS and address space) goes without."""
    try:
        resource.setrlimit(what, (most, resource.getrlimit(what)[1]))
    except (ValueError, OSError):
        return


def _listen(questions: queue.Queue[list[Any]]) -> None:
    for line in sys.stdin:
        questions.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
