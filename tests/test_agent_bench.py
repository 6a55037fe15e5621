"""`bench`: nothing is asked twice, nothing leaves this machine unsaid, and every number follows from the files.

The run and the model that is examined by likelihood are a table student; the server is a real one on loopback.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import TableStudent, command_line, table_run
from misbehaving import Handler, completion, page, serving
from rich.console import Console

from agent.bench import Order, bench
from agent.bench.records import Bench, Entry, Rival
from agent.bench.rivals import rivals_of
from agent.bench.shown import shown
from agent.settings import SettingsError
from loops.run_folder import RunError, RunFolder
from loops.stats import compare, holm, score
from student.records import Attempt, read_records
from teacher.errors import TeacherUnusable

GROCER = page(completion('{"answer": "grocer"}'))
HOSTILE = "evil\x1b[31m[bold]red[/bold]\u202e/../../x"


class Counting(TableStudent):
    """Counts the examinations and who is loaded."""

    exams: list[tuple[str, int]]

    def __init__(self, load: dict[str, Any], folder: Any, should_stop: Any) -> None:
        super().__init__(load, folder, should_stop)
        self.source = load["source"]

    def examine(self, ask: Any, items: list[Any], adapter: Path | None, max_new_tokens: int, on: Any) -> list[Any]:
        self.exams.append((self.source, len(items)))
        return super().examine(ask, items, adapter, max_new_tokens, on)


@pytest.fixture(autouse=True)
def no_exams_yet() -> None:
    Counting.exams = []


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> RunFolder:
    shutil.copytree(table_run(tmp_path_factory.getbasetemp()).parent, tmp_path / "runs", symlinks=True)
    return RunFolder(tmp_path / "runs" / "errands-1")


def benched(run: RunFolder, *against: str, said: list[str] | None = None, stage: Any = None, **more: Any) -> Bench:
    on_stage = stage or (lambda what, done, total: None)
    told = (said if said is not None else []).append
    return bench(run, Order(against=against, **more), on_stage, told, Counting)


def opened_by(run: RunFolder) -> list[str]:
    lines = (run.path.parent / "test-openings.jsonl").read_text().splitlines()
    return [json.loads(line)["run"] for line in lines]


def on_test(run: RunFolder, who: str) -> list[Attempt]:
    return read_records(run.path / "claim" / f"attempts.{who}.test.jsonl", Attempt)


def files(run: RunFolder) -> dict[str, bytes]:
    place = run.path / "bench"
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def drawn(found: Bench, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(shown(found))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def grocer() -> Iterator[Any]:
    with serving(GROCER) as server:
        yield server


def test_a_run_without_worked_examples_is_held_against_the_untouched_student_without_them(run: RunFolder) -> None:
    config = run.path / "config.yaml"
    told = yaml.safe_load(config.read_text())
    told["student"]["shots"] = 0
    config.write_text(yaml.safe_dump(told))
    (run.path / "claim" / "attempts.few-shot.test.jsonl").unlink()
    found = benched(run, "builtin:tiny")
    assert [(row.who, row.way) for row in found.entries[1:]] == [
        ("untouched", "zero-shot"),
        ("builtin:tiny", "zero-shot"),
    ]


def test_every_number_follows_from_the_files(run: RunFolder, grocer: Any) -> None:
    found = benched(run, f"{grocer.url}=m", "builtin:tiny", prompt_price=2.0, completion_price=10.0)
    tuned, *rows = found.entries
    assert [(row.who, row.way) for row in rows[:2]] == [("untouched", "zero-shot"), ("untouched", "few-shot")]
    assert {(row.who, row.way, row.how) for row in rows[2:]} == {
        (who, way, how)
        for who, how in ((f"m at 127.0.0.1:{grocer.server_port}", "generation"), ("builtin:tiny", "likelihood"))
        for way in ("zero-shot", "few-shot")
    }
    best = on_test(run, "best")
    assert tuned.score == score(best)
    kept = [on_test(run, "zero-shot"), on_test(run, "few-shot")]
    kept += [read_records(path, Attempt) for row in rows[2:] for path in [attempts_of(run, row)]]
    for row, attempts in zip(rows, kept, strict=True):
        assert row.score == score(attempts)
        assert row.comparison == compare(best, attempts)
    assert [row.p for row in rows] == pytest.approx(holm([compare(best, one).p for one in kept]), abs=1e-6)
    served = next(row for row in rows if row.who.startswith("m at"))
    assert (served.tokens, served.money) == (13_000, pytest.approx(1000 * (11 * 2 + 2 * 10) / 1e6))
    assert all(row.money is None for row in rows if row is not served and not row.who.startswith("m at"))
    assert Bench.model_validate_json((run.path / "bench" / "bench.json").read_text()) == found


def attempts_of(run: RunFolder, row: Entry) -> Path:
    for about in (run.path / "bench").glob("*/about.json"):
        if Rival.model_validate_json(about.read_text()).name == row.who:
            return about.parent / row.way / f"{row.score.n}" / "attempts.test.jsonl"
    raise AssertionError(row.who)


def test_a_second_bench_asks_nobody_and_changes_nothing(run: RunFolder, grocer: Any) -> None:
    first = benched(run, f"{grocer.url}=m", "builtin:tiny", prompt_price=2.0, completion_price=10.0)
    asked, exams, before = len(grocer.seen), len(Counting.exams), files(run)
    assert asked == 2 * 24
    again = benched(run, "builtin:tiny", f"{grocer.url}=m")
    assert again == first, "the prices are remembered as well"
    assert benched(run) == first, "what was benched before is part of it"
    assert (len(grocer.seen), len(Counting.exams)) == (asked, exams)
    assert files(run) == before


def test_a_bench_that_was_stopped_goes_on_where_it_was(run: RunFolder, grocer: Any) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        if what == "asking" and done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benched(run, f"{grocer.url}=m", stage=stop)
    assert 10 <= len(grocer.seen) < 24
    found = benched(run, f"{grocer.url}=m")
    bodies = [json.dumps(body, sort_keys=True) for _, body in grocer.seen]
    assert len(set(bodies)) == 48
    assert len(bodies) <= 48 + 8, "at most what was under way is asked again"
    assert all(entry.score.n == 24 for entry in found.entries)


def test_a_smaller_sample_is_part_of_a_larger_one(run: RunFolder, grocer: Any) -> None:
    small = benched(run, f"{grocer.url}=m", limit=7)
    assert {entry.score.n for entry in small.entries} == {7}
    assert (small.n, small.total, len(grocer.seen)) == (7, 24, 14)
    assert "a sample of 7 of the 24 items of test" in drawn(small, 80)
    benched(run, f"{grocer.url}=m")
    assert len(grocer.seen) == 48, "only the others are asked"
    assert benched(run, limit=7) == small


def test_the_opening_is_on_record_before_the_first_question(run: RunFolder) -> None:
    seen: list[list[str]] = []

    def watch(handler: Handler) -> None:
        seen.append(opened_by(run))
        GROCER(handler)

    with serving(watch) as server:
        found = benched(run, f"{server.url}=org/m")
    name = f"bench errands-1 against org/m at 127.0.0.1:{server.server_port}".replace("/", "_")
    assert seen[0] == ["errands-1", name]
    assert found.seen_by == ("errands-1", name)
    benched(run)
    assert opened_by(run) == ["errands-1", name]


def test_nothing_is_sent_to_another_machine_unless_somebody_says_so(run: RunFolder, capsys: Any) -> None:
    before = opened_by(run)
    arguments = ["bench", "errands", "--against", "https://api.example.com/v1=big", "--runs", str(run.path.parent)]
    assert command_line(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "24 questions of test go to https://api.example.com/v1 (big)" in err
    assert "8 labelled seeds" in err
    assert "--send-test" in err
    assert opened_by(run) == before
    assert not (run.path / "bench").exists()


def test_what_goes_to_a_server_is_said_first_and_never_holds_a_right_answer(run: RunFolder, grocer: Any) -> None:
    said: list[str] = []
    benched(run, f"{grocer.url}=m", said=said, limit=5)
    assert said == [
        (
            f"5 questions of test go to {grocer.url} (m), without their right answers. Each is asked twice, the second time with 8 "
            "labelled seeds as worked examples."
        )
    ]
    zero, few = ([body for _, body in grocer.seen[start : start + 5]] for start in (0, 5))
    assert all("Errand:" not in body["messages"][0]["content"] for body in zero)
    assert all(body["messages"][0]["content"].count("Errand:") == 8 for body in few)
    asked = [json.loads(body["messages"][-1]["content"].partition("DATA:\n")[2]) for body in zero]
    assert all(set(one) == {"question"} for one in asked)


def test_without_worked_examples_each_question_is_asked_once(run: RunFolder, grocer: Any) -> None:
    found = benched(run, f"{grocer.url}=m", few_shot=False)
    assert len(grocer.seen) == 24
    assert [entry.way for entry in found.entries] == ["", "zero-shot", "few-shot", "zero-shot"]


@pytest.mark.parametrize("width", [80, 140])
def test_a_hostile_name_is_text(run: RunFolder, grocer: Any, width: int) -> None:
    found = benched(run, f"{grocer.url}={HOSTILE}", limit=3)
    text = drawn(found, width)
    assert "\x1b" not in text and "\u202e" not in text
    assert "[bold]" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= width
    places = [path.name for path in (run.path / "bench").iterdir()]
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") for name in places)
    assert {path.name for path in run.path.parent.iterdir()} == {"errands-1", "test-openings.jsonl"}


def test_questions_that_bring_no_answer_are_counted(run: RunFolder) -> None:
    from misbehaving import status

    acts = [GROCER, status(400, {"message": "flagged by the content filter"}), GROCER]
    with serving(*acts) as server:
        found = benched(run, f"{server.url}=m", few_shot=False)
    row = found.entries[-1]
    assert sum(row.lost.values()) == row.score.malformed == 1
    assert row.tokens == 13_000, "for an answer that came"
    assert "gave no answer" in " ".join(drawn(found, 80).split())


def test_the_verdict_is_the_corrected_one(run: RunFolder) -> None:
    items = [json.loads(line) for line in (run.path / "claim" / "attempts.best.test.jsonl").read_text().splitlines()]
    best = {item["item_id"]: item["outcome"] == "right" for item in items}
    shops = {row["text"]: row["shop"] for row in map(json.loads, ERRANDS_ROWS)}

    def oracle(handler: Handler) -> None:
        question = json.loads(handler.asked().partition("DATA:\n")[2])["question"]
        page(completion(json.dumps({"answer": shops[question]})))(handler)

    with serving(oracle) as server, serving(page(completion('{"answer": "none"}'))) as fool:
        found = benched(run, f"{server.url}=oracle", f"{fool.url}=fool", few_shot=False)
    wrong = sum(not right for right in best.values())
    verdicts = {entry.who.partition(" ")[0]: entry for entry in found.entries[1:]}
    assert verdicts["fool"].verdict == "better"
    assert "Fine-tuning still pays against fool" in verdicts["fool"].sentence
    one = verdicts["oracle"]
    assert one.comparison is not None and one.comparison.lost == wrong
    assert (one.verdict == "worse") == (one.p is not None and one.p < 0.05)
    assert one.verdict != "better"
    assert not found.verdict.startswith("Fine-tuning still pays")


ERRANDS_ROWS = (Path(__file__).parent / "fixtures" / "errands" / "items.jsonl").read_text().splitlines()


def test_what_cannot_be_benched_is_refused(run: RunFolder) -> None:
    for bad in ("https://host/v1", "https://host/v1?version=2", "builtin:nothing", "./nowhere", "nowhere.gguf"):
        with pytest.raises(SettingsError):
            benched(run, bad)
    with pytest.raises(TeacherUnusable, match="https"):
        benched(run, "http://host/v1=m")
    with pytest.raises(SettingsError, match="paid by the token"):
        benched(run, "builtin:tiny", prompt_price=1.0, completion_price=1.0)
    with pytest.raises(SettingsError, match="Give both"):
        benched(run, prompt_price=1.0)
    assert not (run.path / "bench").exists()
    attempts = run.path / "claim" / "attempts.zero-shot.test.jsonl"
    attempts.write_text(attempts.read_text().replace("wrong", "right"))
    with pytest.raises(RunError, match="changed after it was made"):
        benched(run)
    (run.path / "claim" / "claim.json").unlink()
    with pytest.raises(RunError, match="made no claim"):
        benched(run)


def test_a_damaged_file_and_a_run_at_work_are_paragraphs(run: RunFolder) -> None:
    benched(run, "builtin:tiny", limit=2)
    (about,) = (run.path / "bench").glob("*/about.json")
    about.write_text("{")
    with pytest.raises(RunError, match=r"about\.json"):
        benched(run, limit=2)
    other = RunFolder(run.path)
    other.lock()
    with pytest.raises(RunError, match="already being worked on"):
        benched(run, limit=2)
    other.unlock()


def test_an_address_may_have_a_query(run: RunFolder) -> None:
    settings, _ = run.load_settings()
    (one,) = rivals_of(["https://host/v1=m"], settings, None, None)
    assert (one.url, one.model) == ("https://host/v1", "m")
    (two,) = rivals_of(["https://host/v1?version=2=m"], settings, None, None)
    assert (two.url, two.model) == ("https://host/v1?version=2", "m")
