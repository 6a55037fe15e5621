"""Eval sets that are code: a package that offers two, installed for real, and functions of a file, most of them broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from student.evals.address import address
from student.evals.plugins import Plugged, call_plugin
from student.evals.spec import EvalError, EvalSpec

PACKAGE = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`pip install tests/plugin`, into a folder of its own."""
    folder, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source")
    shutil.copytree(PACKAGE, source, dirs_exist_ok=True)  # building writes beside the source
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*pip, "--target", str(folder), str(source)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    sys.modules.pop("ticket_evals", None)


def called(text: str, folder: Path = Path(), **said: Any) -> Plugged:
    """What a plug-in gives at the command line, or with the keys of a YAML file around it."""
    where = address(text, folder)
    return call_plugin(
        where, EvalSpec.model_validate({"name": where.item or where.place, "source": str(where), **said})
    )


def refused(text: str, folder: Path = Path(), **said: Any) -> str:
    """What a person is told, in one paragraph."""
    with pytest.raises(EvalError) as caught:
        called(text, folder, **said)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, body: str) -> str:
    """A file with a function `mine` whose body this is; line 3 is its first line."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "own.py").write_text(f"import sys\ndef mine():\n{lines}\n")
    return "own.py:mine"


# --- an installed package


def test_an_installed_package_offers_an_eval_set(installed: Path) -> None:
    plugged = called("plugin:tickets")
    assert plugged.spec.name == "tickets" and plugged.spec.noun == "ticket"
    assert list(plugged.spec.labels) == ["billing", "access", "shipping"]
    assert plugged.host is None and not +plugged.dropped
    items = plugged.parts[""]
    assert len(items) == 75 and (items[0].id, items[0].answer, items[0].skill) == ("billing-0-0", "billing", "billing")
    assert items[0].prompt == "Hello, an invoice was paid twice."


def test_the_package_does_not_know_the_program_that_uses_it() -> None:
    assert "llm2llm" not in (PACKAGE / "ticket_evals.py").read_text()


def test_rows_come_in_parts_with_columns_and_a_scorer_of_their_own(installed: Path) -> None:
    plugged = called("plugin:replies")
    assert {part: len(items) for part, items in plugged.parts.items()} == {"train": 10, "validation": 5, "test": 10}
    assert plugged.host is not None
    item = plugged.parts["test"][0]
    said = [f"{item.answer}, please", item.answer, "no", " ", "no"]
    raw = [{"text": text, "truncated": at == 4} for at, text in enumerate(said)]
    found = plugged.host.attempts([item] * 5, raw, lambda asked: [])
    assert [one.score for one in found] == [1.0, 0.5, 0.0, 0.0, 0.0]
    assert [one.outcome for one in found] == ["right", "wrong", "wrong", "malformed", "truncated"]


def test_an_unknown_name_lists_what_is_installed(installed: Path) -> None:
    said = refused("plugin:ticket")
    assert "'replies', 'tickets'" in said and "Did you mean 'tickets'?" in said


def test_a_persons_file_wins_over_the_plug_in(installed: Path) -> None:
    plugged = called(
        "plugin:tickets",
        name="desk",
        noun="letter",
        splits={"mine": 3, "select": 3},
        labels=["access", "billing", "shipping"],
    )
    assert (plugged.spec.name, plugged.spec.noun) == ("desk", "letter")
    assert list(plugged.spec.labels) == ["access", "billing", "shipping"]
    assert plugged.parts[""][0].choices == ("access", "billing", "shipping")
    assert plugged.spec.instruction == "Say which desk the ticket belongs to."


def test_a_package_whose_code_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[llm2llm.evals]\nboth = gone:f\n{name} = gone:f\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "the plug-in failed: ModuleNotFoundError: No module named 'gone'" in refused("plugin:one")
    assert "several packages offer it: one and two" in refused("plugin:both")


# --- a function of a file


def test_a_function_of_a_file_is_called_and_its_prints_do_not_reach_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside.py").write_text("ROWS = [{'prompt': f'{n} and {n}', 'answer': str(2 * n)} for n in range(4)]\n")
    text = written(tmp_path, "import beside\nprint('reading')\nreturn {'kind': 'generate', 'items': iter(beside.ROWS)}")
    plugged = called(text, tmp_path)
    sys.modules.pop("beside")
    assert [one.answer for one in plugged.parts[""]] == ["0", "2", "4", "6"]
    assert capsys.readouterr() == ("", "reading\n")
    assert str(tmp_path) not in sys.path


def test_rows_may_have_choices_of_their_own_and_messages(tmp_path: Path) -> None:
    rows = [{"prompt": [{"role": "user", "content": "Warm?"}], "choices": ["yes", "no"], "answer": "no", "skill": "doubt"},
            {"prompt": "Cold?", "choices": ["maybe", "yes", "no"], "answer": "yes", "skill": "hope"}]  # fmt: skip
    first, second = called(written(tmp_path, f"return {{'items': {rows}}}"), tmp_path).parts[""]
    assert (first.choices, first.answer, first.skill) == (("yes", "no"), "no", "doubt")
    assert (second.choices, second.answer) == (("maybe", "yes", "no"), "yes")


ROW = "{'prompt': 'p', 'answer': 'a'}"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("x = 1\nreturn x / 0", "own.py:4: the plug-in failed: ZeroDivisionError"),
        ("sys.exit(3)", "own.py:3: the plug-in failed: SystemExit: 3"),
        ("return {'kind': 'generate', 'items': [1]}", "row 1, is 1. A row is a mapping"),
        ("def rows():\n    yield {}['gone']\nreturn {'items': rows()}", "own.py:4: the plug-in failed: KeyError: 'gone'"),
        ("return [1]", "it returned a list"),
        ("return {'kind': 'generate'}", "Return the rows as `items`"),
        ("return {'items': 'abc'}", "items is 'abc'"),
        ("return {'parts': [1]}", "`parts` is a list"),
        ("return {'kind': 'generate', 'items': [{'prompt': {1, 2}, 'answer': 'a'}]}", "row 1: Object of type set"),
        (f"return {{'colour': 'red', 'items': [{ROW}]}}", "'colour', which is none of an eval set"),
        (f"return {{'label': ['a', 'b'], 'items': [{ROW}]}}", "Did you mean 'labels'"),
        (f"return {{'kind': 'guess', 'items': [{ROW}]}}", "`kind` of what it returned"),
        (f"return {{'items': [{ROW}]}}", "`labels` names 0"),
        ("return {'kind': 'generate', 'items': [{'prompt': 'p'}]}", "`columns.answer`"),
        ("return {'kind': 'generate', 'items': []}", "no items"),
        (f"return {{'labels': ['b', 'c'], 'items': [{ROW}]}}", "own.py:mine, row 1: column 'answer' holds 'a'"),
        (f"return {{'labels': ['a', 'b'], 'scorer': len, 'items': [{ROW}]}}", "Return kind: generate"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plug_in_is_a_paragraph(tmp_path: Path, body: str, told: str) -> None:
    assert told in refused(written(tmp_path, body), tmp_path)


def test_a_file_that_cannot_be_read_as_python_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def mine():\n    return {\n")
    assert "own.py:2: the plug-in failed: SyntaxError" in refused("own.py:mine", tmp_path)
    (tmp_path / "own.py").write_text("def mien(): pass\ndef other(needed): pass\n")
    assert "Did you mean 'mien'?" in refused("own.py:mine", tmp_path)
    assert "takes 'needed'" in refused("own.py:other", tmp_path)
    assert "does not exist" in refused("gone.py:mine", tmp_path)


@pytest.mark.parametrize(
    ("scorer", "told"),
    [
        ("1 / 0", r"own\.py:3: the plug-in failed"),
        ("2.5", "returned 2.5"),
        ("'yes'", "returned 'yes'"),
        ("float('nan')", "nan"),
    ],
)
def test_a_scorer_that_fails_is_told_with_its_line(tmp_path: Path, scorer: str, told: str) -> None:
    plugged = called(
        written(
            tmp_path, f"return {{'kind': 'generate', 'scorer': lambda expected, output: {scorer}, 'items': [{ROW}]}}"
        ),
        tmp_path,
    )
    assert plugged.host is not None
    with pytest.raises(EvalError, match=told):
        plugged.host.attempts(plugged.parts[""], [{"text": "x", "truncated": False}], lambda asked: [])
