"""`compare`: paired, corrected, on the same items or not at all; it reads and changes nothing.

One run is a real one with a table student, the others are copies of it whose answers on `test` were written anew.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import command_line, table_run
from rich.console import Console

from agent.compare import Comparisons, compare_runs
from agent.compared import shown
from loops.run_folder import RunError, RunFolder, content_hash
from loops.stats import compare, holm, score
from student.records import Attempt, read_records, write_json, write_records

HOSTILE = "evil\x1b[31m[bold]red[/bold]\u202e|x"


@pytest.fixture
def first(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> RunFolder:
    shutil.copytree(table_run(tmp_path_factory.getbasetemp()).parent, tmp_path / "runs", symlinks=True)
    return RunFolder(tmp_path / "runs" / "errands-1")


def answers(run: RunFolder, who: str = "best") -> list[Attempt]:
    return read_records(run.path / "claim" / f"attempts.{who}.test.jsonl", Attempt)


def another(first: RunFolder, name: str, change: Callable[[list[Attempt]], list[Attempt]]) -> RunFolder:
    """A copy of a run whose best student answered otherwise, with a manifest that says so."""
    run = RunFolder(first.path.parent / name)
    shutil.copytree(first.path, run.path, symlinks=True)
    target = run.path / "claim" / "attempts.best.test.jsonl"
    write_records(target, change(answers(run)))
    write_json(target.parent / "made" / f"{target.name}.json", {"inputs": "", "bytes": content_hash(target)})
    return run


def marked(right: Callable[[int], bool]) -> Callable[[list[Attempt]], list[Attempt]]:
    return lambda rows: [
        one.model_copy(update={"outcome": "right" if right(at) else "wrong", "score": float(right(at))})
        for at, one in enumerate(rows)
    ]


def told(run: RunFolder, **changes: Any) -> None:
    """Change what a run's config.yaml says."""
    raw = yaml.safe_load(run.config.read_text())
    run.config.write_text(yaml.safe_dump(raw | changes, sort_keys=False))


def drawn(found: Comparisons, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(shown(found))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_each_run_is_compared_with_the_first_item_by_item_and_corrected(first: RunFolder) -> None:
    runs = [
        another(first, "none-1", marked(lambda at: False)), another(first, "some-1", marked(lambda at: at % 2 == 0)),
        another(first, "same-1", marked(lambda at: at % 2 == 0)), another(first, "all-1", marked(lambda at: True)),
    ]  # fmt: skip
    found = compare_runs(runs[1:] + runs[:1])
    assert [run.run for run in found.runs] == ["some-1", "same-1", "all-1", "none-1"]
    assert [run.kept for run in found.runs] == [score(answers(run)) for run in runs[1:] + runs[:1]]
    paired = [compare(answers(run), answers(runs[1])) for run in (runs[2], runs[3], runs[0])]
    assert [pair.comparison for pair in found.pairs] == paired
    assert [pair.p for pair in found.pairs] == pytest.approx(holm([one.p for one in paired]), abs=1e-6)
    same, better, worse = (pair.sentence for pair in found.pairs)
    assert same.startswith("Not shown: the best student of same-1")
    assert better.startswith("Shown on test") and "all-1 (round" in better and "is better than that of some-1" in better
    assert worse.startswith("Shown on test") and "is worse than that of some-1" in worse
    assert "corrected for 3 comparisons" in better
    assert "corrected" not in compare_runs(runs[:2]).pairs[0].sentence


def test_costs_and_lessons_are_those_of_the_run(first: RunFolder) -> None:
    other = another(first, "other-1", marked(lambda at: True))
    (other.path / "ledger.sqlite").unlink()
    one, two = compare_runs([first, other]).runs
    claim = json.loads((first.path / "claim" / "claim.json").read_text())
    rounds = [first.round(number) / "lessons.jsonl" for number in range(1, claim["best"] + 1)]
    assert one.lessons == sum(path.read_text().count("\n") for path in rounds) > 0
    assert one.tokens is not None and one.tokens > 0
    assert (one.money, two.tokens, two.money) == (None, None, None), (
        "without prices, without a ledger: unknown, not nothing"
    )
    assert (one.seed_only, one.best) == (score(answers(first, "seed-only")), claim["best"])


def test_nothing_is_written_and_test_is_not_opened(first: RunFolder) -> None:
    other = another(first, "other-1", marked(lambda at: True))
    before = {path: path.stat().st_mtime_ns for path in first.path.parent.rglob("*")}
    compare_runs([first, other])
    assert {path: path.stat().st_mtime_ns for path in first.path.parent.rglob("*")} == before


def test_it_says_where_test_was_seen_before_and_where_the_eval_sets_differ(first: RunFolder) -> None:
    other = another(first, "other-1", marked(lambda at: True))
    assert not any("opened test after" in note for note in compare_runs([first, other]).notes)
    claim = json.loads((other.path / "claim" / "claim.json").read_text())
    write_json(other.path / "claim" / "claim.json", claim | {"test_seen_before_by": ["errands-1", "old-3"]})
    told(other, evals_fingerprint="0" * 64)
    notes = compare_runs([first, other]).notes
    assert any(note.startswith("other-1 opened test after errands-1, old-3") for note in notes)
    assert any("different states of the eval set" in note for note in notes)


def test_runs_on_other_items_are_refused_in_a_paragraph(first: RunFolder, capsys: Any) -> None:
    another(first, "other-1", lambda rows: [*rows[4:], rows[0].model_copy(update={"item_id": "new"})])
    assert command_line(["compare", "errands", "other", "--runs", str(first.path.parent)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "different test items (24 and 21, 20 of them the same)" in err


def test_what_cannot_be_compared_is_refused(first: RunFolder) -> None:
    other = another(first, "other-1", marked(lambda at: True))
    for runs in ([first], [first, first], [first, other, first]):
        with pytest.raises(RunError, match="two different runs"):
            compare_runs(runs)
    attempts = other.path / "claim" / "attempts.best.test.jsonl"
    attempts.write_text(attempts.read_text().replace('"right"', '"wrong"', 1))
    with pytest.raises(RunError, match="changed after it was made"):
        compare_runs([first, other])
    (other.path / "claim" / "claim.json").unlink()
    with pytest.raises(RunError, match="made no claim yet"):
        compare_runs([first, other])


@pytest.mark.parametrize("width", [80, 140])
def test_the_tables_fit_and_hostile_names_are_text(first: RunFolder, width: int) -> None:
    other = another(first, "a-rather-long-name-of-a-run-1", marked(lambda at: True))
    told(
        other, student={"model": HOSTILE}, teacher={"model": "Organisation/Some-Teacher-With-A-Long-Name-72B-Instruct"}
    )
    text = drawn(compare_runs([first, other]), width)
    assert "\x1b" not in text and "\u202e" not in text
    assert "[bold]" in text
    assert max(map(len, text.splitlines())) <= width


def test_as_json_it_is_one_object(first: RunFolder, capsys: Any) -> None:
    another(first, "other-1", marked(lambda at: True))
    assert command_line(["compare", "errands", "other", "--json", "--runs", str(first.path.parent)]) == 0
    found = Comparisons.model_validate_json(capsys.readouterr().out)
    assert [run.run for run in found.runs] == ["errands-1", "other-1"]
