"""Does the scorer give every right answer 1, and wrong ones 0? If not, no student's score means anything.

The right answers are put to the scorer as if a student had given them, once whole and once as far as the stop texts let a
student get. Then wrong ones that the scorers' room plants: another item's answer, a number one off, a refusal, nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from student.errors import StudentError
from student.evals.findings import Finding, Suite
from student.evals.words import brief, plural, plural_of, some
from student.grade import RawAnswer
from student.records import Item, Seed
from student.scorers.planted import planted_wrong
from student.scorers.traps import self_test

AT_MOST = 20_000
"""Answers that are scored, for a scorer that is a function."""
AT_MOST_FAR = 200
"""The same, for one in another process."""
SOME = 2_000
"""Items in which wrong answers are planted: up to eight each."""
FEW = 200
"""The same, where comparing two answers takes milliseconds."""


def gold(suite: Suite) -> Iterator[Finding]:
    """Right answers that are scored as wrong, and wrong ones that are scored as right."""
    items = _sample(suite)
    if not items:
        return
    try:
        yield from _choices(suite, items) if suite.loaded.spec.kind == "choice" else _texts(suite, items)
    except StudentError as error:  # a hosted task may ask more than one question an item
        yield Finding(
            level="note", code="gold-not-scored", where="", count=len(items),
            text=f"The right answers could not be put to the task's own scorer: {error}",
        )  # fmt: skip


def _sample(suite: Suite) -> list[Seed]:
    items = suite.items
    most = AT_MOST_FAR if suite.loaded.host else AT_MOST
    if len(items) <= most:
        return items
    suite.sampled.append(
        f"right and wrong answers were put to the scorer for {most:,} of {len(items):,} {plural_of(suite.noun)}"
    )
    step = len(items) / most
    return [items[int(at * step)] for at in range(most)]


def _choices(suite: Suite, items: list[Seed]) -> Iterator[Finding]:
    strange = [item for item in items if len(set(item.choices)) < len(item.choices) or item.answer not in item.choices]
    if strange:
        yield Finding(
            level="error", code="choices", where="choices", count=len(strange),
            text=f"{plural(len(strange), suite.noun)} with the same choice twice, or without the right one among them. Correct the rows.",
            examples=some(f"{item.id}: {brief(' | '.join(item.choices), 60)} -> {brief(item.answer, 25)}" for item in strange),
        )  # fmt: skip
    whole = [item for item in items if item not in strange] if strange else items
    yield from _judged(suite, "gold", whole, [_picked(item, item.choices.index(item.answer)) for item in whole])
    wrong = [_picked(item, (item.choices.index(item.answer) + 1) % len(item.choices)) for item in whole]
    yield from _judged(suite, "planted", whole, wrong)


def _picked(item: Seed, place: int) -> RawAnswer:
    """As if a student were sure of the choice at `place`."""
    scores = [0.0 if at == place else -1000.0 * len(choice) for at, choice in enumerate(item.choices)]
    return {"scores": scores, "greedy": [at == place for at in range(len(item.choices))]}


def _texts(suite: Suite, items: list[Seed]) -> Iterator[Finding]:
    yield from _trapped(suite)
    found = [*_judged(suite, "gold", items, [_written(item.answer) for item in items])]
    yield from found
    if not found:
        cut = [_until(item.answer, suite.loaded.spec.stop) for item in items]
        hit = [(item, text) for item, text in zip(items, cut, strict=True) if text != item.answer.strip()]
        yield from _judged(suite, "stop", [item for item, _ in hit], [_written(text) for _, text in hit], len(items))
    if suite.loaded.host is None:
        yield from _planted(suite, items)


def _written(text: str) -> RawAnswer:
    return {"text": text, "truncated": False}


def _until(text: str, stop: Sequence[str]) -> str:
    cuts = [at for at in (text.find(one) for one in stop) if at >= 0]
    return (text[: min(cuts)] if cuts else text).strip()


def _trapped(suite: Suite) -> Iterator[Finding]:
    """The scorer's own traps: nothing of this set, but of the code that will judge it."""
    if suite.loaded.host is None and (fell := self_test(suite.loaded.spec.scorer)):
        yield Finding(
            level="error", code="scorer-self-test", where="scorer", count=len(fell),
            text=f"`{suite.loaded.spec.scorer.name}` falls for {plural(len(fell), 'trap')} of its own self-test: please report it.",
            examples=some(one.why for one in fell),
        )  # fmt: skip


def _planted(suite: Suite, items: list[Seed]) -> Iterator[Finding]:
    """Answers that are wrong beyond argument, made by the scorers' own room."""
    spec = suite.loaded.spec.scorer
    most = FEW if spec.name == "math" else SOME
    step = max(1.0, len(items) / most)
    chosen = [items[int(at * step)] for at in range(min(most, len(items)))]
    if len(chosen) < len(items):
        suite.sampled.append(
            f"wrong answers were planted in {len(chosen):,} of {len(suite.items):,} {plural_of(suite.noun)}"
        )
    half = len(chosen) // 2
    planted = [
        (item, wrong)
        for at, item in enumerate(chosen)
        for wrong in planted_wrong(
            spec, item.answer, [chosen[(at + hop) % len(chosen)].answer for hop in (half, half + 1)]
        )
    ]
    yield from _judged(suite, "planted", [item for item, _ in planted], [_written(wrong) for _, wrong in planted])


def _judged(
    suite: Suite, code: Literal["gold", "stop", "planted"], items: Sequence[Item], answers: list[RawAnswer], total: int = 0
) -> Iterator[Finding]:  # fmt: skip
    """Put answers to the scorer; a finding where it does not say what it should."""
    attempts = suite.score(items, answers) if items else []
    should = code != "planted"
    bad = [(item, one) for item, one in zip(items, attempts, strict=True) if one.right != should]
    if not bad:
        return
    name = suite.loaded.spec.scorer.name
    many = f"{plural(len(bad), suite.noun)} of {total or len(items):,}"
    text = {
        "gold": f"{many}: the scorer {name!r} does not take the set's own right answer for right. Correct these answers, or choose "
        "another scorer.",
        "stop": f"{many}: the right answer holds a stop text, so a student that gives it is cut off before it is right. Take the "
        "text out of `stop`.",
        "planted": f"{len(bad):,} of {len(items):,} answers that are wrong on purpose: the scorer {name!r} takes them for right, so a "
        "student can be right by accident. Choose a stricter scorer.",
    }[code]
    level = "error" if should or len(bad) > 0.01 * len(items) else "warning"
    yield Finding(
        level=level, code=f"{code}-answer", where="", text=text, count=len(bad),
        examples=some(f"{item.id}: {brief(item.answer, 45)!r} <- {brief(one.output, 45)!r}" for item, one in bad[:50]),
    )  # fmt: skip
