"""What to do about answers that were cut off or hold no answer: they are a matter of length and form, not of lessons.

In go an eval set's settings, its seeds and the attempts at them; out come sentences for a person, each with counts and the
concrete change that would help. How many tokens an answer needs is reckoned from the answers that were cut: each of those is
as long as the limit, so they tell how many characters this student's tokens have.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from student.evals.spec import EvalSpec
from student.records import Attempt, Seed

ROOM = 1.25
"""The limit leaves a quarter more than the longest right answer needs."""
STOPS = ("\n\n", "\n")
"""What a student often goes on with after its answer."""


def remedies(spec: EvalSpec, seeds: Sequence[Seed], attempts: Sequence[Attempt]) -> list[str]:
    """A sentence for cut answers and one for those without an answer, where there are any."""
    cut = [one.output for one in attempts if one.outcome == "truncated"]
    empty = [one.output for one in attempts if one.outcome == "malformed"]
    of, free = f"of {len(attempts)} answers on mine", "no lessons are bought for them"
    said: list[str] = []
    if cut:
        limit = f"were cut at max_new_tokens={spec.max_new_tokens}"
        said.append(f"{len(cut)} {of} {limit}; {free}. {_length(spec, seeds, cut)}")
    if empty:
        said.append(f"{len(empty)} {of} held no answer of the expected form; {free}. {_form(spec, empty)}")
    return said


def _length(spec: EvalSpec, seeds: Sequence[Seed], cut: Sequence[str]) -> str:
    needed = tokens_needed(spec, seeds, cut)
    if needed > spec.max_new_tokens:
        return f"The longest right answer needs about {needed} tokens: set max_new_tokens: {needed} in the eval set"
    fits = f"The right answers fit (about {needed} tokens at most), so the student does not end its answers"
    if stop := _stop(spec, seeds, cut):
        return f"{fits}: set stop: [{stop!r}] in the eval set"
    return f"{fits}: train longer (train.epochs), or set `stop` in the eval set to what it goes on with"


def tokens_needed(spec: EvalSpec, seeds: Sequence[Seed], cut: Sequence[str]) -> int:
    """A limit that the longest right answer fits in, in steps of eight tokens."""
    per_token = statistics.median(max(1, len(text)) for text in cut) / spec.max_new_tokens
    longest = max((len(seed.answer) for seed in seeds), default=0)
    return 8 * math.ceil(longest / max(per_token, 0.5) * ROOM / 8)


def _stop(spec: EvalSpec, seeds: Sequence[Seed], cut: Sequence[str]) -> str:
    """A text most cut answers go on with, and no right answer holds."""
    for stop in STOPS:
        going_on = sum(stop in text for text in cut)
        if stop not in spec.stop and going_on * 2 > len(cut) and not any(stop in seed.answer for seed in seeds):
            return stop
    return ""


def _form(spec: EvalSpec, empty: Sequence[str]) -> str:
    if sum(not text.strip() for text in empty) * 2 > len(empty):
        return "Most are empty: look at `frame` and `join` (does the question end where an answer can begin?), or try format: chat"
    shown = " ".join(empty[0].split())[:60]
    lacks = (
        "They hold no number"
        if spec.scorer.name == "number"
        else f"scorer: {spec.scorer.name} finds nothing to compare in them"
    )
    return f"{lacks}, for example {shown!r}: show the form wanted in `frame`, or train longer (train.epochs)"
