"""What a task's questions have in common, taken out of them: a frame to put around each, and the questions themselves.

A hosted task hands over whole prompts: its instructions, its worked examples and its template around every question. With
those left in, all items would look alike, a teacher would have to write them out in every lesson, and a lesson could not be
put to the student the way the items are. So what all prompts begin and end with becomes the frame. Frame and question always
give back the prompt exactly, character by character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SLOT = "{question}"
LONG = 60
"""So many characters that all prompts share are not left in the questions, even where they end within a line."""
_HEAD = re.compile(r"(?:.*\n)?(?:[^\n:]{1,30}:[ \t]+)?", re.DOTALL)
"""A common beginning ends after its last line break, or after a short label in its last line: `Question: `."""
_TAIL = (re.compile(r"\n.*$", re.DOTALL), re.compile(r"\s\w+:\s*$"))
"""A common ending begins at its first line break, or before a last word and colon: ` Answer:`."""


def framed(texts: Sequence[str], inner: Sequence[str] = ()) -> tuple[str, list[str]]:
    """A frame and the questions in it. `inner`: what each text was made from, where that is known."""
    around = {_around(text, part) for text, part in zip(texts, inner, strict=True)} if inner else {None}
    if len(around) == 1 and (ends := around.pop()) is not None:
        return _checked(texts, *ends)
    if len(set(texts)) < 2:
        return SLOT, list(texts)
    shared = shared_start(texts)
    found = _HEAD.match(shared)
    head = found.group() if found else ""
    if len(shared) - len(head) > LONG:
        head = shared[: len(shared) - len(shared.split()[-1])]
    shared = shared_start([text[::-1] for text in texts])[::-1]
    tail = next((found.group() for pattern in _TAIL if (found := pattern.search(shared))), "")
    if len(shared) - len(tail) > LONG:
        tail = shared[len(shared.split()[0]) :]
    return _checked(texts, head, tail)


def fitted(texts: Sequence[str], frame: str) -> list[str] | None:
    """The questions of texts that all stand in this frame; None when one does not."""
    head, _, tail = frame.partition(SLOT)
    fits = all(
        text.startswith(head) and text.endswith(tail) and len(text) >= len(head) + len(tail) and frame.count(SLOT) == 1
        for text in texts
    )
    return [text[len(head) : len(text) - len(tail)] for text in texts] if fits else None


def shared_start(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts, default=""), max(texts, default="")
    return first[
        : next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    ]


def _checked(texts: Sequence[str], head: str, tail: str) -> tuple[str, list[str]]:
    """The longest of these frames that leaves every question something to say."""
    for frame in (head + SLOT + tail, head + SLOT, SLOT + tail):
        questions = fitted(texts, frame)
        if questions is not None and all(question.strip() for question in questions):
            return frame, questions
    return SLOT, list(texts)


def _around(text: str, part: str) -> tuple[str, str] | None:
    at = text.rfind(part) if part else -1
    return (text[:at], text[at + len(part) :]) if at >= 0 else None
