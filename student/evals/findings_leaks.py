"""Does the question give its own answer away?

A label's word in the text is no leak by itself: tickets about printers say "printer". So it is held against chance: how often
a question that names exactly one label has that label, and how many questions a reader gets right who looks for nothing
else. For written answers, how often the right answer stands in its question, against how often another item's does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from student.evals.findings import Finding, Suite
from student.evals.words import brief, plural, share, some
from student.records import Seed
from student.similar import fold

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-/]+")
_MARKED = re.compile(r"####\s*(.+)")
CLEAR = 4.0
"""Standard deviations from chance that make a finding."""


def leaks(suite: Suite) -> Iterator[Finding]:
    """Label words, choices or answers that stand in the question and tell the answer."""
    if suite.loaded.spec.labels:
        yield from _labels(suite)
    elif suite.loaded.spec.kind == "choice":
        yield from _choices(suite)
    else:
        yield from _answers(suite)


def _labels(suite: Suite) -> Iterator[Finding]:
    phrases = {fold(phrase): label for label in suite.loaded.spec.labels for phrase in (label, _CAMEL.sub(" ", label))}
    phrases = {phrase: label for phrase, label in phrases.items() if len(phrase) > 1 and not phrase.isdigit()}
    firsts = {phrase.split(" ")[0] for phrase in phrases if phrase}
    named = [
        (item, said)
        for item, text in zip(suite.items, suite.folded, strict=True)
        if (said := _named(text, phrases, firsts))
    ]
    clear = [(item, next(iter(said))) for item, said in named if len(said) == 1]
    right = [(item, label) for item, label in clear if item.answer == label]
    shares = Counter(item.answer for item in suite.items)
    expected = sum(shares[label] for _, label in clear) / max(1, len(suite.items))
    if not _beyond(len(right), expected, len(clear)):
        return
    part, known = len(right) / len(clear), len(right) / len(suite.items)
    yield Finding(
        level="warning" if known >= 0.5 and part >= 0.8 else "note", code="label-in-question", where="labels", count=len(right),
        text=f"{plural(len(clear), suite.noun)} ({share(len(clear) / len(suite.items))}) "
        f"{'name' if len(clear) != 1 else 'names'} exactly one label, and in {share(part)} of them it is the right one (by chance "
        f"{share(expected / len(clear))}). If your users write so, that is fine; if the label got into the text with the data, "
        "take it out.",
        examples=some(f"{label}: {_around(item.prompt, label)}" for item, label in right),
    )  # fmt: skip


def _around(text: str, label: str) -> str:
    """The piece of a text in which a label's word stands."""
    low = text.casefold()
    at = max(low.find(label.casefold()), low.find(_CAMEL.sub(" ", label).casefold()), 0)
    return brief(("…" if at > 40 else "") + text[at - 40 if at > 40 else 0 : at + 50], 95)


def _named(text: str, phrases: dict[str, str], firsts: set[str]) -> set[str]:
    """The labels whose words stand in a folded text."""
    if firsts.isdisjoint(text.split(" ")):
        return set()
    padded = f" {text} "
    return {label for phrase, label in phrases.items() if f" {phrase} " in padded}


def _choices(suite: Suite) -> Iterator[Finding]:
    """Questions that hold exactly one of their choices."""
    clear = list[tuple[Seed, str]]()
    expected = 0.0
    for item, text in zip(suite.items, suite.folded, strict=True):
        padded = f" {text} "
        said = [choice for choice in item.choices if len(key := fold(choice, "keep")) > 2 and f" {key} " in padded]
        if len(said) == 1:
            clear.append((item, said[0]))
            expected += 1 / len(item.choices)
    right = [item for item, choice in clear if item.answer == choice]
    if _beyond(len(right), expected, len(clear)):
        known = len(right) / len(suite.items)
        yield Finding(
            level="warning" if known >= 0.2 else "note", code="choice-in-question", where="choices", count=len(right),
            text=f"{plural(len(clear), suite.noun)} ({share(len(clear) / len(suite.items))}) hold exactly one of their choices, and in "
            f"{share(len(right) / len(clear))} of them it is the right one (by chance {share(expected / len(clear))}). Fine for questions "
            "about a text; elsewhere a student can answer by looking for the words.",
            examples=some(f"{brief(item.answer, 30)}: {brief(item.prompt)}" for item in right),
        )  # fmt: skip


def _answers(suite: Suite) -> Iterator[Finding]:
    """Right answers in their own questions, against right answers of other items in the same questions."""
    keys = [_key(item.answer) for item in suite.items]
    half = len(keys) // 2 + 1
    own = list[int]()
    other = tried = 0
    for at, text in enumerate(suite.folded):
        padded, key, foreign = f" {text} ", keys[at], keys[(at + half) % len(keys)]
        if key and f" {key} " in padded:
            own.append(at)
        if foreign and foreign != key:
            tried += 1
            other += f" {foreign} " in padded
    expected = len(keys) * other / max(1, tried)
    long_ones = [at for at in own if len(keys[at]) >= 20]
    if not _beyond(len(own), expected, len(keys)) and not long_ones:
        return
    part = len(own) / len(keys)
    yield Finding(
        level="warning" if part - expected / len(keys) >= 0.2 else "note", code="answer-in-question", where="", count=len(own),
        text=f"The right answer stands in the {suite.noun} itself in {len(own):,} of {len(keys):,} ({share(part)}; another item's does in "
        f"{share(expected / len(keys))}). Fine where the task is to find it in a text; otherwise it is a leak: take it out.",
        examples=some(f"{brief(suite.items[at].answer, 30)}: {brief(suite.items[at].prompt)}" for at in long_ones + own),
    )  # fmt: skip


def _key(answer: str) -> str:
    """What of an answer is looked for: what stands after ####, or all of it."""
    marked = _MARKED.findall(answer)
    return fold(marked[-1] if marked else answer, "keep")


def _beyond(seen: int, expected: float, total: int) -> bool:
    """Whether `seen` of `total` is far above what is expected by chance."""
    if total == 0 or seen < 5:
        return False
    chance = min(0.999, max(expected, 0.5) / total)
    return seen > expected + CLEAR * (total * chance * (1 - chance)) ** 0.5
