"""Find out what is wrong with an eval set before a token is spent.

In: what was typed after `evals check`. Out: a `Report` of findings, each from one of the looks in `findings_*.py`. Rows that
cannot be read are findings, too, as long as some can; only what leaves nothing to look at is raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from student.evals.findings import Finding, Level, OnStage, Report, Suite
from student.evals.findings_copies import copies
from student.evals.findings_gold import gold
from student.evals.findings_ids import ids
from student.evals.findings_labels import chance, classes, labels, majority
from student.evals.findings_leaks import leaks
from student.evals.findings_length import lengths
from student.evals.findings_text import texts
from student.evals.lengths import Ruler
from student.evals.load import FEW, Loaded, deal_roles, read_parts
from student.evals.spec import ROLES, EvalError, Part
from student.evals.words import plural, plural_of
from student.grade import RawAnswer, grade
from student.records import Attempt, Item, Seed, Split

LOOKS: dict[str, Callable[[Suite], Iterator[Finding]]] = {
    "ids": ids, "texts": texts, "labels": labels, "right answers": gold, "leaks": leaks, "look-alikes": copies,
}  # fmt: skip
"""Everything that is looked at, by what the progress line calls it."""
ORDER: tuple[Level, ...] = ("error", "warning", "note")


class Troubles:
    """What is wrong with single rows: counted by reason, the first few kept."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.first: dict[str, list[str]] = {}

    def __call__(self, error: EvalError) -> None:
        """Called once for each row that cannot be used."""
        reason = getattr(error, "reason", "rows that cannot be read")
        self.counts[reason] += 1
        kept = self.first.setdefault(reason, [])
        if len(kept) < 5:
            kept.append(str(error))

    def findings(self) -> Iterator[Finding]:
        for reason, count in self.counts.most_common():
            yield Finding(
                level="error", code="row", where=reason, count=count, examples=tuple(self.first[reason]),
                text=f"{plural(count, 'row')} cannot be used: {reason}. A run stops at the first of them.",
            )  # fmt: skip


def check_evals(
    source: str | Path, allow_code: bool = False, measure: Ruler | None = None,
    on_stage: OnStage = lambda what, done, total: None,
) -> Report:  # fmt: skip
    """Everything that is to be said about an eval set. Raises EvalError when there is nothing to look at."""
    troubles = Troubles()
    try:
        loaded = read_parts(source, allow_code, lambda done, total: on_stage("reading", done, total), troubles)
    except EvalError as error:
        if not troubles.counts:
            raise
        return _nothing_left(str(source), [*troubles.findings(), _unusable("source", error)])
    try:
        found = list(troubles.findings())
        on_stage("splits", 0, None)
        roles, unsplit = _dealt(loaded)
        suite = Suite(loaded, roles, _scorer(loaded), on_stage, [])
        found += [*unsplit, *_hosted(loaded), *_left_out(suite, troubles.counts), *_looked(suite, measure)]
        return _report(suite, str(source), found)
    finally:
        if loaded.host is not None:
            loaded.host.close()


def _looked(suite: Suite, measure: Ruler | None) -> Iterator[Finding]:
    for what, look in LOOKS.items():
        suite.on_stage(what, 0, None)
        yield from look(suite)
    suite.on_stage("lengths", 0, None)
    yield from lengths(suite, measure)


def _scorer(loaded: Loaded) -> Callable[..., list[Attempt]]:
    """The set's own way to score, without a student behind it."""

    def again(_: object) -> list[RawAnswer]:
        raise EvalError("it asks a student more than once for one item, so an answer by itself has no score")

    def score(items: list[Item], answers: list[RawAnswer]) -> list[Attempt]:
        if loaded.host is not None:
            return loaded.host.attempts(items, answers, again)
        return grade(loaded.spec, items, answers)

    return score


def _dealt(loaded: Loaded) -> tuple[dict[Split, list[Seed]], list[Finding]]:
    """Who gets what; and what is wrong with that."""
    try:
        roles = deal_roles(loaded, without_select=True)
        text = "No items are set apart to choose rounds by (select), so a run compares its rounds by cross-fitting."
        note = Finding(level="note", code="no-select", where="splits", text=text)
        return roles, [_few(loaded, roles)] if 0 < len(roles["select"]) < FEW else [] if roles["select"] else [note]
    except EvalError as error:
        wrong = error
    try:
        roles = deal_roles(loaded, score_only=True)
    except EvalError:
        return {}, [_unusable("splits", wrong)]
    why = loaded.score_only or "There is a test split only."
    text = f"{why} Models can be scored on it (`llm2llm evals score`), but nothing can be learned from it."
    return roles, [Finding(level="warning", code="test-only", where="splits", text=text, count=len(roles["test"]))]


def _few(loaded: Loaded, roles: dict[Split, list[Seed]]) -> Finding:
    """That a run as it comes uses a small `select` in another way."""
    size, seeds = len(roles["select"]), len(roles["select"]) + len(roles["mine"])
    return Finding(
        level="note", code="few-select", where="splits", count=size,
        text=f"select has {plural(size, loaded.spec.noun)}: too few to tell rounds apart (fewer than {FEW}). So the seeds of a run are all "
        f"{seeds:,} outside test, and its rounds are compared by cross-fitting, unless it is begun with --set mode=select.",
    )  # fmt: skip


def _hosted(loaded: Loaded) -> Iterator[Finding]:
    """What is to be known of a task written for another tool."""
    for text in loaded.notes:
        yield Finding(level="note", code="task", where="", text=text)


def _unusable(code: str, error: EvalError) -> Finding:
    return Finding(level="error", code=code, where="", text=str(error))


def _left_out(suite: Suite, told: Collection[str]) -> Iterator[Finding]:
    """Rows that the loader leaves out, but for those that were told one by one; and items that no role takes."""
    for reason, count in suite.loaded.dropped.items():
        if count and reason not in told:
            serious = reason not in ("exact repeat", "also in test")
            why = {
                "exact repeat": f"The same {suite.noun} with the same answer stands in the file before; one of each is kept.",
                "also in test": "They stand in test, too, with the same words in the same order, and are kept there only.",
            }.get(reason, "They are in no split.")
            yield Finding(
                level="warning" if serious else "note", code="left-out", where=reason, count=count,
                text=f"{plural(count, 'row')} left out ({reason}). {why}",
            )  # fmt: skip
    yield from _larger(suite)
    unused = suite.role_of.count("") if suite.roles else 0
    if unused:
        yield Finding(
            level="note", code="unused", where="splits", count=unused,
            text=f"{unused:,} of {plural(len(suite.items), suite.noun)} are in no split. To use more of them, take more under `splits`.",
        )  # fmt: skip


def _larger(suite: Suite) -> Iterator[Finding]:
    """Roles that got clearly more than was asked for, since groups of look-alikes are not torn apart; a test split that got less."""
    for role, items in suite.roles.items():
        asked = suite.loaded.spec.splits.get(role)
        size = (
            asked.take if isinstance(asked, Part) else None if role == "test" else asked
        )  # which gets what is left over
        there = asked.take if isinstance(asked, Part) else asked
        if role == "test" and isinstance(there, int) and len(items) < there:
            yield Finding(
                level="warning", code="split-size", where=role, count=there - len(items),
                text=f"{role} has {len(items):,} {plural_of(suite.noun)}, not the {there:,} asked for: the others leave no more.",
            )  # fmt: skip
        if role == "test" and isinstance(asked, int) and len(items) > asked:
            yield Finding(
                level="note", code="split-size", where=role, count=len(items) - asked,
                text=f"{role} has {len(items):,} {plural_of(suite.noun)}, not the {asked:,} asked for: it gets all that the others leave.",
            )  # fmt: skip
        if isinstance(size, int) and len(items) > 1.2 * size:
            yield Finding(
                level="warning", code="split-size", where=role, count=len(items) - size,
                text=f"{role} has {len(items):,} {plural_of(suite.noun)}, not the {size:,} asked for, because look-alikes are kept in one "
                "split and one group of them is that large.",
            )  # fmt: skip


def _report(suite: Suite, where: str, found: list[Finding]) -> Report:
    spec, loaded = suite.loaded.spec, suite.loaded
    return Report(
        name=spec.name, where=where, kind=spec.kind, scorer=spec.scorer.name,
        noun=spec.noun, parts={part: len(items) for part, items in loaded.parts.items()},
        splits={role: len(suite.roles[role]) for role in ROLES if role in suite.roles}, classes=classes(suite),
        majority=majority(suite), chance=chance(suite), dropped={why: count for why, count in loaded.dropped.items() if count},
        looked_at=tuple(suite.sampled), findings=tuple(sorted(found, key=lambda one: ORDER.index(one.level))),
    )  # fmt: skip


def _nothing_left(where: str, found: list[Finding]) -> Report:
    """The report on a set of which no row could be used."""
    return Report(
        name=Path(where).stem, where=where, kind="", scorer="", noun="row", parts={}, splits={}, classes={}, majority=None,
        chance=None, dropped={}, looked_at=(), findings=tuple(found),
    )  # fmt: skip
