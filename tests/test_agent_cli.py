"""What a person types and what they get: wrong input costs one paragraph and exit code 2, never a traceback.

Commands run in this process with a table student where a run is needed. A teacher that is down or refuses the key is a
real address on loopback. Only what has to be a process of its own (a closed pipe, the time `--help` takes) is one.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dry_run
import pytest
from dry_run import (
    ERRANDS,
    ROOT,
    bought,
    command_line,
    environment,
    events,
    finish,
    finished_run,
    start,
    table_run,
    table_student,
    words,
)

from agent.settings import resolve
from teacher.book import open_readonly

MINE = ["--evals", str(ERRANDS), "--student", "builtin:tiny", "--teacher", "scripted"]
KEY = "sk-test-5e1f0c3b9a7d"
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def quick_student() -> Iterator[None]:
    with table_student():
        yield


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def evals(tmp_path: Path) -> Path:
    """A copy of the errands eval set, to be spoilt."""
    shutil.copytree(ERRANDS.parent, tmp_path / "evals")
    return tmp_path / "evals" / "evals.yaml"


def refused(arguments: list[str], capsys: Any) -> str:
    """What stderr says to a command that a person has to correct."""
    capsys.readouterr()
    assert command_line(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("llm2llm: ")
    assert err.count("\n") == 1, "one paragraph"
    assert "Traceback" not in err
    return err


def nothing_left(runs: Path) -> bool:
    return not runs.exists() or not any(path.is_dir() for path in runs.iterdir())


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "quikstart"], ["'quikstart'", "'quickstart'"]),
        (["run", "no/such/file.yaml"], ["no/such/file.yaml", "quickstart"]),
        (["run"], ["--evals"]),
        (["run", "--evals", "no/such/evals.yaml"], ["no/such/evals.yaml", "does not exist"]),
        (["run", *MINE, "--set", "stop.ronds=2"], ["'stop.ronds'", "'stop.rounds'"]),
        (["run", *MINE, "--set", "stopp.rounds=2"], ["'stopp'", "stop"]),
        (["run", *MINE, "--set", "stop.rounds=many"], ["'stop.rounds'", "'many'"]),
        (["run", *MINE, "--set", "stop.rounds=-1"], ["'stop.rounds'", "-1"]),
        (["run", *MINE, "--set", "stop.rounds"], ["'stop.rounds'", "key=value"]),
        (["run", *MINE, "--set", "stop.rounds=[1"], ["stop.rounds=[1"]),
        (["run", *MINE, "--set", "seed.x=1"], ["seed"]),
        (["run", *MINE, "--set", "train.batch_size=0"], ["'train.batch_size'"]),
        (["run", *MINE, "--set", "train.epochs=-2"], ["'train.epochs'"]),
        (["run", *MINE, "--set", "generate.per_request=0"], ["'generate.per_request'"]),
        (["run", *MINE, "--set", "generate.examples=0"], ["'generate.examples'"]),
        (["run", *MINE, "--set", "generate.temperature=-1"], ["'generate.temperature'"]),
        (["run", *MINE, "--set", "student.lora.rank=0"], ["'student.lora.rank'"]),
        (["run", *MINE, "--set", "budget.minutes=.inf"], ["'budget.minutes'"]),
        (["run", *MINE, "--set", "budget.money=5"], ["budget.money=5", "budget.prompt_price", "budget.tokens"]),
        (["run", *MINE, "--set", "stop.rounds=2020-13-45"], ["stop.rounds=2020-13-45"]),
        (["run", *MINE, "--student", "~nobody-of-that-name/m"], ["~nobody-of-that-name/m"]),
        (["run", *MINE, "--teacher", "t" * 300], ["teacher.base_url"]),
        (["run", *MINE, "--ui", "loud"], ["'loud'", "quiet"]),
        (["run", *MINE, "--name", "../up"], ["'../up'"]),
        (["run", *MINE, "--student", "./no/such/folder"], ["./no/such/folder"]),
        (["run", *MINE, "--student", "no-such.gguf"], ["no-such.gguf"]),
        (["run", *MINE, "--student", "builtin:smollm3"], ["builtin:smollm3", "builtin:smollm2-135m-instruct"]),
        (["run", *MINE, "--teacher", "gpt-9"], ["'gpt-9'", "teacher.base_url"]),
        (["run", *MINE, "--teacher", "no-such.gguf"], ["no-such.gguf"]),
        (["run", *MINE, "--teacher", "http://teacher.example/v1"], ["http://teacher.example/v1", "https"]),
        (["run", *MINE, "--teacher", "https://me:secret@teacher.example/v1"], ["teacher.example"]),
        (["run", *MINE, "--teacher", "https://teacher.example/v1"], ["teacher.model=NAME"]),
        (["resume", "nothing"], ["'nothing'"]),
        (["show", "nothing"], ["'nothing'"]),
        (["check", "quikstart"], ["'quickstart'"]),
        (["check", *MINE, "--set", "teacher.replay=nothing", "--runs", "no/such/runs"], ["'nothing'", "no/such/runs"]),
        (["evals", "score", "m", str(ERRANDS), "--url", "https://host/v1", "--model", "n"], ["--model"]),
        (["check", "--explain", "stpo"], ["'stpo'"]),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else None,
)
def test_bad_input_is_one_paragraph_and_leaves_nothing(
    arguments: list[str], named: list[str], runs: Path, capsys: Any
) -> None:
    said = refused([*arguments, *(["--runs", str(runs)] if arguments[0] in ("run", "resume", "show") else [])], capsys)
    for words_expected in named:
        assert words_expected in said
    assert "secret" not in said
    assert nothing_left(runs)


@pytest.mark.parametrize("place", ["a-file", "a-file/below", "/proc/nope"])
def test_a_place_where_nothing_can_be_kept_is_named(
    place: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "d.csv").write_text("text,label\n" + "".join(f"words {at} here,{'ab'[at % 2]}\n" for at in range(40)))
    there = str(tmp_path / place)
    assert there in refused(["run", *MINE, "--runs", there], capsys)
    assert f"{there}/evals.yaml" in refused(
        ["evals", "init", str(tmp_path / "d.csv"), "--to", f"{there}/evals.yaml"], capsys
    )
    monkeypatch.setenv("LLM2LLM_CACHE", there)
    assert there in refused(["evals", "score", "builtin:tiny", str(ERRANDS), "--split", "mine"], capsys)


def test_an_eval_set_named_by_a_setting_is_found_from_elsewhere_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ERRANDS.parent)
    assert resolve(None, ["evals=evals.yaml"], {})[0].evals == str(ERRANDS)


def spoilt_run(evals: Path, runs: Path, capsys: Any) -> str:
    said = refused(["run", "--evals", str(evals), "--teacher", "scripted", "--runs", str(runs)], capsys)
    assert nothing_left(runs)
    return said


def test_a_missing_column_names_file_and_line(evals: Path, runs: Path, capsys: Any) -> None:
    evals.write_text(evals.read_text().replace("prompt: text", "prompt: body"))
    said = spoilt_run(evals, runs, capsys)
    assert "items.jsonl:1:" in said and "'body'" in said and "'text'" in said


def test_an_answer_that_is_no_label_names_file_and_line(evals: Path, runs: Path, capsys: Any) -> None:
    data = evals.with_name("items.jsonl")
    lines = data.read_text().splitlines()
    lines[11] = lines[11].replace("bookshop", "library")
    data.write_text("\n".join(lines))
    said = spoilt_run(evals, runs, capsys)
    assert "items.jsonl:12:" in said and "'library'" in said


def test_yaml_that_cannot_be_read_is_still_one_paragraph(evals: Path, runs: Path, capsys: Any) -> None:
    evals.write_text("columns: [")
    assert "evals.yaml" in spoilt_run(evals, runs, capsys)


def test_a_folder_instead_of_a_file_is_named(evals: Path, runs: Path, capsys: Any) -> None:
    assert str(evals.parent) in spoilt_run(evals.parent, runs, capsys)


@pytest.mark.parametrize(
    "text", ["evals: [", "- a\n- b\n", "evals: evals.yaml\nstop: 3\n", "\x00", "evals:\n", "stop:\n"]
)
def test_a_config_file_that_is_none_is_named(tmp_path: Path, runs: Path, capsys: Any, text: str) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(text)
    refused(["run", str(config), "--runs", str(runs)], capsys)
    assert nothing_left(runs)


def test_escape_sequences_in_what_was_typed_are_not_passed_on(runs: Path, capsys: Any) -> None:
    assert "\x1b" not in refused(["run", "quick\x1b[2Jstart", "--runs", str(runs)], capsys)


# --- a teacher that cannot be used


class Refuses(BaseHTTPRequestHandler):
    """A server that knows nobody, and says so with the key it was sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        said = json.dumps({"error": {"message": f"wrong key: {self.headers.get('authorization')}"}}).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on stderr."""


@pytest.fixture
def refusing_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def begin(runs: Path, *more: str, **changes: str) -> list[str]:
    return words("run", "--ui", "quiet", "--name", "errands", *more, runs=runs, **changes)


def resume(runs: Path) -> list[str]:
    return words("resume", "errands", "--ui", "quiet", runs=runs)


def mend(folder: Path, **changes: Any) -> None:
    """Do what the message asked for: correct the teacher in the run's config."""
    import yaml

    tree = yaml.safe_load((folder / "config.yaml").read_text())
    tree["teacher"].update(changes)
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))


def test_a_teacher_that_is_down_stops_the_run_which_then_goes_on(runs: Path, capsys: Any) -> None:
    changes = {"teacher__model": "m", "teacher__base_url": NOWHERE, "teacher__deadline_seconds": "2"}
    began = time.monotonic()
    said = refused(begin(runs, **changes), capsys)
    assert time.monotonic() - began < 60
    assert "127.0.0.1:9" in said and f"llm2llm resume {runs / 'errands-1'}" in said
    folder = runs / "errands-1"
    assert events(folder)[-1]["status"] == "failed"
    assert "127.0.0.1:9" in refused(resume(runs), capsys)
    mend(folder, model="scripted", base_url=None)
    assert command_line(resume(runs)) == 0
    assert events(folder)[-1]["status"] == "done"


def test_a_refused_key_is_told_and_never_written(
    runs: Path, capsys: Any, refusing_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERRANDS_KEY", KEY)
    changes = {"teacher__model": "m", "teacher__base_url": refusing_server, "teacher__api_key_env": "ERRANDS_KEY"}
    said = refused(begin(runs, **changes), capsys)
    assert "401" in said and f"llm2llm resume {runs / 'errands-1'}" in said
    assert KEY not in said
    files = [path for path in (runs / "errands-1").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert "ERRANDS_KEY" in (runs / "errands-1" / "config.yaml").read_text()


def test_what_leaves_this_machine_is_said_before_the_first_request(
    runs: Path, capsys: Any, refusing_server: str
) -> None:
    refused(begin(runs, teacher__model="m", teacher__base_url=refusing_server), capsys)
    told = events(runs / "errands-1")
    (leaves,) = [event for event in told if event["event"] == "run.leaves"]
    assert (leaves["host"], leaves["columns"], leaves["items"]) == (refusing_server, ["text", "shop"], 20)
    assert [event["event"] for event in told].index("run.leaves") < 3


# --- watching


def test_json_on_stdout_is_one_event_a_line(runs: Path, capsys: Any) -> None:
    assert command_line(words("run", "--ui", "json", "--name", "errands", runs=runs)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == events(runs / "errands-1")
    assert json.loads(lines[-1])["event"] == "run.ended"


def test_quiet_says_nothing(runs: Path, capsys: Any) -> None:
    assert command_line(begin(runs)) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("ui", ["json", "plain"])
def test_a_closed_pipe_does_not_stop_the_run(ui: str, runs: Path) -> None:
    command = [sys.executable, dry_run.__file__, "table", *words("run", "--ui", ui, "--name", "errands", runs=runs)]
    shell = f"({shlex.join(command)}; echo $? > {shlex.quote(str(runs.parent / 'code'))}) | head -1"
    ended = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, env=environment(runs.parent / "cache"), timeout=180,
        check=False,
    )  # fmt: skip
    assert (runs.parent / "code").read_text().strip() == "0"
    assert ended.stdout.count("\n") == 1
    assert "Traceback" not in ended.stderr and "BrokenPipe" not in ended.stderr
    assert events(runs / "errands-1")[-1]["status"] == "done"


# --- looking at runs


def test_runs_and_show_tell_what_happened(runs: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert command_line(begin(runs)) == 0
    capsys.readouterr()
    assert command_line(["runs", "--runs", str(runs)]) == 0
    listed = capsys.readouterr().out
    assert "errands-1" in listed and "done" in listed
    assert command_line(["show", "errands", "--runs", str(runs)]) == 0
    shown = capsys.readouterr().out
    for expected in ("errands-1", "builtin:tiny", "seed-only", "select", "n=20", "Not shown"):
        assert re.search(re.escape(expected).replace("n=20", r"n\s*=?\s*20|\b20\b"), shown), expected
    assert command_line(["show", "errands", "--prompts", "--runs", str(runs)]) == 0
    assert "new $noun" in capsys.readouterr().out


def test_a_run_that_is_worked_on_is_listed_as_running(runs: Path, capsys: Any) -> None:
    from loops.run_folder import RunFolder

    assert command_line(begin(runs)) == 0
    capsys.readouterr()
    holder = RunFolder(runs / "errands-1")
    holder.events.write_text("".join(json.dumps(event) + "\n" for event in events(holder.path)[:-1]))
    holder.lock()
    assert command_line(["runs", "--runs", str(runs)]) == 0
    assert "running" in capsys.readouterr().out
    holder.unlock()
    assert command_line(["runs", "--runs", str(runs)]) == 0
    assert "running" not in capsys.readouterr().out


def test_runs_are_listed_by_their_folders_whatever_is_left_of_them(runs: Path, capsys: Any) -> None:
    assert command_line(begin(runs)) == 0
    shutil.copytree(runs / "errands-1", runs / "copied-7")
    (runs / "copied-7" / "config.yaml").unlink()
    shutil.copytree(runs / "errands-1", runs / "killed-2")
    (runs / "killed-2" / "events.jsonl").unlink()
    (runs / "killed-2" / "lock").unlink()
    capsys.readouterr()
    assert command_line(["runs", "--runs", str(runs)]) == 0
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert {"errands-1", "copied-7", "killed-2"} <= listed.keys()
    assert "1970" not in listed["killed-2"] and "interrupted" in listed["killed-2"]
    assert not (runs / "killed-2" / "lock").exists(), "looking writes nothing"
    assert command_line(["show", "copied", "--runs", str(runs)]) == 0


def test_a_run_elsewhere_is_named_by_its_path(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loops.run_folder import RunFolder

    assert RunFolder(runs / "my run-1").as_typed == shlex.quote(str(runs / "my run-1"))
    monkeypatch.chdir(runs.parent)
    assert RunFolder(runs / "errands-1").as_typed == "errands-1" and runs.name == "runs"


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    from loops.run_folder import RunError, RunFolder

    (tmp_path / "lock").mkdir()
    assert not RunFolder(tmp_path).is_held
    with pytest.raises(RunError, match=r"cannot be worked in .* copy it to a folder"):
        RunFolder(tmp_path).lock()


@pytest.mark.parametrize("config", ["stop: {rounds: 1}\nstop: {patience: 3}\n", "budget: {tokens: 1, tokens: 2}\n"])
def test_a_key_that_stands_twice_is_refused(config: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "run.yaml").write_text(f"evals: {dry_run.ERRANDS}\n{config}")
    assert command_line(["check", str(tmp_path / "run.yaml")]) == 2
    assert "stands here for the second time" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_cannot_be_written_is_one_paragraph(runs: Path) -> None:
    assert command_line(begin(runs)) == 0
    command = [sys.executable, dry_run.__file__, "table", "show", "errands", "--runs", str(runs)]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 2 and "could not be written" in ended.stderr and "Traceback" not in ended.stderr
    plain = {**environment(runs.parent / "cache"), "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(
        [*command[:3], "check", "--explain", "evals"], env=plain, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0 and "Traceback" not in ended.stderr


def test_no_runs_is_no_error(runs: Path, capsys: Any) -> None:
    assert command_line(["runs", "--runs", str(runs)]) == 0
    assert "Traceback" not in capsys.readouterr().out


def test_every_setting_can_be_explained(capsys: Any) -> None:
    assert command_line(["check", "--explain", "stop"]) == 0
    out = capsys.readouterr().out
    assert "stop.rounds = 5" in out and "Teaching rounds at most." in out and "train." not in out
    assert command_line(["check", "--explain", ""]) == 0
    everything = capsys.readouterr().out
    assert "teacher.api_key_env" in everything and "student.lora.rank" in everything
    values = [line.partition(" = ")[2] for line in everything.splitlines() if re.match(r"\S+ = ", line)]
    assert not {"None", "True", "False"} & {*values}, "as one types them"
    assert all(line[:4].isspace() or " = " in line for line in everything.splitlines() if line.strip())
    keys = re.findall(r"^(\S+) = .*\n(.*)", everything, re.MULTILINE)
    assert len(keys) > 30
    assert [key for key, note in keys if not note.strip()] == []


def test_the_hint_about_explain_is_a_command_that_works(runs: Path, capsys: Any) -> None:
    said = refused(["run", *MINE, "--set", "nonsense=1", "--runs", str(runs)], capsys)
    hint = re.search(r"`llm2llm (check --explain[^`]*)`", said)
    assert hint is not None
    assert command_line(shlex.split(hint.group(1))) == 0


def test_check_scores_the_teacher_and_estimates(capsys: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    asked = ["check", "--evals", str(ERRANDS), "--teacher", "scripted"]
    assert command_line(asked) == 0
    assert "mine 40, test 24" in (out := capsys.readouterr().out)
    assert "select would have 20 items" in out
    assert command_line([*asked, "--set", "mode=select"]) == 0
    out = capsys.readouterr().out
    assert "mine 20, select 20, test 24" in out
    assert "12 of 12 seeds right" in out and "95 % interval" in out, "the eight that are shown are not asked"
    assert "tokens" in out and "unknown" in out
    assert command_line([*asked, "--set", "mode=select", "--set", "control=true"]) == 0
    assert _estimated(with_control := capsys.readouterr().out) > 1.5 * _estimated(out)
    assert "and the control arms" in with_control
    for change, larger in (
        ("curate.answers=3", True),
        ("curate.verify=false", False),
        ("generate.per_failure=1", False),
        ("generate.mix={rephrase: 1}", False),
        ("generate.mix={paper: 1}", True),
    ):
        assert command_line([*asked, "--set", "mode=select", "--set", change]) == 0
        assert (_estimated(capsys.readouterr().out) > _estimated(out)) == larger
    assert list(tmp_path.glob("*")) == [tmp_path / "cache"] or list(tmp_path.glob("*")) == []


def test_check_says_what_leaves_before_it_asks(
    capsys: Any, refusing_server: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    there = ["--set", "teacher.model=m", "--set", f"teacher.base_url={refusing_server}", "--set", "mode=select"]
    assert command_line(["check", "--evals", str(ERRANDS), *there]) == 2
    told, refused = capsys.readouterr().err.splitlines()
    where = f"go to {refusing_server}; a run sends it text, shop."
    assert told == f"llm2llm: 12 questions of mine, without their answers, and 8 with them, {where}"
    assert "401" in refused
    assert command_line(["check", "--evals", str(ERRANDS), *there, "--set", "curate.shown=0"]) == 2
    told, _ = capsys.readouterr().err.splitlines()
    assert told == f"llm2llm: 20 questions of mine, without their answers, {where}"
    former = table_run(tmp_path_factory.getbasetemp())
    again = [
        "--set",
        f"teacher.replay={former.name}",
        "--set",
        "teacher.replay_then_ask=true",
        "--runs",
        str(former.parent),
    ]
    assert command_line(["check", "--evals", str(ERRANDS), *there, *again]) == 2
    assert f"go to {refusing_server}" in capsys.readouterr().err
    assert command_line(["check", "--evals", str(ERRANDS), "--teacher", "https://teacher.example/v1"]) == 2
    (refused,) = capsys.readouterr().err.splitlines()
    assert "teacher.model=NAME" in refused, "nothing leaves, so nothing is said to"


def _estimated(out: str) -> int:
    """Teacher tokens, as `check` estimates them."""
    return int(out.partition("roughly ")[2].partition(" teacher tokens")[0].replace(",", ""))


def test_an_unknown_built_in_model_is_answered_with_those_there_are(capsys: Any) -> None:
    assert command_line(["models", "pull", "builtin:smollm3"]) == 2
    err = capsys.readouterr().err
    assert "builtin:smollm2-135m-instruct" in err and "Traceback" not in err


def test_models_are_listed(capsys: Any) -> None:
    assert command_line(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "builtin:smollm2-135m-instruct" in out and "builtin:tiny" in out and "Apache-2.0" in out


# --- start-up


def test_help_answers_at_once_and_without_torch() -> None:
    took: list[float] = []
    said = ""
    for _ in range(3):
        began = time.monotonic()
        command = [sys.executable, "-m", "llm2llm", "--help"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        took.append(time.monotonic() - began)
    for name in ("run", "resume", "runs", "show", "check", "models"):
        assert re.search(rf"^\s+{name}\s", said, re.MULTILINE)
    assert statistics.median(took) < 1.5, "0.5 s on a quiet machine"
    probe = (
        "import sys; from agent import cli; sys.argv = ['', '--help']; cli.main(); print(*sys.modules, file=sys.stderr)"
    )
    loaded = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False).stderr
    heavy = {"torch", "transformers", "peft", "langgraph", "openai", "xllamacpp", "scipy", "sklearn", "datasets"}
    assert not heavy & set(loaded.split())


def test_a_student_that_cannot_be_loaded_is_told_and_the_run_goes_on_when_it_can(
    tmp_path_factory: pytest.TempPathFactory, runs: Path, tmp_path: Path
) -> None:
    """With the real student's process: a folder that holds no model."""
    (tmp_path / "model").mkdir()
    cache = finished_run(tmp_path_factory.getbasetemp()).parent.parent / "dry-cache"
    code, _, err = finish(start(cache, begin(runs, "--student", str(tmp_path / "model"))))
    assert code == 2
    assert "Traceback" not in err and err.count("\n") == 1
    assert str(tmp_path / "model") in err and f"llm2llm resume {runs / 'errands-1'}" in err
    assert bought(runs / "errands-1") == {} if (runs / "errands-1" / "ledger.sqlite").exists() else True


def test_a_finished_runs_replies_serve_another_run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Same questions, no teacher: the replayed run makes the same lessons and buys nothing."""
    finished = finished_run(tmp_path_factory.getbasetemp())
    arguments = words("run", "--ui", "quiet", "--set", f"teacher.replay={finished}", "--name", "again", runs=tmp_path)
    code, _, err = finish(start(tmp_path / "cache", arguments))
    assert code == 0, err
    lessons = Path("rounds/001/lessons.jsonl")
    again = [json.loads(line) for line in (tmp_path / "again-1" / lessons).read_text().splitlines()]
    first = [json.loads(line) for line in (finished / lessons).read_text().splitlines()]
    assert [one["prompt"] for one in again] == [one["prompt"] for one in first]
    with contextlib.closing(open_readonly(tmp_path / "again-1" / "ledger.sqlite")) as book:
        spent = book.totals()
    assert (spent.requests, spent.tokens) == (0, 0) and spent.replayed


def test_replaying_a_run_that_is_not_there_is_a_paragraph(tmp_path: Path) -> None:
    code, _, err = finish(start(tmp_path, words("run", "--set", "teacher.replay=nowhere", runs=tmp_path)))
    assert code == 2 and "nowhere" in err and "Traceback" not in err
    assert not list(tmp_path.glob("errands-*"))
