"""`llm2llm compare RUN RUN ...`: finished runs side by side, and each one's best student against the first one's, item by item.

In: run folders. Out: a `Comparisons`, read from what lies in them: nothing is examined again and `test` is not opened. Only runs that
were examined on the same `test` items can be compared; the comparison is paired, as a claim is (`loops.stats.compare`), and where
there is more than one, p-values are corrected for their number (Holm).
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.report.reading import Files, read_files
from agent.report.spending import cost_of
from loops.claims import points
from loops.run_folder import RunError, RunFolder
from loops.stats import LEVEL, Comparison, Score, compare, holm, score
from student.records import Attempt, Record


class Compared(Record):
    """One finished run."""

    run: str
    """Its name."""
    student: str
    """The base model."""
    teacher: str
    """Who wrote its lessons."""
    lessons_from: str
    """The run whose lessons it learned; empty where they are its own."""
    best: int
    """The round that was kept; 0 for the seed-only student."""
    seed_only: Score
    """The seed-only student on `test`."""
    kept: Score
    """The best round's student on `test`."""
    lessons: int
    """What the best round's student learned beside the seeds."""
    tokens: int | None
    """Teacher tokens charged; None where nobody knows."""
    money: float | None
    """What they cost; None where nobody knows."""
    seconds: float
    """How long the run took, all sessions together."""
    seen_before: tuple[str, ...]
    """Who had opened `test` before this run did."""


class Pair(Record):
    """The best student of one run against that of the first."""

    run: str
    """The run."""
    against: str
    """The first run."""
    comparison: Comparison
    """Paired, on the items of `test`."""
    p: float
    """McNemar's, corrected for the number of comparisons."""
    sentence: str
    """What is shown."""


class Comparisons(Record):
    """Runs side by side."""

    runs: tuple[Compared, ...]
    """In the order they were named."""
    pairs: tuple[Pair, ...]
    """Each run after the first against it."""
    notes: tuple[str, ...]
    """What is to be known of these comparisons, in sentences."""


def compare_runs(folders: Sequence[RunFolder]) -> Comparisons:
    """Compare finished runs. Raises RunError, in one paragraph, for what cannot be compared."""
    if len({folder.path for folder in folders}) < max(2, len(folders)):
        raise RunError(
            "A comparison needs at least two different runs, each named once: llm2llm compare RUN RUN. `llm2llm runs` lists them."
        )
    files = [read_files(folder) for folder in folders]
    kept = [kept_attempts(one) for one in files]
    for one, found in zip(files[1:], kept[1:], strict=True):
        _same_items(files[0], one, kept[0], found)
    runs = tuple(_compared(one, found) for one, found in zip(files, kept, strict=True))
    return Comparisons(runs=runs, pairs=_pairs(runs, kept), notes=tuple(_notes(files, runs)))


def kept_attempts(files: Files) -> list[Attempt]:
    """What the best student of a finished run answered on `test`. Raises RunError."""
    name, path = files.folder.name, files.folder.path / "claim"
    if files.claim is None:
        raise RunError(
            f"The run {name!r} has made no claim yet: its best student was not examined on test. Let it end with `llm2llm resume "
            f"{files.folder.as_typed}`, then try again."
        )
    who = "best" if files.claim.best else "seed-only"
    files.folder.verify(path / f"attempts.{who}.test.jsonl")
    return [*files.test[who].values()]


def _same_items(first: Files, other: Files, asked: Sequence[Attempt], found: Sequence[Attempt]) -> None:
    ours, theirs = {one.item_id for one in asked}, {one.item_id for one in found}
    if ours == theirs:
        return
    raise RunError(
        f"The runs {first.folder.name!r} and {other.folder.name!r} cannot be compared: they were examined on different test items "
        f"({len(ours):,} and {len(theirs):,}, {len(ours & theirs):,} of them the same), and scores on other items mean nothing beside each "
        "other. Compare runs on one eval set, or start the second one again on the first one's."
    )


def _compared(files: Files, kept: Sequence[Attempt]) -> Compared:
    claim, spent = files.claim, cost_of(files)[0]
    assert claim is not None, "a run without a claim was refused"
    source = str(files.settings.get("lessons_from") or "")
    free = bool(source) and spent.teacher is None
    return Compared(
        run=files.folder.name, student=_model(files, "student"), teacher=_model(files, "teacher"),
        lessons_from=source.rpartition("/")[2], best=claim.best, seed_only=score([*files.test["seed-only"].values()]),
        kept=score(kept), lessons=sum(len(one.lessons) for one in files.trail.rounds if one.number <= claim.best),
        tokens=0 if free else spent.tokens, money=0.0 if free else spent.money,
        seconds=files.view.elapsed(), seen_before=claim.test_seen_before_by,
    )  # fmt: skip


def _model(files: Files, group: str) -> str:
    part = files.settings.get(group)
    return str(part.get("model", "")) if isinstance(part, dict) else ""


def _pairs(runs: Sequence[Compared], kept: Sequence[Sequence[Attempt]]) -> tuple[Pair, ...]:
    found = [compare(one, kept[0]) for one in kept[1:]]
    corrected = holm([one.p for one in found])
    return tuple(
        Pair(run=run.run, against=runs[0].run, comparison=one, p=round(p, 6), sentence=_sentence(run, runs[0], one, p, len(found)))
        for run, one, p in zip(runs[1:], found, corrected, strict=True)
    )  # fmt: skip


def _sentence(run: Compared, first: Compared, one: Comparison, p: float, count: int) -> str:
    facts = f"{points(one.gain, one.low, one.high)}, {paired_facts(one, p, count)}"
    names = f"the best student of {run.run} (round {run.best})", f"that of {first.run} (round {first.best})"
    if p >= 1 - LEVEL:
        return f"Not shown: {names[0]} against {names[1]}: {facts}."
    return f"Shown on test: {names[0]} is {'better' if one.gain > 0 else 'worse'} than {names[1]}: {facts}."


def paired_facts(one: Comparison, p: float, count: int) -> str:
    """The counts behind a paired comparison and its p-value, corrected where it is one of several."""
    corrected = f" (corrected for {count} comparisons)" if count > 1 else ""
    return f"n={one.n}, {one.gained} gained, {one.lost} lost, McNemar p={p:.3f}{corrected}"


def _notes(files: Sequence[Files], runs: Sequence[Compared]) -> list[str]:
    notes = [
        f"{run.run} opened test after {', '.join(run.seen_before)}: a claim repeated on the same items is weaker."
        for run in runs
        if run.seen_before
    ]
    if len({one.fingerprint for one in files}) > 1:
        notes.append(
            "These runs were on different states of the eval set, whose test items have the same ids. If the items, the question's frame "
            "or the scoring changed between them, the difference is not only the students'."
        )
    notes.append(
        "One training of each student is compared: this says which of these models is better, not which way of making them. The score "
        "of a student that is chosen here because it came out best is too good on these items."
    )
    return notes
