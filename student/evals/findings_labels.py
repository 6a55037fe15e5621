"""Are the classes there in every split, are they in balance, and does the set say what they mean?

An accuracy means little beside what a student gets that always says the same, so that number is worked out here. A student
learns nothing of a label that is missing in `mine`, and a label that is missing in `test` is never examined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import sqrt

from student.evals.findings import Finding, Suite
from student.evals.names import is_code, is_mute
from student.evals.words import brief, plural, plural_of, share
from student.records import Seed, Split


def labels(suite: Suite) -> Iterator[Finding]:
    """Classes, their balance and their descriptions; for choices of its own an item's, where the right one stands."""
    spec = suite.loaded.spec
    if spec.kind != "choice":
        return
    if not spec.labels:
        yield from _positions(suite)
        return
    yield from _missing(suite)
    yield from _majority(suite)
    yield from _undescribed(suite)
    yield from _codes(suite)


def classes(suite: Suite) -> dict[str, dict[Split, int]]:
    """Items by label and role; of the whole set where roles could not be dealt out."""
    counts: dict[Split, Counter[str]] = {
        role: Counter(one.answer for one in items) for role, items in suite.roles.items()
    }
    found: dict[str, dict[Split, int]] = {}
    for label in suite.loaded.spec.labels:
        found[label] = {role: count[label] for role, count in counts.items()}
    return found


def majority(suite: Suite) -> float | None:
    """The accuracy on `test` of always giving its most frequent answer."""
    items: Sequence[Seed] = suite.roles.get("test", [])
    if not items or suite.loaded.spec.kind != "choice" or not suite.loaded.spec.labels:
        return None
    return Counter(item.answer for item in items).most_common(1)[0][1] / len(items)


def chance(suite: Suite) -> float | None:
    """The accuracy of picking blindly."""
    sizes = [len(item.choices) for item in suite.items if item.choices]
    return sum(1 / size for size in sizes) / len(sizes) if sizes and suite.loaded.spec.kind == "choice" else None


def _missing(suite: Suite) -> Iterator[Finding]:
    counts = classes(suite)
    everywhere = Counter(item.answer for item in suite.items)
    unused = [label for label in counts if not everywhere[label]]
    if unused:
        yield Finding(
            level="warning", code="label-without-items", where="labels", count=len(unused), examples=(_named(unused),),
            text=f"{plural(len(unused), 'label')} without a single {suite.noun}. Correct the spelling, add {plural_of(suite.noun)}, "
            "or take it out of `labels`.",
        )  # fmt: skip
    why = {
        "mine": "so a student can learn nothing about it",
        "select": "so the choice of the best round is blind to it",
        "test": "so it is never examined",
    }
    for role, items in suite.roles.items():
        gone = [label for label in counts if everywhere[label] and not counts[label].get(role)]
        if gone and items:
            yield Finding(
                level="warning", code="label-not-in-split", where=role, count=len(gone), examples=(_named(gone),),
                text=f"{plural(len(gone), 'label')} without a {suite.noun} in {role}, {why[role]}. Make the split larger, or add "
                f"{plural_of(suite.noun)} of these labels.",
            )  # fmt: skip


def _majority(suite: Suite) -> Iterator[Finding]:
    for role, items in suite.roles.items():
        if not items:
            continue
        top, count = Counter(item.answer for item in items).most_common(1)[0]
        part = count / len(items)
        even = 1 / len(suite.loaded.spec.labels)
        if role == "test":
            yield Finding(
                level="warning" if part >= 0.8 else "note", code="majority", where=role, count=count,
                text=f"A student that always says {top!r} is right on {share(part)} of test; one that picks blindly, on "
                f"{share(even)}."
                + (" Accuracy hides the rare labels here: look at the table by skill, or balance the split." * (part >= 0.8)),
            )  # fmt: skip
        elif part >= 0.9:
            yield Finding(
                level="warning", code="majority", where=role, count=count,
                text=f"{share(part)} of {role} has one label, {top!r}. There is little to learn from or to choose by; balance the split.",
            )  # fmt: skip


def _undescribed(suite: Suite) -> Iterator[Finding]:
    spec = suite.loaded.spec
    bare = [label for label, meaning in spec.labels.items() if not meaning.strip()]
    if not bare:
        return
    mute = [label for label in bare if is_mute(label)]
    yield Finding(
        level="warning", code="label-without-description", where="labels", count=len(bare), examples=(_named(mute or bare),),
        text=f"{len(bare)} of {plural(len(spec.labels), 'label')} without a description. The teacher and the untouched student know "
        "them by their names alone"
        + (", and these names say nothing: give them words with `label_names`, and" if mute else ":")
        + " write under `labels` what belongs to each.",
    )  # fmt: skip


def _codes(suite: Suite) -> Iterator[Finding]:
    codes = [label for label in suite.loaded.spec.labels if is_code(label)]
    if len(codes) > 1:
        yield Finding(
            level="note", code="label-is-a-code", where="labels", count=len(codes), examples=(_named(codes),),
            text=f"{plural(len(codes), 'label')} that look like codes. A student learns sooner what a word says by itself: where "
            f"these are no words, name them with `label_names: {{{codes[0]}: WORD}}`, and use the words under `labels`.",
        )  # fmt: skip


def _named(labels: Sequence[str]) -> str:
    """Labels on one line, the first of many."""
    more = f" and {len(labels) - 12} more" if len(labels) > 12 else ""
    return ", ".join(brief(label, 40) for label in labels[:12]) + more


def _positions(suite: Suite) -> Iterator[Finding]:
    """Whether the right answer stands in one place more often than by luck (four standard deviations)."""
    placed = Counter(
        (len(item.choices), item.choices.index(item.answer)) for item in suite.items if item.answer in item.choices
    )
    sizes = Counter(len(item.choices) for item in suite.items)
    for (size, at), count in placed.most_common(1):
        total = sizes[size]
        if count > total / size + 4 * sqrt(total / size * (1 - 1 / size)):
            yield Finding(
                level="warning" if count > 1.5 * total / size else "note", code="position", where="choices", count=count,
                text=f"Of {total:,} {plural_of(suite.noun)} with {size} choices, {share(count / total)} have the right one in place "
                f"{at + 1}; by chance it would be {share(1 / size)}. A student can learn the place instead: shuffle the choices.",
            )  # fmt: skip
