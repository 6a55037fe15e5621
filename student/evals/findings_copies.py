"""Do items repeat one another where it does harm: across splits, or with two different answers?

Exact copies are the loader's business. Here all texts are grouped by likeness once (`student.grouping`), and only members of
one group are compared, so that 200,000 of them take seconds. A look-alike of a `test` item among those trained on makes
the score better than the student is; two answers to one question make some of them wrong whatever is said.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate

from student.evals.findings import Finding, Suite
from student.evals.splits import SAME_GROUP
from student.evals.words import brief, plural, plural_of, share
from student.grade import RawAnswer
from student.grouping import groups, similar_pairs
from student.records import Seed, Split
from student.similar import Numbers

SAME_QUESTION = 0.9
"""From this likeness on, numbers counting as they are, two answers are a contradiction."""
AT_MOST = 40_000
"""Texts whose pairs are looked for,"""
LETTERS = 8_000_000
"""and their letters in all."""
PAIRS = 5_000
"""Pairs that are counted."""


def copies(suite: Suite) -> Iterator[Finding]:
    """Look-alikes across splits, and conflicting answers to near-identical questions."""
    items = suite.items
    texts = [" ".join((item.prompt, *item.choices)) if not suite.loaded.spec.labels else item.prompt for item in items]
    numbers: Numbers = "keep" if suite.loaded.spec.scorer.name in ("number", "math") else "fold"
    which = groups(texts, SAME_GROUP, lambda done, total: suite.on_stage("look-alikes", done, total), numbers)
    members = defaultdict[int, list[int]](list)
    for at, group in enumerate(which):
        members[group].append(at)
    twins = [group for group in members.values() if len(group) > 1]
    yield from _across(suite, texts, [at for group in twins for at in group], numbers)
    yield from _contradictions(suite, texts, [at for group in twins for at in group])


def _across(suite: Suite, texts: list[str], twins: list[int], numbers: Numbers) -> Iterator[Finding]:
    """Per pair of splits: how many items have a look-alike on the other side, the most alike listed."""
    roles = suite.role_of
    places = _at_most(
        suite, texts, [at for at in twins if roles[at]], "look-alikes across splits were looked for among"
    )
    pairs = similar_pairs([texts[at] for at in places], SAME_GROUP, PAIRS, [roles[at] for at in places], numbers)
    between = defaultdict[tuple[Split, Split], list[tuple[int, int, float]]](list)
    for left, right, similarity in pairs:
        one, other = sorted((places[left], places[right]), key=lambda at: ROLE_ORDER.index(roles[at]))
        between[roles[one], roles[other]].append((one, other, similarity))  # type: ignore[index]  "" was left out
    for (here, there), found in sorted(between.items(), key=lambda pair: ROLE_ORDER.index(pair[0][1]), reverse=True):
        yield _look_alikes(suite, (here, there), found, len(pairs) >= PAIRS)


ROLE_ORDER = ("mine", "select", "test", "")


def _look_alikes(
    suite: Suite, where: tuple[Split, Split], found: list[tuple[int, int, float]], more: bool
) -> Finding:  # fmt: skip
    here, there = where
    held = {other for _, other, _ in found}
    first: dict[int, tuple[int, int, float]] = {}
    for pair in found:
        first.setdefault(pair[1], pair)  # the most alike of each
    same = {other for _, other, similarity in found if similarity >= 0.999}
    part = len(held) / len(suite.roles[there])
    why = (
        "so a score on it is better than the student is"
        if there == "test"
        else "so the choice of a round leans on them"
    )
    text = (
        f"{'At least ' * more}{plural(len(held), suite.noun)} of {there} ({share(part)}) {'have' if len(held) != 1 else 'has'} a "
        f"look-alike in {here}"
        + (f", {len(same):,} of them the same but for case, marks and numbers" if same else "")
        + (f": {here} is trained on, {why}." if here == "mine" else ".")
        + " Delete one of each pair, or put both into one split."
    )
    examples = [
        f"{similarity:.2f}  {here}: {brief(suite.items[one].prompt, 60)}  |  {there}: {brief(suite.items[other].prompt, 60)}"
        for one, other, similarity in first.values()
    ][:8]
    level = "warning" if here == "mine" and (part >= 0.01 or same) else "note"
    return Finding(
        level=level, code="look-alikes", where=f"{here} / {there}", text=text, count=len(held), examples=tuple(examples)
    )


def _contradictions(suite: Suite, texts: list[str], twins: list[int]) -> Iterator[Finding]:
    items = suite.items
    places = _at_most(suite, texts, twins, "conflicting answers were looked for among")
    answers = [items[at].answer for at in places]
    pairs = similar_pairs([texts[at] for at in places], SAME_QUESTION, PAIRS, answers, "keep")
    differ = _not_equal(suite, [(items[places[left]], items[places[right]]) for left, right, _ in pairs])
    found = [(pair, similarity) for pair, (_, _, similarity) in zip(differ, pairs, strict=True) if pair]
    if not found:
        return
    more = "At least " * (len(pairs) >= PAIRS)
    yield Finding(
        level="warning", code="conflicting-answers", where="", count=len(found),
        text=f"{more}{plural(len(found), 'pair')} of nearly the same {suite.noun} with two different answers. One of the two is "
        "wrong, or a word that decides is easily missed: correct them, or delete one.",
        examples=tuple(
            f"{similarity:.2f}  {brief(one.prompt, 55)} -> {brief(one.answer, 20)}  |  "
            f"{brief(other.prompt, 55)} -> {brief(other.answer, 20)}"
            for (one, other), similarity in found[:8]
        ),
    )  # fmt: skip


def _not_equal(suite: Suite, pairs: Sequence[tuple[Seed, Seed]]) -> list[tuple[Seed, Seed] | None]:
    """The pairs whose answers the scorer takes for different; None for the others."""
    if suite.loaded.spec.kind == "choice" or suite.loaded.host or not pairs:
        return list(pairs)
    given: list[RawAnswer] = [{"text": other.answer, "truncated": False} for _, other in pairs]
    attempts = suite.score([one for one, _ in pairs], given)
    return [None if attempt.right else pair for pair, attempt in zip(pairs, attempts, strict=True)]


def _at_most(suite: Suite, texts: list[str], places: list[int], what: str) -> list[int]:
    """The first so many of those that have any look-alike; said where it is not all."""
    room = list(accumulate(len(texts[at]) for at in places))
    most = min(AT_MOST, bisect_right(room, LETTERS))
    if len(places) <= most:
        return places
    suite.sampled.append(f"{what} the first {most:,} of {len(places):,} {plural_of(suite.noun)} that have look-alikes")
    return places[:most]
