"""What curation's settings do to a whole run: who is asked, who is heard, what is trained on, and what is said of it.

Runs with the scripted teacher and a table student, in this process. The scripted teacher knows the seeds by heart.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dry_run import command_line, events, table_student, words

from loops.learning import training_list
from teacher.book import open_readonly


@pytest.fixture(autouse=True)
def quick_student() -> Iterator[None]:
    with table_student():
        yield


def run(runs: Path, **changes: str) -> Path:
    """The folder of a run of one teaching round."""
    assert command_line(words("run", "--ui", "quiet", "--name", "errands", runs=runs, **changes)) == 0
    return runs / "errands-1"


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rounds" / "001" / name).read_text().splitlines()]


def asked(folder: Path) -> Counter[str]:
    """Requests the teacher answered in the teaching round, by what they were for."""
    with open_readonly(folder / "ledger.sqlite") as book:
        return Counter(
            request.purpose
            for key, request in book.asked(answered=True)
            if (entry := book.entry(key)) is not None and entry.round == 1
        )


def test_every_candidate_that_passed_the_rules_is_judged_by_all_witnesses(tmp_path: Path) -> None:
    folder = run(tmp_path)
    heard = [row for row in rows(folder, "verdicts.jsonl") if row["reason"] in ("accepted", "answer-doubted")]
    assert heard
    for row in heard:
        assert set(row["witnesses"]) == {"teacher", "nearest seeds", "student"}
        assert (row["belief"] >= 0.5) == row["accepted"]
    assert asked(folder)["answer"] == len({row["candidate_id"] for row in heard})
    witnesses = json.loads((folder / "rounds" / "001" / "witnesses.json").read_text())
    assert {one["name"]: one["asked"] for one in witnesses} == {"teacher": 6, "nearest seeds": 20, "student": 20}


def test_with_verify_off_nobody_is_asked(tmp_path: Path) -> None:
    folder = run(tmp_path, curate__verify="false")
    assert asked(folder)["answer"] == 0
    assert all(row["witnesses"] == {} and row["belief"] is None for row in rows(folder, "verdicts.jsonl"))


def test_a_student_examined_on_what_it_learned_is_no_witness(tmp_path: Path) -> None:
    folder = run(tmp_path, mine__how="resubstitution")
    names = {name for row in rows(folder, "verdicts.jsonl") for name in row["witnesses"]}
    assert names == {"teacher", "nearest seeds"}


def test_several_answers_are_several_requests(tmp_path: Path) -> None:
    folder = run(tmp_path, curate__answers="3", curate__agree="2")
    heard = [row for row in rows(folder, "verdicts.jsonl") if row["belief"] is not None]
    assert asked(folder)["answer"] == 3 * len(heard) > 0


def test_what_nobody_can_be_sure_of_ends_the_loop(tmp_path: Path) -> None:
    folder = run(tmp_path, curate__belief="1.0")
    assert rows(folder, "lessons.jsonl") == []
    assert events(folder)[-1]["reason"] == "no-lessons"


def test_where_the_budget_cut_a_round_short_it_is_the_reason_to_end(tmp_path: Path) -> None:
    teaching = sum(asked(run(tmp_path / "enough", curate__belief="1.0")).values())
    folder = run(tmp_path / "short", curate__belief="1.0", budget__requests=str(teaching - 1))
    assert rows(folder, "lessons.jsonl") == []
    assert "answer-doubted" in {row["reason"] for row in rows(folder, "verdicts.jsonl")}
    assert events(folder)[-1]["reason"] == "budget"


def test_a_label_that_would_take_over_is_trimmed_and_counted(tmp_path: Path) -> None:
    folder = run(tmp_path, curate__balance="1.0", curate__verify="false", generate__lessons="16")
    reasons = Counter(row["reason"] for row in rows(folder, "verdicts.jsonl"))
    assert reasons["balance"] > 0
    told = Counter(one["reason"] for one in events(folder) if one["event"] == "rejected")
    assert told["balance"] == reasons["balance"]
    kept = Counter(row["answer"] for row in rows(folder, "lessons.jsonl"))
    assert all(5 + count <= (20 + kept.total()) / 4 for count in kept.values()), "five seeds of each of four labels"


def test_how_varied_lessons_are_is_written_down_and_told(tmp_path: Path) -> None:
    folder = run(tmp_path, curate__narrow="0")
    report = json.loads((folder / "rounds" / "001" / "diversity.json").read_text())
    (told,) = [one for one in events(folder) if one["event"] == "diversity"]
    assert told["lessons"] == report["lessons"]
    lessons = len(rows(folder, "lessons.jsonl"))
    assert report["real_share"] == pytest.approx(20 / (20 + lessons), abs=1e-3)


# --- real rows


def test_seeds_are_repeated_until_real_rows_have_their_share(tmp_path: Path) -> None:
    folder = run(tmp_path, curate__real_share="0.9")
    trained = json.loads((folder / "rounds" / "001" / "adapter" / "table.json").read_text())
    lessons = {row["prompt"] for row in rows(folder, "lessons.jsonl")}
    real = Counter(row["prompt"] for row in trained if row["prompt"] not in lessons)
    assert real.total() >= 0.9 * len(trained) > real.total() - 1
    assert len(real) == 20
    assert max(real.values()) - min(real.values()) <= 1, "each as often as the others"


@pytest.mark.parametrize(
    ("seeds", "lessons", "share", "repeated"),
    [(60, 0, 0.3, 60), (60, 60, 0.3, 60), (60, 140, 0.3, 60), (60, 141, 0.3, 61), (2, 10, 0.5, 10), (3, 9, 0.25, 3),
     (60, 600, 0.0, 60), (1, 1000, 0.9, 9000)],
)  # fmt: skip
def test_a_training_list_has_the_real_share_it_needs(seeds: int, lessons: int, share: float, repeated: int) -> None:
    real, written = [f"s{at}" for at in range(seeds)], [f"l{at}" for at in range(lessons)]
    rows = training_list(real, written, share)
    assert len(rows) == repeated + lessons
    assert rows[:seeds] == real, "all seeds, in order, come first"
    assert rows[repeated:] == written
    assert repeated >= share * len(rows) - 1e-9
