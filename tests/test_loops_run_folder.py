"""A run folder is held by one process, found by its name, and mended or refused in plain words when it is damaged.

Runs here are made in this process with a table student, so that each takes a second; then something in the folder is
broken the way disks, editors and impatient people break things, and the run is resumed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import ERRANDS, bought, command_line, events, products, table_student, words

from loops.events import EventLog, read_events
from loops.openings import opened_by, openings, record_opening
from loops.run_folder import RunError, RunFolder, all_runs, content_hash, create_run, digest, find_run
from student.evals.load import load_evals


@pytest.fixture(autouse=True)
def quick_student() -> Iterator[None]:
    with table_student():
        yield


def begin(runs: Path, *more: str, **changes: str) -> int:
    return command_line(words("run", "--ui", "quiet", "--name", "errands", *more, runs=runs, **changes))


def go_on(runs: Path, name: str = "errands") -> int:
    return command_line(words("resume", name, "--ui", "quiet", runs=runs))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, to be copied."""
    runs = tmp_path_factory.mktemp("runs")
    with table_student():
        assert begin(runs) == 0
    return runs / "errands-1"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A finished run of this test's own."""
    shutil.copytree(made, tmp_path / "runs" / made.name, symlinks=True)
    return tmp_path / "runs" / made.name


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a person is told when this run cannot be resumed: one paragraph, exit code 2."""
    capsys.readouterr()
    assert go_on(folder.parent, folder.name) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("llm2llm: ") and err.count("\n") == 1
    assert "Traceback" not in err
    return err


# --- one process


def test_a_second_process_is_refused_and_told_who_holds_the_run(folder: Path, capsys: Any) -> None:
    holder = RunFolder(folder)
    holder.lock()
    said = refused(folder, capsys)
    assert f"process {os.getpid()}" in said and "'errands-1'" in said
    holder.unlock()
    assert go_on(folder.parent) == 0


def test_a_lock_file_that_nobody_holds_stops_nobody(folder: Path) -> None:
    (folder / "lock").write_text("99999999")
    assert go_on(folder.parent) == 0


def test_only_the_owner_may_look_inside(tmp_path: Path) -> None:
    assert begin(tmp_path / "runs") == 0
    place = tmp_path / "runs" / "errands-1"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for name in ("ledger.sqlite", "checkpoints.sqlite"):
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o600


# --- damage


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x00\xff\xfe", b"- a\n- b\n", b"graph_version: 1\n", b"a: [", b"just words"],
    ids=["empty", "binary", "list", "cut", "no-yaml", "words"],
)
def test_a_damaged_config_is_refused_in_one_paragraph(folder: Path, capsys: Any, damage: bytes) -> None:
    (folder / "config.yaml").write_bytes(damage)
    said = refused(folder, capsys)
    assert "config.yaml" in said and str(folder) in said


def test_a_config_with_a_wrong_value_is_refused(folder: Path, capsys: Any) -> None:
    tree = yaml.safe_load((folder / "config.yaml").read_text())
    tree["stop"]["rounds"] = "many"
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    assert "config.yaml" in refused(folder, capsys)


def test_a_run_of_another_version_of_the_loop_is_refused(folder: Path, capsys: Any) -> None:
    tree = yaml.safe_load((folder / "config.yaml").read_text())
    tree["graph_version"] = 99
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    assert "99" in refused(folder, capsys)


def test_a_run_from_before_a_setting_goes_on_without_it(folder: Path) -> None:
    """Its students were trained, and its lessons asked for, as if these were 0, whatever the default has become since."""
    tree = yaml.safe_load((folder / "config.yaml").read_text())
    assert "smoothing" in tree["train"] and tree["generate"].pop("spread") == 0.5
    del tree["generate"]["level"]
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    kept, _ = RunFolder(folder).load_settings()
    assert not kept.generate.level
    assert (kept.train.smoothing, kept.generate.spread) == (None, 0.0), "what is named stays as it is"
    del tree["train"]["smoothing"]
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    del tree["curate"]["shown"], tree["curate"]["meaning"]
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    kept, _ = RunFolder(folder).load_settings()
    assert (kept.train.smoothing, kept.curate.shown, kept.curate.meaning) == (0.0, 0, None)


def test_a_changed_eval_set_is_refused_and_the_old_one_goes_on(tmp_path: Path, capsys: Any) -> None:
    evals = tmp_path / "evals"
    shutil.copytree(ERRANDS.parent, evals)
    assert begin(tmp_path, "--evals", str(evals / "evals.yaml")) == 0
    old = (evals / "items.jsonl").read_text()
    (evals / "items.jsonl").write_text(old.replace("mangoes", "melons"))
    assert "has changed" in refused(tmp_path / "errands-1", capsys)
    (evals / "items.jsonl").write_text(old)
    assert go_on(tmp_path) == 0


@pytest.mark.parametrize(
    "damage", [b"this is no database" * 99, b"SQLite format 3\x00" + b"\xff" * 5000], ids=["text", "torn"]
)
def test_corrupt_checkpoints_are_refused_and_can_be_moved_away(
    folder: Path, made: Path, capsys: Any, damage: bytes
) -> None:
    (folder / "checkpoints.sqlite").write_bytes(damage)
    assert "checkpoints.sqlite" in refused(folder, capsys)
    (folder / "checkpoints.sqlite").rename(folder / "broken")
    assert go_on(folder.parent) == 0
    assert products(folder) == products(made)
    assert bought(folder) == bought(made)


def test_a_corrupt_ledger_is_refused(folder: Path, capsys: Any) -> None:
    (folder / "ledger.sqlite").write_bytes(b"this is no database" * 99)
    (folder / "checkpoints.sqlite").unlink()
    shutil.rmtree(folder / "rounds" / "001")
    assert "ledger.sqlite" in refused(folder, capsys)


@pytest.mark.parametrize(
    "artifact",
    ["baseline/attempts.teacher.mine.jsonl", "rounds/000/attempts.select.jsonl", "rounds/001/adapter/table.json",
     "rounds/001/attempts.mine.jsonl", "rounds/001/candidates.jsonl", "rounds/001/verdicts.jsonl",
     "rounds/001/lessons.jsonl", "rounds/001/weaknesses.jsonl", "claim/attempts.seed-only.test.jsonl"],
)  # fmt: skip
def test_a_truncated_artifact_is_noticed_and_made_again(folder: Path, made: Path, artifact: str) -> None:
    whole = (folder / artifact).read_bytes()
    (folder / artifact).write_bytes(whole[: len(whole) // 2])
    (folder / "checkpoints.sqlite").unlink()
    assert go_on(folder.parent) == 0
    assert products(folder) == products(made)
    assert bought(folder) == bought(made)


def test_a_torn_last_event_is_cut_off_and_the_log_goes_on(folder: Path) -> None:
    log = folder / "events.jsonl"
    before = log.read_bytes()
    log.write_bytes(before + b'{"seq": 4711, "event": "loss", "ro')
    assert go_on(folder.parent) == 0
    assert log.read_bytes().startswith(before)
    assert events(folder)[-1]["event"] == "run.ended"
    assert b'"seq": 4711' not in log.read_bytes()


def test_every_event_is_numbered_in_order(folder: Path) -> None:
    go_on(folder.parent)
    assert [event["seq"] for event in events(folder)] == list(range(len(events(folder))))


def test_a_torn_last_event_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"seq": 0, "event": "note"}\n{"seq": 1, "ev')
    assert [event["seq"] for event in read_events(path)] == [0]
    log = EventLog(path)
    log("note", text="after")
    log.close()
    assert [event["seq"] for event in read_events(path)] == [0, 1]


# --- what a run keeps to


def test_no_held_out_text_was_sent_to_the_teacher(made: Path) -> None:
    evals, book = load_evals(ERRANDS), (made / "ledger.sqlite").read_bytes()
    held = evals.held_out
    texts = [item.prompt for item in (*held.select(), *held.open_test(lambda: None))]
    assert len(texts) == 44
    assert [text for text in texts if text.encode() in book] == []
    assert any(seed.prompt.encode() in book for seed in evals.seeds)


def test_a_second_run_on_the_same_test_split_is_marked(folder: Path) -> None:
    runs = folder.parent
    (runs / "test-openings.jsonl").write_text(
        json.dumps({"split": load_evals(ERRANDS).fingerprint, "run": "errands-1", "time": 0}) + '\n{"torn'
    )
    assert begin(runs) == 0
    assert json.loads((runs / "errands-2" / "claim" / "claim.json").read_text())["test_seen_before_by"] == ["errands-1"]
    assert any("test already seen" in event.get("text", "") for event in events(runs / "errands-2"))
    assert openings(runs, load_evals(ERRANDS).fingerprint) == ["errands-1", "errands-2"]
    shutil.rmtree(runs / "errands-2")
    assert create_run(runs, "errands", opened_by(runs)).name == "errands-3", (
        "whoever opened test is not mistaken for another"
    )


def test_a_run_that_goes_on_is_not_a_later_opening_than_its_own(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "a-1"), RunFolder(tmp_path / "b-1")
    assert [record_opening(each, "print") for each in (first, second, first, second)] == [[], ["a-1"], [], ["a-1"]]


def test_a_small_budget_is_not_spent_on_the_teacher_s_examination(tmp_path: Path) -> None:
    assert begin(tmp_path, budget__requests="20") == 0
    folder = tmp_path / "errands-1"
    examined = asked(folder, "round = 0")
    assert 0 < examined <= 4 < asked(folder)
    assert any(
        event.get("student") == "teacher" and event["n"] == examined
        for event in events(folder)
        if event["event"] == "score"
    )
    assert any(f"examined on {examined} of" in event.get("text", "") for event in events(folder))
    assert (folder / "rounds/001/lessons.jsonl").exists()


def test_a_spent_budget_stops_the_lessons_and_still_makes_the_claim(tmp_path: Path) -> None:
    assert begin(tmp_path, budget__requests="9") == 0
    folder = tmp_path / "errands-1"
    last = events(folder)[-1]
    assert (last["status"], last["reason"]) == ("stopped", "budget")
    assert (folder / "claim" / "claim.json").exists()
    assert sum(bought(folder).values()) <= 9


def test_no_more_is_written_than_the_budget_can_have_checked_and_a_larger_one_buys_only_the_rest(
    made: Path, tmp_path: Path
) -> None:
    before, orders = asked(made, "round = 0"), asked(made, "round = 1 AND purpose = 'write'")
    most = before + asked(made, "round = 1") // 2
    assert begin(tmp_path, budget__requests=str(most)) == 0
    folder = tmp_path / "errands-1"
    last = events(folder)[-1]
    assert (last["status"], last["reason"]) == ("stopped", "budget")
    verdicts = [json.loads(line) for line in (folder / "rounds/001/verdicts.jsonl").read_text().splitlines()]
    assert sum(one["accepted"] for one in verdicts) > 0 and not any(one["reason"] == "not-checked" for one in verdicts)
    assert (folder / "rounds/001/adapter").exists() and not (folder / "rounds/002/lessons.jsonl").exists()
    assert 0 < asked(folder, "round = 1 AND purpose = 'write'") < orders and asked(folder) <= most
    (advice,) = {event["text"] for event in events(folder) if "teacher.replay=" in event.get("text", "")}
    assert "teacher.replay=errands-1" in advice and "teacher.replay_then_ask=true" in advice
    bought = asked(folder, "round < 2")
    assert begin(tmp_path, "--set", "teacher.replay=errands-1", "--set", "teacher.replay_then_ask=true") == 0
    assert asked(tmp_path / "errands-2", "replayed = 0") <= asked(made) - bought


def test_a_verdict_is_on_a_text_and_not_on_its_name(folder: Path) -> None:
    written, verdicts = folder / "rounds/001/candidates.jsonl", folder / "rounds/001/verdicts.jsonl"
    first, second, *others = [json.loads(line) for line in written.read_text().splitlines()]
    rows = [first, second | {"prompt": first["prompt"]}, *others]
    written.write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = folder / "rounds/001/made/candidates.jsonl.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"bytes": content_hash(written)}))
    for file in folder.glob("checkpoints.sqlite*"):
        file.unlink()
    assert go_on(folder.parent, folder.name) == 0
    said = {one["candidate_id"]: one for one in map(json.loads, verdicts.read_text().splitlines())}
    assert said[second["id"]]["reason"] == "duplicate"


def asked(folder: Path, which: str = "1") -> int:
    """How many requests of a run's ledger are of that kind."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        return int(ledger.execute(f"SELECT COUNT(*) FROM requests WHERE {which}").fetchone()[0])


def test_everything_made_is_named_by_a_decision_or_a_count(made: Path) -> None:
    verdicts = [json.loads(line) for line in (made / "rounds/001/verdicts.jsonl").read_text().splitlines()]
    candidates = (made / "rounds/001/candidates.jsonl").read_text().splitlines()
    told = [event for event in events(made) if event["event"] in ("accepted", "rejected")]
    assert len(verdicts) == len(candidates) == len(told)
    assert all(verdict["accepted"] == (verdict["reason"] == "accepted") for verdict in verdicts)


# --- once


def test_work_is_done_once_and_again_when_anything_changes(tmp_path: Path) -> None:
    target, done = tmp_path / "sub" / "result.txt", list[int]()
    target.parent.mkdir()

    def make() -> None:
        done.append(1)
        target.write_text("result")

    def once(**inputs: Any) -> bool:
        return RunFolder(tmp_path).once(target, inputs, make)

    assert (once(a=1), len(done)) == (False, 1)
    assert (once(a=1), len(done)) == (True, 1)
    assert (once(a=2), len(done)) == (False, 2)
    target.write_text("resul")
    assert (once(a=2), len(done)) == (False, 3)
    target.unlink()
    assert (once(a=2), len(done)) == (False, 4)
    (target.parent / "made" / "result.txt.json").write_text("{oops")
    assert (once(a=2), len(done)) == (False, 5)
    assert (once(a=2), len(done)) == (True, 5)


def test_work_that_fails_is_owed(tmp_path: Path) -> None:
    def fails() -> None:
        (tmp_path / "result").write_text("half")
        raise OSError("the disk is full")

    folder = RunFolder(tmp_path)
    with pytest.raises(OSError, match="full"):
        folder.once(tmp_path / "result", {}, fails)
    assert not folder.once(tmp_path / "result", {}, lambda: None)


def test_a_folder_counts_by_the_names_and_bytes_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    first = content_hash(tmp_path / "a")
    (tmp_path / "a" / "one").rename(tmp_path / "a" / "two")
    assert content_hash(tmp_path / "a") != first
    (tmp_path / "a" / "two").rename(tmp_path / "a" / "one")
    assert content_hash(tmp_path / "a") == first


def test_a_digest_ignores_the_order_of_keys_only() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
    assert digest({"a": "1"}) != digest({"a": 1})


# --- names


def test_a_bare_name_means_the_newest_run(tmp_path: Path) -> None:
    for name in ("mail-1", "mail-2", "mail-9", "mail-10", "mail-sort-3", "post-7"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
    assert find_run(tmp_path, "mail").name == "mail-10"
    assert find_run(tmp_path, "mail-sort").name == "mail-sort-3"
    assert find_run(tmp_path, "mail-2").name == "mail-2"
    assert find_run(Path("elsewhere"), str(tmp_path / "mail-9")).path == tmp_path / "mail-9"
    assert len(all_runs(tmp_path)) == 6


def test_an_unknown_run_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="none yet"):
        find_run(tmp_path / "nowhere", "mail")
    (tmp_path / "mail-1").mkdir()
    (tmp_path / "mail-1" / "config.yaml").touch()
    with pytest.raises(RunError, match=r"'post'.*mail-1"):
        find_run(tmp_path, "post")


@pytest.mark.parametrize("name", ["mail-\u00b2", "mail-\u0663", "mail-", "mail-0", "mail--1"])
def test_a_folder_that_only_looks_like_a_run_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.yaml").touch()
    assert create_run(tmp_path, "mail").name == "mail-1"
    with pytest.raises(RunError):
        find_run(tmp_path, "post")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a b", "-x", ".hidden", "x" * 80, "a\nb", "a\x00b", "é"]
)
def test_a_name_that_is_no_plain_word_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        create_run(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists()


def test_new_runs_are_numbered_on(tmp_path: Path) -> None:
    assert [create_run(tmp_path, "mail").name for _ in range(3)] == ["mail-1", "mail-2", "mail-3"]
    (tmp_path / "mail-2").rmdir()
    assert create_run(tmp_path, "mail").name == "mail-4"
    (tmp_path / "mail-5").write_text("a file in the way")
    assert create_run(tmp_path, "mail").name == "mail-6"


def test_a_run_whose_items_are_dealt_out_otherwise_now_is_not_gone_on_with(folder: Path, capsys: Any) -> None:
    for file in folder.glob("checkpoints.sqlite*"):
        file.unlink()
    place = folder / "splits.json"
    told = json.loads(place.read_text())
    told["mine"][0], told["test"][0] = told["test"][0], told["mine"][0]
    place.write_text(json.dumps(told))
    assert go_on(folder.parent, folder.name) == 2
    assert "dealt this eval set out in another way" in capsys.readouterr().err
