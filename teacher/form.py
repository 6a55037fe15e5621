"""Is a candidate text of the right form: something said, no control tokens, a real choice, a usual length?

The cheapest checks of all, and the ones that hostile replies meet first: a control token or a terminal escape in a
lesson would be learned by the student and shown to people.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from student.records import Candidate, Seed, Verdict
from teacher.verdicts import reject

_TOKEN = re.compile(
    r"<\|[^|>]{0,60}\|>|</?s>|\[/?INST\]|<<?/?SYS>>?|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_OURS = re.compile(
    r"(?:the |a |an |new |real |right |wrong |correct )*(?:questions?|answers?|items?|texts?|lessons?|choices?|examples?|none|null|n/a)"
)
"""What stands where an item should when a small teacher repeats the form it was shown and not its content."""


def form(candidate: Candidate) -> Verdict | None:
    """The verdict on a candidate of the wrong form; None for one of the right form."""
    if not candidate.prompt or not candidate.answer:
        return reject(candidate, "empty")
    for text in (candidate.prompt, candidate.answer, *candidate.choices):
        if found := _TOKEN.search(text):
            return reject(candidate, "control-token", found.group())
        if _CONTROL.search(text):
            return reject(candidate, "control-character")
    if said := _echo(candidate):
        return reject(candidate, "echo", said)
    if candidate.choices and candidate.answer not in candidate.choices:
        return reject(candidate, "not-a-label", candidate.answer)
    return None


def _echo(candidate: Candidate) -> str:
    """A question that is nothing but a word of the request: a label, or the name of a field. Empty where it is a question."""
    said = candidate.prompt.strip(" \t\n.,;…:\"'`{}[]()<>")
    plain = said.replace("_", " ").casefold()
    labels = {choice.casefold() for choice in candidate.choices}
    return said if plain in labels or _OURS.fullmatch(plain) else ""


SHORT = 20
"""Characters that are enough for any question, however long the real ones are: a teacher may well write shorter ones."""


class Lengths:
    """How long questions and answers may be, by the seeds' own."""

    def __init__(self, seeds: Sequence[Seed], longest: float) -> None:
        self._prompt = longest * max((len(seed.prompt) for seed in seeds), default=1000)
        # Where a small teacher runs out of things to say it writes the first words it was given, and no more.
        self._least = max(4, min(SHORT, min((len(seed.prompt) for seed in seeds), default=0) / 2))
        self._answer = max(200, 10 * statistics.median(len(seed.answer) for seed in seeds)) if seeds else 1000

    def check(self, candidate: Candidate) -> Verdict | None:
        """The verdict on a candidate that is too long or too short; None for any other."""
        if len(candidate.prompt) > self._prompt or len(candidate.answer) > self._answer:
            return reject(candidate, "too-long", f"{len(candidate.prompt)} + {len(candidate.answer)} characters")
        return reject(candidate, "too-short", candidate.prompt) if len(candidate.prompt) < self._least else None
