"""A YAML file without code makes items of any columns: texts, messages, choices, templates, labels written as numbers.

And what a column means is never guessed where two readings are possible: then the person is asked.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from student.evals.address import Address
from student.evals.cells import text_of
from student.evals.items import read_items
from student.evals.load import EvalSet, load_evals
from student.evals.mapping import check_mapping
from student.evals.spec import EvalError, EvalSpec
from student.evals.template import Template
from student.evals.trouble import BadCell
from student.records import Seed, Turn, text_hash

Rows = Sequence[dict[str, Any]]
COLUMNS = {"prompt": "q", "answer": "a"}


def spec(**changes: Any) -> EvalSpec:
    return EvalSpec.model_validate({"name": "x", "source": "x", "columns": COLUMNS, "kind": "generate"} | changes)


def items_of(folder: Path, rows: Rows, **changes: Any) -> list[Seed]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = spec(**changes)
    check_mapping(made, "evals.yaml")
    return read_items(made, Address("file", str(path)), (), lambda done, total: None, None)[0][""]


def refused(folder: Path, rows: Rows, **changes: Any) -> str:
    with pytest.raises(EvalError) as caught:
        items_of(folder, rows, **changes)
    return str(caught.value)


def answers(folder: Path, cells: Sequence[Any], **changes: Any) -> list[str]:
    return [
        one.answer
        for one in items_of(folder, [{"q": f"n. {at}", "a": cell} for at, cell in enumerate(cells)], **changes)
    ]


# --- values as text


def test_a_value_is_the_same_text_wherever_it_comes_from(tmp_path: Path) -> None:
    assert answers(tmp_path, ["1", 1, 1.0, " 1 "]) == ["1"] * 4
    assert answers(tmp_path, [True, False, 0.1, -0.0, 1e300, 12345678901234567890]) == [
        "true", "false", "0.1", "0", "1e+300", "12345678901234567890",
    ]  # fmt: skip
    assert answers(tmp_path, [{"b": 1, "a": ["é", None]}, [1, 2.5]]) == ['{"a": ["é", null], "b": 1}', "[1, 2.5]"]


def test_values_of_parquet_are_texts_too(tmp_path: Path) -> None:
    columns = {
        "whole": pa.array([1, 2]), "broken": pa.array([1.0, 2.0]), "truth": pa.array([True, False]),
        "price": pa.array([Decimal("1.50"), Decimal("20.00")]), "day": pa.array([datetime.date(2024, 5, 1)] * 2),
        "object": pa.array([{"n": 1}, {"n": 2}]),
    }  # fmt: skip
    parquet.write_table(pa.table({"q": ["a", "b"]} | columns), tmp_path / "rows.parquet")
    found = {
        name: [
            one.answer
            for one in read_items(
                spec(columns={"prompt": "q", "answer": name}), Address("file", str(tmp_path / "rows.parquet")), (),
                lambda done, total: None, None,
            )[0][""]
        ]
        for name in columns
    }  # fmt: skip
    assert found == {
        "whole": ["1", "2"], "broken": ["1", "2"], "truth": ["true", "false"], "price": ["1.50", "20.00"],
        "day": ["2024-05-01", "2024-05-01"], "object": ['{"n": 1}', '{"n": 2}'],
    }  # fmt: skip


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one, max_size=3),
        max_leaves=6,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_value_is_a_text_that_can_be_written_or_is_refused(value: Any) -> None:
    try:
        assert text_of(value).encode().decode() == text_of(value)
    except BadCell as bad:
        reason = bad.reason
        assert reason in ("not a number", "not JSON", "NUL byte", "half a character")


def test_a_path_leads_into_a_cell(tmp_path: Path) -> None:
    rows = [{"d": {"q": [{"t": "first"}, {"t": "last"}]}, "a.b": "dotted", "j": '{"deep": [1, "x"]}'}]
    (one,) = items_of(tmp_path, rows, columns={"prompt": "d.q.-1.t", "answer": "a.b", "id": "j.deep.1"})
    assert (one.prompt, one.answer, one.id) == ("last", "dotted", "x")
    told = refused(tmp_path, rows, columns={"prompt": "d.q.2.t", "answer": "a.b"})
    assert "rows.jsonl:1: column 'd.q.2.t' is missing; 'd.q' holds a list of 2" in told
    assert "'d' holds an object with 'q'" in refused(tmp_path, rows, columns={"prompt": "d.x", "answer": "a.b"})


# --- labels


def test_label_names_say_what_a_cell_means(tmp_path: Path) -> None:
    changes = {
        "kind": "choice",
        "labels": ["no", "yes"],
        "label_names": {"0": "no", "1": "yes", "true": "yes", "n/a": "no"},
    }
    assert answers(tmp_path, [0, 1.0, "1.0", True, "n/a", "yes"], **changes) == ["no", "yes", "yes", "yes", "no", "yes"]
    assert "rows.jsonl:1: column 'a' holds '2', which is none of the labels ('no', 'yes')" in refused(
        tmp_path, [{"q": "a", "a": 2}], **changes
    )


def test_labels_that_are_numbers_are_met_however_they_are_written(tmp_path: Path) -> None:
    assert answers(tmp_path, [1, "2", 3.0, "3.0"], kind="choice", labels=["1", "2.0", "3"]) == ["1", "2.0", "3", "3"]


def test_the_skill_is_the_label_unless_a_column_says_otherwise(tmp_path: Path) -> None:
    rows = [{"q": "a", "a": "no", "s": "short"}, {"q": "b", "a": "yes", "s": None}]
    plain = items_of(tmp_path, rows, kind="choice", labels=["no", "yes"])
    assert [one.skill for one in plain] == ["no", "yes"]
    named = items_of(tmp_path, rows, kind="choice", labels=["no", "yes"], columns={**COLUMNS, "skill": "s"})
    assert [one.skill for one in named] == ["short", "yes"]
    assert "'t'" in refused(tmp_path, rows, columns={**COLUMNS, "skill": "t"})


# --- messages


def test_messages_are_turns_and_readable_text(tmp_path: Path) -> None:
    user, reply = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes?"}
    last = {"role": "user", "content": [{"type": "text", "text": "what "}, {"type": "text", "text": "now?"}]}
    one, more = items_of(tmp_path, [{"q": [user], "a": "x"}, {"q": [user, reply, last], "a": "y"}])
    assert (one.prompt, one.turns, one.id) == ("hello", (), text_hash("hello"))
    assert more.prompt == "user: hello\nassistant: yes?\nuser: what now?"
    assert more.turns == (Turn.model_validate(user), Turn.model_validate(reply), Turn(role="user", content="what now?"))
    assert more == Seed.model_validate_json(more.model_dump_json())


def test_a_system_message_that_all_items_share_is_the_task_s(tmp_path: Path) -> None:
    system, reply = {"role": "system", "content": "You are terse."}, {"role": "assistant", "content": "yes?"}
    asked = [
        {"role": "user", "content": question}
        for question in ("Where is the toner?", "How far is Rome from here?", "My laptop hums", "Name a red fruit")
    ]
    rows = [{"q": [system, one], "a": "x"} for one in asked[:3]] + [
        {"q": [system, asked[3], reply, asked[0]], "a": "x"}
    ]
    told = chat_of(tmp_path, rows)
    items = [*told.seeds, *told.held_out.select(), *told.held_out.open_test(lambda: None)]
    assert (told.spec.system, told.spec.instruction) == ("You are terse.", "You are terse.\n\nAnswer.")
    assert {one.prompt for one in items} == {
        *(one["content"] for one in asked[:3]), "user: Name a red fruit\nassistant: yes?\nuser: Where is the toner?"
    }  # fmt: skip
    assert sorted(len(one.turns) for one in items) == [0, 0, 0, 3]
    rows[1]["q"] = rows[1]["q"][1:]
    kept = chat_of(tmp_path, rows)
    assert kept.spec.system == "" and any(
        one.turns and one.turns[0].role == "system" for one in (*kept.seeds, *kept.held_out.select())
    )


def chat_of(folder: Path, rows: Rows) -> EvalSet:
    (folder / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {
        "name": "x",
        "source": "chat.jsonl",
        "columns": COLUMNS,
        "kind": "generate",
        "format": "chat",
        "instruction": "Answer.",
        "splits": {"mine": 2, "select": 1},
    }
    (folder / "chat.yaml").write_text(json.dumps(told))
    return load_evals(folder / "chat.yaml")


def test_a_last_message_of_the_assistant_can_be_the_answer(tmp_path: Path) -> None:
    rows = [{"q": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}]
    (one,) = items_of(tmp_path, rows, columns={"prompt": "q", "answer": "q.-1.content"})
    assert (one.prompt, one.answer) == ("2 + 2?", "4")
    assert "`answer: q.-1.content`" in refused(tmp_path, [{**rows[0], "a": "4"}])


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "holds no message"), (["hello"], "text as message 1"),
        ([{"role": "robot", "content": "x"}], "the role 'robot'"),
        ([{"from": "human", "value": "x"}], "the keys 'from', 'value'"),
        ([{"role": "user", "content": " "}], "says nothing"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "is no text"), ([{"role": "user"}], "says nothing"),
        ([{"role": "user", "content": "a\0"}], "NUL"), ({"role": "user", "content": "x"}, "holds an object"),
    ],
)  # fmt: skip
def test_messages_that_cannot_be_asked_are_named(tmp_path: Path, messages: Any, said: str) -> None:
    told = refused(tmp_path, [{"q": messages, "a": "x"}])
    assert said in told and "rows.jsonl:1: column 'q'" in told


# --- choices


def asked(rows: Rows) -> list[dict[str, Any]]:
    return [{"q": f"which? ({at})"} | row for at, row in enumerate(rows)]


THREE = ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("cells", "extra"),
    [
        (["red", "blue", "green"], {}), (["A", "c", "(B)"], {}), ([0, 2, 1], {}), (["0", "2.0", 1.0], {}),
        ([1, 3, 2], {"answer_is": "position from 1"}), ([0, 2, 1], {"answer_is": "position from 0"}),
    ],
)  # fmt: skip
def test_an_answer_is_a_choice_a_letter_or_a_position(tmp_path: Path, cells: list[Any], extra: dict[str, Any]) -> None:
    columns = {"prompt": "q", "answer": "a", "choices": "c"} | extra
    found = items_of(tmp_path, asked([{"c": THREE, "a": cell} for cell in cells]), kind="choice", columns=columns)
    assert [one.answer for one in found] == ["red", "blue", "green"]
    assert all(one.choices == tuple(THREE) and one.skill == "" for one in found)


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ({"text": THREE, "label": ["1", "2", "3"]}, "2"), ({"text": THREE, "label": ["A", "B", "C"]}, "b"),
        ([{"text": "red", "label": "x"}, {"text": "green", "label": "y"}], "y"), ({"A": "red", "B": "green"}, "B"),
        (json.dumps(THREE), "B"),
    ],
)  # fmt: skip
def test_choices_come_in_the_shapes_that_are_in_use(tmp_path: Path, cell: Any, answer: str) -> None:
    columns = {"prompt": "q", "answer": "a", "choices": "c"}
    (one,) = items_of(tmp_path, asked([{"c": cell, "a": answer}]), kind="choice", columns=columns)
    assert one.answer == "green"


def test_choices_in_several_columns_may_end_early(tmp_path: Path) -> None:
    columns = {"prompt": "q", "answer": "a", "choices": ["opt1", "opt2", "opt3"]}
    rows = asked(
        [{"opt1": "red", "opt2": "green", "opt3": "blue", "a": "opt3"}, {"opt1": 1, "opt2": 2, "opt3": "", "a": "opt2"}]
    )
    found = items_of(tmp_path, rows, kind="choice", columns=columns)
    assert [(one.answer, one.choices) for one in found] == [("blue", tuple(THREE)), ("2", ("1", "2"))]
    assert "empty one among" in refused(tmp_path, [{**rows[0], "opt2": ""}], kind="choice", columns=columns)


def test_a_number_is_read_the_same_way_in_every_row(tmp_path: Path) -> None:
    """The `2` of the second row is a position, though it is one of the choices as well."""
    columns = {"prompt": "q", "answer": "a", "choices": "c"}
    rows = asked([{"c": THREE, "a": 0}, {"c": ["1", "2", "3"], "a": 2}])
    assert [one.answer for one in items_of(tmp_path, rows, kind="choice", columns=columns)] == ["red", "3"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [{"c": THREE, "a": 1}, {"c": THREE, "a": 2}],
            "`answer_is: position from 0` ('1' in the first row then means 'green'), `answer_is: position from 1`",
        ),
        ([{"c": THREE, "a": 1}, {"c": THREE, "a": 3}], "seem to be positions that count from 1"),
        ([{"c": ["1", "2", "0"], "a": 1}, {"c": ["0", "2", "1"], "a": 0}], "`answer_is: choice` ('1' in the first row then means '1')"),
        ([{"c": THREE, "a": "pink"}], "none of the choices, and no letter or position"),
        (
            [{"c": THREE, "a": "red"}, {"c": THREE, "a": "pink"}],
            "rows.jsonl:2: column 'a' holds 'pink', which (read as choice) names none of the choices 'red'",
        ),
        ([{"c": THREE, "a": 0}, {"c": THREE, "a": 3}], "rows.jsonl:2: column 'a' holds '3', which (read as position from 0)"),
        ([{"c": ["red"], "a": 0}], "holds 1 choice;"), ([{"c": ["red", "red "], "a": 0}], "holds 'red' twice"),
        ([{"c": "red", "a": 0}], "a JSON list"),
    ],
)  # fmt: skip
def test_what_an_answer_means_is_asked_where_it_is_not_plain(tmp_path: Path, rows: Rows, said: str) -> None:
    columns = {"prompt": "q", "answer": "a", "choices": "c"}
    assert said in refused(tmp_path, asked(rows), kind="choice", columns=columns)


def test_the_same_question_with_other_choices_is_another_item(tmp_path: Path) -> None:
    columns = {"prompt": "q", "answer": "a", "choices": "c"}
    rows = [{"q": "which?", "c": THREE, "a": "red"}, {"q": "which?", "c": ["one", "two"], "a": "two"}]
    first, second = items_of(tmp_path, rows, kind="choice", columns=columns)
    assert first.id != second.id


# --- templates


def test_templates_make_prompt_and_answer_of_columns(tmp_path: Path) -> None:
    prompt = (
        "{{ premise | trim }} / {{ row['the guess'] }}{% for one in choices %}\n{{ loop.index0 | letter }}. {{ one }}{% endfor %}"
        "{% if items %} ({{ items ~ '!' }}){% endif %}"
    )
    rows = [{"premise": " It rains. ", "the guess": "It is wet.", "choices": ["yes", "no"], "items": 2.0, "gold": [1]}]
    (one,) = items_of(tmp_path, rows, columns={}, prompt=prompt, answer="{{ choices[gold[0]] }}")
    assert one.prompt == "It rains. / It is wet.\nA. yes\nB. no (2!)"
    assert one.answer == "no"


def test_only_the_columns_a_template_uses_are_read(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"q": ["a"], "b": ["x"], "c": [b"\xff"]}), tmp_path / "rows.parquet")
    made = spec(columns={"answer": "b"}, prompt="{{ q }}")
    parts, _ = read_items(made, Address("file", str(tmp_path / "rows.parquet")), (), lambda done, total: None, None)
    assert parts[""][0].prompt == "a"


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("{{ qq }}", "'qq' is undefined. The row has 'q', 'a', 'n', 'list'"),
        ("{{ n }}", "prints an empty cell (null)"), ("{{ list.x.y }}", "no attribute 'x'"),
        ("{{ q + 1 }}", "+ is for numbers"), ("{{ 1 / 0 }}", "division by zero"),
        ("{{ q.__class__.__mro__ }}", "unsafe"), ("{{ [] | first }}", "No first item"),
        ("{{ q.format(q) }}", "calls 'format'"), ("{{ list.append(1) }}", "unsafe"),
        ("{{ '' }}", "makes an empty text"), ("{{ q.center(10) }}", "calls 'center'"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_fit_a_row_names_the_row(tmp_path: Path, prompt: str, said: str) -> None:
    told = refused(tmp_path, [{"q": "a", "a": "b", "n": None, "list": []}], columns={"answer": "a"}, prompt=prompt)
    assert said in told and "rows.jsonl:1: the `prompt` template" in told


ENDLESS = [
    "{% for a in range(10**9) %}{% endfor %}", "{% for a in range(1000000000) %}{% endfor %}",
    "{{ range(999999999) | list | length }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{{ 'a' * 1000000000 }}",
    "{{ 9 ** 999999999 }}",
    "{% for a in q %}{% for b in q %}{% for c in q %}{% for d in q %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ '%999999999d' % 1 }}", "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{% for a in [1] recursive %}{{ loop([1]) }}{{ loop([1]) }}{% endfor %}",
    "{% set s = q %}" + "{% set s = s ~ s %}" * 40 + "{{ s }}",
    "{% set s = q %}" + "{% set s = s + s %}" * 40 + "{{ s }}", "{{ q | center(999999999) }}",
    "{% set n = 99 %}" + "{% set n = n * n %}" * 60 + "{{ n }}", "{{ 1.5 | round(-999999999, 'floor') }}",
    "{{ q | indent(999999999) }}", "{% set s = q %}" + "{% set s = s | replace('n', s) %}" * 40 + "{{ s }}",
    "{% set s = [q, q] %}" + "{% set s = [s | join(s | join), s | join] %}" * 30 + "{{ s }}", "{{ lipsum(999999) }}",
    "{% include 'x' %}",
    "{% set ns = namespace(s=q) %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "{% for a in range(99999) %}{{ q | upper }}{{ q * 99999 }}{% endfor %}", "{{ q.ljust(999999999) }}",
    "{{ '{:>999999999}'.format(q) }}", "(" * 30_000, "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{% if q %}" * 1500,
    "{% for a in q %}" * 40 + "{% endfor %}" * 40, "{{ q[", "{{ q | nothing }}", "{% raw %}",
]  # fmt: skip


@pytest.mark.parametrize("prompt", ENDLESS)
def test_no_template_runs_for_ever_or_fills_the_memory(tmp_path: Path, prompt: str) -> None:
    assert "`prompt`" in refused(tmp_path, [{"q": "n " * 500, "a": "b"}], columns={"answer": "a"}, prompt=prompt)


@pytest.mark.parametrize("prompt", [one for one in ENDLESS if "10**9" in one or "macro" in one or "q[" in one])
def test_a_template_that_cannot_be_used_is_named_before_a_row_is_read(prompt: str) -> None:
    with pytest.raises(EvalError, match=r"evals\.yaml: `prompt`, line 1 of the template"):
        check_mapping(spec(columns={"answer": "a"}, prompt=prompt), "evals.yaml")


@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{%",
                "%}",
                " q ",
                " for x in ",
                " endfor ",
                " if ",
                "set ",
                "|",
                "q.a",
                "[",
                "]",
                "(",
                ")",
                "~",
                "1",
                "'",
                "#}",
                "{#",
                "=",
            ]
        ),
        max_size=12,
    )
)
@settings(max_examples=400, deadline=None)
def test_any_template_ends_in_a_text_or_a_sentence(pieces: list[str]) -> None:
    try:
        Template("prompt", "".join(pieces)).render({"q": "text", "x": [1, 2]})
    except (EvalError, BadCell) as error:
        said = str(error)
        assert "`prompt`" in said


# --- keys that do not go together


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": {"prompt": "q"}}, "`columns.answer` and the template `answer` are both missing"),
        ({"prompt": "{{ q }}"}, "`prompt` are both given"),
        ({"columns": {**COLUMNS, "choices": "c"}}, "`columns.choices` is for kind: choice"),
        ({"columns": {**COLUMNS, "answer_is": "letter"}}, "columns.answer_is"),
        ({"kind": "choice", "columns": {**COLUMNS, "choices": ["c"]}}, "lists 1 columns"),
        ({"kind": "choice", "labels": ["open", "shut"], "label_names": {"0": "opne"}}, "Did you mean 'open'?"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EvalError, match=r"evals\.yaml: ") as caught:
        check_mapping(spec(**changes), "evals.yaml")
    assert said in str(caught.value)


# --- the YAML file


WORDS = ["apple pie", "thunder", "violin", "harbour", "quartz", "midnight", "blanket", "cucumber", "wizard"]


def loaded(folder: Path, text: str) -> Any:
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps({"q": word, "a": ["no", "007"][at % 2]}) + "\n" for at, word in enumerate(WORDS))
    )
    (folder / "evals.yaml").write_text(text)
    return load_evals(folder / "evals.yaml")


HEAD = "name: x\nsource: rows.jsonl\ncolumns: {prompt: q, answer: a}\nsplits: {mine: 3, select: 3}\n"


def test_labels_stay_the_texts_that_stand_in_the_file(tmp_path: Path) -> None:
    text = HEAD + "labels: {no: refused, 007: a spy, on: 2024-05-01, true: x, 1.10: y}\n"
    assert loaded(tmp_path, text).spec.labels == {
        "no": "refused",
        "007": "a spy",
        "on": "2024-05-01",
        "true": "x",
        "1.10": "y",
    }
    assert loaded(tmp_path, HEAD + "labels: [no, 007, off]\n").labels == ("no", "007", "off")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "labels: !!python/object/apply:os.system [echo]\n", "evals.yaml:5:9: the tag '!!python/object/apply:os.sys"),
        (HEAD + "labels: !mine {a: b}\n", "evals.yaml:5:9"),
        (HEAD + "noun: !!int x\nlabels: [a, b]\n", "evals.yaml:5:7"),
        (HEAD + "labels: &all [no, 007]\nstop: *all\n", "evals.yaml:6:7: this is no readable YAML: an alias"),
        (HEAD + "noun: a\nnoun: b\n", "evals.yaml:6:1: the key 'noun'"),
        (HEAD + "labels: [no, 007\n", "evals.yaml:6:1"),
        (HEAD + "labels: [no, 007]\ncolour: red\n", "evals.yaml:6: `colour` is no key"),
        (HEAD + "labels: [no, 007]\nstop:\n  - a\n  - [b]\n", "evals.yaml:8: `stop.1`"),
        (HEAD + "labels: {a: [1], b: c}\n", "evals.yaml:5: `labels`"),
        (HEAD + "? [a]\n: b\n", "evals.yaml:5:3: a key is no text"), ("name: \x00", "evals.yaml:1:7"),
        ("[" * 3000, "evals.yaml"), ("- a\n", "evals.yaml:1"),
        (HEAD + "labels: [no, 007]\ndraw: " + "9" * 5000, "`draw`"),
        (HEAD.replace("mine: 3", "mine: .nan") + "labels: [no, 007]", "evals.yaml: `splits`"),
        (HEAD.replace("rows.jsonl", "{}") + "labels: [no, 007]", "`source` names nothing"),
        ("{a: 1, <<: {b: 2}}", "evals.yaml:1"),
    ],
)  # fmt: skip
def test_what_yaml_might_do_behind_ones_back_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(EvalError) as caught:
        loaded(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
