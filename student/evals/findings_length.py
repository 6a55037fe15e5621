"""Do the questions fit the student, and the right answers the room they are given?

With a student named, lengths are exact: in its tokens, with its chat template and the instruction an untouched student is
shown. Without one they are bounded: no tokenizer makes more than one token of a byte, and most make one of about four.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from student.evals.findings import Finding, Suite
from student.evals.lengths import Ruler
from student.evals.words import brief, plural, plural_of, some
from student.prompting import Ask
from student.records import Seed
from student.settings import TrainSettings

SMALL_CONTEXT = 2048
"""What nearly every small student takes."""
BYTES_A_TOKEN = 4
"""In English; fewer in most other languages."""
MEASURED = 5_000
"""Items that are tokenized: the longest in bytes."""
TRAINED = TrainSettings().max_tokens
NOTHING = Seed(id="", prompt="", answer="")


def lengths(suite: Suite, ruler: Ruler | None) -> Iterator[Finding]:
    """Questions too long for the student, answers too long for max_new_tokens or for training."""
    if not suite.items:
        return
    if ruler is None:
        suite.sampled.append(
            "lengths are estimates, 4 bytes a token; name a student with --student for its exact tokens"
        )
        yield from _estimated(suite)
    else:
        what = (
            f"the {MEASURED:,} longest of {len(suite.items):,} {plural_of(suite.noun)}"
            if len(suite.items) > MEASURED
            else f"all {plural_of(suite.noun)}"
        )
        suite.sampled.append(f"lengths are in tokens of {ruler.name}, counted for {what}")
        yield from _measured(suite, ruler)


def ask_of(suite: Suite) -> Ask:
    """How an untouched student is asked: with the task before the question."""
    spec = suite.loaded.spec
    lines = [f"- {label}: {text}" if text else f"- {label}" for label, text in spec.labels.items()]
    task = "\n".join([spec.instruction.strip(), *lines]).strip()
    return Ask(
        frame=spec.frame, format=spec.format, lead=f"{task}\n\n" if task else "", system=spec.system, join=spec.join
    )  # fmt: skip


def _bytes(item: Seed) -> int:
    texts = [turn.content for turn in item.turns] or [item.prompt]
    return sum(len(text.encode("utf-8", "replace")) + 16 for text in texts)


def _answer_bytes(item: Seed) -> int:
    return len(item.answer.encode("utf-8", "replace"))


def _measured(suite: Suite, ruler: Ruler) -> Iterator[Finding]:
    """Exact: an item that is short in bytes is no longer in tokens, so only the longest need be tokenized."""
    spec, ask = suite.loaded.spec, ask_of(suite)
    bare, answer = ruler.question(ask.model_copy(update={"lead": ""})), ruler.answer(ask)
    longest = heapq.nlargest(MEASURED, suite.items, key=_bytes)
    lead = ruler.question(ask)(NOTHING) - bare(NOTHING)
    sizes = {id(item): bare(item) + lead for item in longest}
    most = max(longest, key=lambda item: sizes[id(item)])
    room = spec.max_new_tokens if spec.kind == "generate" else max(map(answer, _distinct_choices(suite)), default=0)
    if ruler.context and sizes[id(most)] + room > ruler.context:
        long = [item for item in longest if sizes[id(item)] + room > (ruler.context or 0)]
        yield _too_long(
            suite, long, f"more than the {ruler.context:,} tokens {ruler.name} takes, with {room} for the answer"
        )
    else:
        yield Finding(
            level="note", code="length", where="", count=sizes[id(most)], examples=(f"{most.id}: {brief(most.prompt)}",),
            text=f"The longest {suite.noun} has {sizes[id(most)]:,} tokens with the instruction, and {room} more are kept for the answer; "
            f"{ruler.name} takes {f'{ruler.context:,}' if ruler.context else 'an unknown number'}.",
        )  # fmt: skip
    spelt = heapq.nlargest(MEASURED, suite.items, key=_answer_bytes)
    trained = [
        item
        for item in {id(item): item for item in (*longest, *spelt)}.values()
        if _bytes(item) + _answer_bytes(item) > TRAINED
    ]
    yield from _untaught(suite, [item for item in trained if bare(item) + answer(item) > TRAINED])
    yield from _cut(
        suite,
        [item for item in spelt if _answer_bytes(item) > spec.max_new_tokens and answer(item) > spec.max_new_tokens],
    )


def _distinct_choices(suite: Suite) -> list[Seed]:
    """Stand-ins for the longest choices that occur, to be measured as answers."""
    choices = {choice for item in suite.items for choice in item.choices}
    return [NOTHING.model_copy(update={"answer": choice}) for choice in heapq.nlargest(100, choices, key=len)]


def _estimated(suite: Suite) -> Iterator[Finding]:
    spec = suite.loaded.spec
    lead = len(ask_of(suite).lead.encode("utf-8", "replace"))
    item = max(suite.items, key=_bytes)
    most, room = lead + _bytes(item), spec.max_new_tokens if spec.kind == "generate" else 0
    if most / BYTES_A_TOKEN + room > SMALL_CONTEXT:
        limit = (SMALL_CONTEXT - room) * BYTES_A_TOKEN - lead
        long = [one for one in suite.items if _bytes(one) > limit]
        yield _too_long(
            suite, long, f"more than about {SMALL_CONTEXT:,} tokens, which is all that many small students take"
        )
    else:
        yield Finding(
            level="note", code="length", where="", count=most, examples=(f"{item.id}: {brief(item.prompt)}",),
            text=f"The longest {suite.noun} has {most:,} bytes with the instruction: about {most // BYTES_A_TOKEN:,} tokens, never more "
            f"than {most:,}. Small students take {SMALL_CONTEXT:,} or more.",
        )  # fmt: skip
    answers = [(one, _answer_bytes(one)) for one in suite.items]
    yield from _untaught(suite, [one for one, size in answers if _bytes(one) + size > BYTES_A_TOKEN * TRAINED])
    yield from _cut(suite, [one for one, size in answers if size > BYTES_A_TOKEN * spec.max_new_tokens])


def _too_long(suite: Suite, items: list[Seed], why: str) -> Finding:
    return Finding(
        level="warning", code="too-long", where="", count=len(items),
        text=f"{plural(len(items), suite.noun)} with {why}. A student cannot read them whole: shorten them, or use a student with a longer "
        "context.",
        examples=some(f"{item.id}: {len(item.prompt):,} characters, {brief(item.prompt, 60)}" for item in items),
    )  # fmt: skip


def _untaught(suite: Suite, items: list[Seed]) -> Iterator[Finding]:
    if items:
        yield Finding(
            level="warning", code="too-long-to-train", where="", count=len(items),
            text=f"{plural(len(items), suite.noun)} with answer of more than {TRAINED:,} tokens: in `mine`, training leaves such ones out. "
            "Raise train.max_tokens, or shorten them.",
            examples=some(f"{item.id}: {brief(item.prompt, 60)}" for item in items),
        )  # fmt: skip


def _cut(suite: Suite, items: list[Seed]) -> Iterator[Finding]:
    spec = suite.loaded.spec
    if items and spec.kind == "generate":
        yield Finding(
            level="warning", code="answer-too-long", where="max_new_tokens", count=len(items),
            text=f"{plural(len(items), suite.noun)} whose right answer is longer than max_new_tokens={spec.max_new_tokens}: a student "
            "that gives it is cut off, which counts as truncated, not as right. Raise max_new_tokens.",
            examples=some(f"{item.id}: {len(item.answer):,} characters, {brief(item.answer, 60)}" for item in items),
        )  # fmt: skip
