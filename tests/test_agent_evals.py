"""`llm2llm evals init|check|score` as a person meets them: what is written, printed and returned, and what is refused.

Commands run in this process on little sets of our own. A student is a table, but for one test with the real tiny model; a
server is a real one on loopback that answers by rule.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import ERRANDS, TableStudent, command_line
from rich.console import Console

from agent.findings import power_sentence
from agent.scored import shown
from agent.scoring import Examined, Order, score_model
from agent.settings import SettingsError
from loops.power import what_shows
from student.errors import StudentError
from student.evals.load import EvalSet, load_evals

ROWS = [json.loads(line) for line in (ERRANDS.parent / "items.jsonl").read_text().splitlines()]


def quiet(what: str, done: int, total: int | None) -> None:
    """Nobody watches."""


def said(arguments: list[str], capsys: Any, code: int = 0) -> tuple[str, str]:
    """stdout and stderr of a command that ends with this exit code."""
    capsys.readouterr()
    assert command_line(["evals", *arguments]) == code
    return capsys.readouterr()


def refused(arguments: list[str], capsys: Any) -> str:
    out, err = said(arguments, capsys, 2)
    assert out == ""
    assert err.startswith("llm2llm: ")
    assert err.count("\n") == 1, "one paragraph"
    return err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with somebody's data in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "desk").mkdir()
    lines = [json.dumps({"text": row["text"], "shop": row["shop"]}) + "\n" for row in ROWS]
    (tmp_path / "desk" / "train.jsonl").write_text("".join(lines[:48]))
    (tmp_path / "desk" / "test.jsonl").write_text("".join(lines[48:]))
    return tmp_path


# --- init


def test_init_then_check_needs_no_editing(here: Path, capsys: Any) -> None:
    out, _ = said(["init", "desk/train.jsonl"], capsys)
    assert "Wrote desk.yaml" in out
    assert "llm2llm evals check desk.yaml" in out
    spec = yaml.safe_load((here / "desk.yaml").read_text())
    assert spec["source"] == {"train": "desk/train.jsonl", "test": "desk/test.jsonl"}
    out, _ = said(["check", "desk.yaml"], capsys)
    assert "0 errors" in out


def test_init_says_what_it_guessed_and_why(here: Path, capsys: Any) -> None:
    out, _ = said(["init", "desk/train.jsonl"], capsys)
    for word in ("columns.prompt", "columns.answer", "shop", "splits.test", "labels, the most frequent first"):
        assert word in out


def test_init_leaves_a_file_that_is_there(here: Path, capsys: Any) -> None:
    (here / "desk.yaml").write_text("mine")
    assert "'desk.yaml' is there already" in refused(["init", "desk/train.jsonl"], capsys)
    assert (here / "desk.yaml").read_text() == "mine"
    said(["init", "desk/train.jsonl", "--force"], capsys)
    assert (here / "desk.yaml").read_text() != "mine"


def test_data_elsewhere_is_named_by_its_whole_path(here: Path, capsys: Any) -> None:
    said(["init", "desk/train.jsonl", "--to", "sets/mine.yaml"], capsys)
    spec = yaml.safe_load((here / "sets" / "mine.yaml").read_text())
    assert spec["source"]["train"] == str(here / "desk" / "train.jsonl")
    assert spec["name"] == "mine"
    said(["check", "sets/mine.yaml"], capsys)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("\x00\x01\x02", "data.jsonl"),
        ('{"a": 1}\n' * 9, "'a'"),
        ("no json\n", "row"),
        (None, "does not exist"),
    ],
)
def test_init_on_no_data_leaves_nothing(here: Path, capsys: Any, text: str | None, named: str) -> None:
    if text is not None:
        (here / "data.jsonl").write_text(text)
    assert named in refused(["init", "data.jsonl", "--to", "new.yaml"], capsys)
    assert (
        sorted(path.name for path in here.iterdir()) == ["desk"] + ["data.jsonl"] * (text is not None)
        or text is not None
    )
    assert not list(here.glob("*.yaml"))
    assert not list(here.glob(".*"))


@pytest.mark.skipif(
    "LLM2LLM_DATA" not in os.environ, reason="LLM2LLM_DATA names no folder with trec, sst2, snips and gsm8k"
)
@pytest.mark.parametrize("name", ["trec/train.jsonl", "sst2/train.csv", "snips/test.jsonl", "gsm8k/train.jsonl"])
def test_public_sets_are_guessed_so_that_they_pass(here: Path, capsys: Any, name: str) -> None:
    said(["init", f"{os.environ['LLM2LLM_DATA']}/{name}", "--to", "set.yaml"], capsys)
    said(["check", "set.yaml"], capsys)


# --- check


def test_check_ends_with_1_where_there_are_errors(here: Path, capsys: Any) -> None:
    said(["init", "desk/train.jsonl"], capsys)
    with (here / "desk" / "test.jsonl").open("a") as data:
        data.write('{"text": "", "shop": "grocer"}\n')
    out, _ = said(["check", "desk.yaml"], capsys, 1)
    assert "desk/test.jsonl:17" in out
    assert "1 error" in out


def test_check_as_json_is_one_object(here: Path, capsys: Any) -> None:
    said(["init", "desk/train.jsonl"], capsys)
    out, _ = said(["check", "desk.yaml", "--json"], capsys)
    told = json.loads(out)
    assert told["counts"]["error"] == 0
    assert {"level", "code", "where", "text", "count", "examples"} == set(told["findings"][0])
    assert told["power"]["n"] == told["splits"]["test"] == 16


def test_check_of_what_is_no_eval_set_is_a_paragraph(here: Path, capsys: Any) -> None:
    assert "does not exist" in refused(["check", "nothing.yaml"], capsys)
    assert "evals init" in refused(["check", "desk/train.jsonl"], capsys)
    (here / "task.py").write_text("raise SystemExit")
    assert "--allow-code" in refused(["check", "task.py:rows"], capsys)


def test_nothing_in_the_data_reaches_the_terminal_as_control(here: Path, capsys: Any) -> None:
    evil = "\x1b[31m[bold red]open[/] \u202e\x07"
    rows = [{"text": f"{row['text']} {evil}", "shop": f"[blink]{row['shop']}[/]"} for row in ROWS]
    (here / "evil.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for arguments in (["init", "evil.jsonl"], ["check", "evil.yaml"]):
        out, err = said(arguments, capsys)
        assert not set("\x1b\x07\u202e") & set(out + err)
    assert "[blink]grocer[/]" in out, "brackets stay brackets"


def test_the_sentence_about_gains() -> None:
    assert (
        power_sentence(what_shows(80), "ticket")
        == "With 80 test tickets you can show gains of about 13 points; 460 more would show 5."
    )
    assert power_sentence(what_shows(5), "query").startswith("5 test queries are too few to show any gain")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_every_line_fits_the_width_and_has_no_spaces_at_its_end(
    here: Path, capsys: Any, width: int, monkeypatch: Any
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said(["init", "desk/train.jsonl"], capsys)
    out, _ = said(["check", "desk.yaml"], capsys)
    findings = out[out.index("warning") :].splitlines()
    assert max(map(len, out.splitlines())) <= width
    assert [line for line in findings if line != line.rstrip()] == []


# --- score


def table(load: dict[str, Any], log: Any, should_stop: Callable[[], bool]) -> Any:
    return TableStudent(load, log, should_stop)


def drawn(found: Examined, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(shown(found))
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def errands() -> Iterator[EvalSet]:
    evals = load_evals(ERRANDS, score_only=True)
    yield evals
    evals.close()


def test_a_score_has_its_interval_its_skills_and_its_confusions(errands: EvalSet, tmp_path: Path) -> None:
    found = score_model(Order("table"), errands, tmp_path / "runs", quiet, table)
    one = found.score
    assert one.n == found.total == 24
    assert one.low < one.accuracy < one.high
    assert sum(skill.n for skill in found.by_skill.values()) == one.n
    assert sum(sum(row.values()) for row in found.confusion.values()) == one.n
    assert sum(found.confusion[label].get(label, 0) for label in found.confusion) == one.right
    assert all(failed.expected != failed.output for failed in found.failures)
    assert found.how == "likelihood"
    text = drawn(found)
    assert f"{100 * one.accuracy:.1f} % right" in text
    assert f"{one.right} of 24" in text
    assert "right \\ answered" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_task_is_told_unless_bare_or_fine_tuned(errands: EvalSet, tmp_path: Path) -> None:
    asked = list[str]()

    class Listening(TableStudent):
        def examine(self, ask: Any, items: list[Any], adapter: Path | None, max_new_tokens: int, on: Any) -> list[Any]:
            asked.append(ask.lead)
            return super().examine(ask, items, None, max_new_tokens, on)

    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    (adapter / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 8, "layers_to_transform": [1]}')
    for order in (Order("m"), Order("m", bare=True), Order("m", adapter=adapter)):
        score_model(order, errands, tmp_path / "runs", quiet, Listening)
    assert errands.spec.instruction.split()[0] in asked[0]
    assert asked[1:] == ["", ""]


def test_an_adapter_is_loaded_in_its_own_shape(errands: EvalSet, tmp_path: Path) -> None:
    loads = list[dict[str, Any]]()

    def worker(load: dict[str, Any], log: Any, should_stop: Callable[[], bool]) -> Any:
        loads.append(load["lora"])
        return TableStudent(load, log, should_stop)

    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "table.json").write_text("[]")
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    (adapter / "adapter_config.json").write_text(
        '{"r": 4, "lora_alpha": 8, "layers_to_transform": [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]}'
    )
    score_model(Order("m", adapter=adapter), errands, tmp_path / "runs", quiet, worker)
    assert loads[0] == {"how": "lora", "rslora": False, "rank": 4, "alpha": 8, "layers": pytest.approx(1 / 3)}
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(SettingsError, match="no adapter that can be read"):
        score_model(Order("m", adapter=adapter), errands, tmp_path / "runs", quiet, worker)


@pytest.mark.parametrize(("weights", "fits"), [(12, True), (13, False), (None, False)])
def test_an_adapter_of_another_model_is_refused(
    errands: EvalSet, tmp_path: Path, weights: int | None, fits: bool
) -> None:
    class Loaded(TableStudent):
        def start(self) -> dict[str, Any]:
            return {**self.loaded, "adapter": 12}

    adapter = tmp_path / "adapter"
    adapter.mkdir()
    header = json.dumps({"__metadata__": {}, "a": {"shape": [2, 3]}, "b": {"shape": [(weights or 6) - 6]}}).encode()
    (adapter / "table.json").write_text("[]")
    (adapter / "adapter_model.safetensors").write_bytes(
        len(header).to_bytes(8, "little") + header if weights else b"torn"
    )
    (adapter / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 8, "layers_to_transform": [0, 1]}')
    with contextlib.nullcontext() if fits else pytest.raises(SettingsError, match=r"does not fit|cannot be read"):
        score_model(Order("m", adapter=adapter), errands, tmp_path / "runs", quiet, Loaded)


def test_a_sample_is_said_to_be_one_and_is_the_same_each_time(errands: EvalSet, tmp_path: Path) -> None:
    one, two = (score_model(Order("m", limit=7), errands, tmp_path / "runs", quiet, table) for _ in range(2))
    assert one.score == two.score
    assert (one.score.n, one.total) == (7, 24)
    assert "a sample of the 24 in test" in drawn(one)


def test_a_model_that_cannot_be_loaded_opens_nothing(errands: EvalSet, tmp_path: Path) -> None:
    def none(*about: Any, **more: Any) -> Any:
        raise StudentError("there is no such model")

    with pytest.raises(StudentError, match="no such model"):
        score_model(Order("nope/nope"), errands, tmp_path / "runs", quiet, none)
    assert not (tmp_path / "runs").exists()


def test_opening_test_is_recorded_and_other_splits_are_not(errands: EvalSet, tmp_path: Path) -> None:
    record = tmp_path / "runs" / "test-openings.jsonl"
    for split in ("mine", "select"):
        score_model(Order("m", split), errands, tmp_path / "runs", quiet, table)  # type: ignore[arg-type]
    assert not record.exists()
    assert score_model(Order("org/m"), errands, tmp_path / "runs", quiet, table).opened_before == ()
    assert json.loads(record.read_text())["run"] == "evals score org_m"
    again = score_model(Order("other"), errands, tmp_path / "runs", quiet, table)
    assert again.opened_before == ("evals score org_m",)
    assert "opened before by: evals score org_m" in " ".join(drawn(again).split())


def test_many_labels_are_shown_as_their_worst_confusions(errands: EvalSet, tmp_path: Path) -> None:
    found = score_model(Order("m"), errands, tmp_path / "runs", quiet, table)
    many = {f"label {at}": {f"label {at}": 9, "label 3": at} for at in range(30)}
    text = drawn(found.model_copy(update={"confusion": many}))
    assert "most often confused" in text
    assert "label 29" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_tiny_model_from_the_command_line(here: Path, capsys: Any) -> None:
    out, _ = said(["score", "builtin:tiny", str(ERRANDS), "--split", "select", "--limit", "6", "--json"], capsys)
    told = json.loads(out)
    assert (told["score"]["n"], told["model"], told["how"]) == (6, "builtin:tiny", "likelihood")
    assert told["accuracy"] == pytest.approx(told["score"]["right"] / 6, abs=1e-6)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["builtin:tiny", "no.yaml"], "no.yaml does not exist"),
        (["builtin:smol", str(ERRANDS)], "builtin:smol"), (["./gone", str(ERRANDS)], "./gone"),
        (["builtin:tiny", str(ERRANDS), "--split", "all"], "'all'"), (["http://127.0.0.1:9/v1", str(ERRANDS)], "--model"),
        (["http://far.example/v1", str(ERRANDS), "--model", "m"], "https"),
        (["builtin:tiny", str(ERRANDS), "--adapter", "gone"], "'gone'"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_a_paragraph_and_opens_nothing(
    here: Path, capsys: Any, arguments: list[str], named: str
) -> None:
    _, err = said(["score", *arguments], capsys, 2)
    assert named in err.splitlines()[-1]
    assert not (here / "runs").exists()


# --- a server


@contextlib.contextmanager
def server(answer: Callable[[dict[str, Any]], str | tuple[str, str]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its address, and the requests it got. `answer` gives a text, or a text and a finish reason."""
    got = list[dict[str, Any]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            got.append(body)
            told = answer(body)
            text, reason = told if isinstance(told, tuple) else (told, "stop")
            reply = {
                "id": "1", "object": "chat.completion", "created": 1, "model": "m",
                "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text}}],
            }  # fmt: skip
            page = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}/v1", got
        finally:
            web.shutdown()
            thread.join()


def test_a_server_is_asked_for_one_of_the_labels_and_never_shown_the_right_one(here: Path, capsys: Any) -> None:
    with server(lambda body: '{"answer": "grocer"}') as (address, got):
        out, err = said(["score", address, str(ERRANDS), "--model", "m", "--json"], capsys)
    told = json.loads(out)
    shops = {row["text"]: row["shop"] for row in ROWS}
    assert told["how"] == "generation"
    assert told["score"]["n"] == len(got) == 24
    assert told["score"]["right"] == told["confusion"]["grocer"]["grocer"] == 6
    assert {body["model"] for body in got} == {"m"}
    enums = {tuple(body["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"]) for body in got}
    assert enums == {("grocer", "hardware", "chemist", "bookshop")}
    asked = [json.loads(body["messages"][-1]["content"].partition("DATA:\n")[2]) for body in got]
    assert all(set(one) == {"question"} and one["question"] in shops for one in asked)
    assert f"To {address} go 24 questions of test" in err
    assert "evals score" in (here / "runs" / "test-openings.jsonl").read_text()


def test_answers_of_a_server_that_are_none_of_the_labels_are_malformed(here: Path, capsys: Any) -> None:
    replies = iter(["no idea", '{"answer": "butcher"}', ('{"answer": "gro', "length"), *['{"answer": "grocer"}'] * 21])
    with server(lambda body: next(replies)) as (address, _):
        out, _ = said(["score", "m", str(ERRANDS), "--url", address, "--json"], capsys)
    told = json.loads(out)
    assert (told["score"]["malformed"], told["score"]["truncated"]) == (2, 1)
    assert sum(row.get("", 0) for row in told["confusion"].values()) == 3


def test_a_server_writes_open_answers_which_are_cut_at_the_stop_texts(here: Path, capsys: Any) -> None:
    rows = [{"q": f"{row['text']} {at}?", "a": f"it is {at}"} for at, row in enumerate(ROWS)]
    (here / "open.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {
        "name": "open", "source": "open.jsonl", "columns": {"prompt": "q", "answer": "a"}, "kind": "generate", "stop": ["\n"],
        "frame": "Q: {question}\nA:", "instruction": "Say which.", "splits": {"mine": 10, "select": 10}, "max_new_tokens": 20,
    }  # fmt: skip
    (here / "open.yaml").write_text(yaml.safe_dump(spec))
    known = {row["q"]: row["a"] for row in rows}

    def answer(body: dict[str, Any]) -> str:
        asked = body["messages"][0]["content"]
        question = asked.removeprefix("Say which.\n\nQ: ").removesuffix("\nA:")
        return f"{known[question]}\nQ: and another"

    with server(answer) as (address, got):
        out, _ = said(["score", "m", "open.yaml", "--url", address, "--split", "select", "--json"], capsys)
    told = json.loads(out)
    assert (told["score"]["right"], told["score"]["n"]) == (10, 10)
    assert {body["max_tokens"] for body in got} == {20}
    assert told["tokens_per_second"] > 0


def test_bare_leaves_the_task_out(here: Path, capsys: Any) -> None:
    with server(lambda body: '{"answer": "grocer"}') as (address, got):
        said(["score", "m", str(ERRANDS), "--url", address, "--limit", "2"], capsys)
        said(["score", "m", str(ERRANDS), "--url", address, "--limit", "2", "--bare"], capsys)
    task = load_evals(ERRANDS).task()
    assert [task in body["messages"][0]["content"] for body in got] == [True, True, False, False]
