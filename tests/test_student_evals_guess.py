"""What `evals init` makes of data as teams bring it: by name where names say something, else by what stands in the columns.

Every data file is written here, a few dozen rows in somebody's own layout, and what is guessed is loaded by the loader.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from student.evals.address import Address
from student.evals.beside import parts_beside, set_name
from student.evals.first_yaml import first_yaml, scalar
from student.evals.guess import Guess, guess
from student.evals.load import load_evals
from student.evals.profile import profile
from student.evals.sources import open_sources
from student.evals.spec import EvalError, EvalSpec, read_spec
from student.evals.yamlfile import read_yaml

THINGS = (
    "apple",
    "lamp",
    "stone",
    "river",
    "candle",
    "ladder",
    "button",
    "window",
    "garden",
    "spoon",
    "carpet",
    "engine",
)
SYLLABLES = ("ka", "lo", "mi", "ru", "te", "bo", "sha", "fen", "gor", "vi", "dul", "pex", "zan", "quo", "wi", "hem")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows as JSONL or CSV, by the suffix."""
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def guessed(path: Path) -> Guess:
    parts = parts_beside(path)
    return guess(profile({part: open_sources(Address("file", str(one)))[""] for part, one in parts.items()}))


def written(path: Path) -> EvalSpec:
    """The guess as a YAML file beside the data, read back; its eval set must load."""
    parts = parts_beside(path)
    target = path.parent / "guess.yaml"
    target.write_text(first_yaml("guess", {part: one.name for part, one in parts.items()}, guessed(path)))
    load_evals(target)
    return read_spec(target)[0]


def rows(count: int = 60, **columns: Any) -> list[dict[str, Any]]:
    """`count` rows; a column is a function of the row's number."""
    return [{name: make(at) for name, make in columns.items()} for at in range(count)]


def question(at: int) -> str:
    """A question like no other, for any number."""
    draw = random.Random(at)
    words = ("".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) for _ in range(draw.randint(5, 9)))
    return f"{' '.join(words).capitalize()}?"


def test_rows_with_nothing_in_them_are_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "d.csv", rows(text=question, intent=lambda at: ("play", "book")[at % 2]))
    path.write_text(path.read_text() + ",\n" * 40)
    found = profile({"": open_sources(Address("file", str(path)))[""]})
    assert found.rows == {"": 60} and all(one.rows == 60 for one in found.columns.values())


def test_a_column_with_a_dot_in_its_name_is_a_column(tmp_path: Path) -> None:
    table = [{"the text.of it": question(at), "a.label": ("play", "book")[at % 2]} for at in range(60)]
    path = write(tmp_path / "d.csv", table)
    spec = written(path)
    assert (spec.columns.prompt, spec.columns.answer) == ("the text.of it", "a.label")


def test_where_no_row_can_be_read_the_first_trouble_is_told(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes("text,intent\nGrüße,ä\nÖl,ü\n".encode("cp1252"))
    with pytest.raises(EvalError, match=r"The first: .*d\.csv:2.*UTF-8"):
        guessed(tmp_path / "d.csv")


# --- labels


def test_repeated_short_answers_are_labels_the_most_frequent_first(tmp_path: Path) -> None:
    spec = written(write(tmp_path / "d.jsonl", rows(text=question, intent=lambda at: ("play", "book", "book")[at % 3])))
    assert spec.kind == "choice"
    assert list(spec.labels) == ["book", "play"]
    assert (spec.columns.prompt, spec.columns.answer) == ("text", "intent")
    assert spec.noun == "question", "most of them end with a question mark"


def test_an_id_that_repeats_is_none_and_nothing_else(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl", rows(id=lambda at: f"t{at % 20}", text=question, intent=lambda at: ("a b", "c d")[at % 2])
    )
    assert (spec := written(path)).columns.id is None and (spec.columns.prompt, spec.columns.answer) == (
        "text",
        "intent",
    )
    told = [one for one in guessed(path).reasons if "'id'" in one.why]
    assert [one.key for one in told] == ["columns.id"] and "repeat" in told[0].why


@pytest.mark.parametrize(
    ("labels", "said"), [(("AB", "CD"), "look like codes"), (("0", "1"), "say nothing"), (("play", "book"), None)]
)
def test_labels_that_are_no_words_are_to_be_given_some(
    tmp_path: Path, labels: tuple[str, str], said: str | None
) -> None:
    path = write(tmp_path / "d.jsonl", rows(text=question, intent=lambda at: labels[at % 2]))
    text = first_yaml("d", {"": path.name}, guessed(path))
    assert ("label_names:" in text) == (said is not None) and (said or "") in text


def test_contents_decide_where_names_say_nothing(tmp_path: Path) -> None:
    made = rows(
        Nr=lambda at: f"F-{at:03}", Gewerk=lambda at: ("Elektro", "Wasser", "Tor")[at % 3], Meldung=question,
        Prio=lambda at: at % 2 + 1,
    )  # fmt: skip
    spec = written(write(tmp_path / "faults.csv", made))
    assert (spec.columns.prompt, spec.columns.answer) == ("Meldung", "Gewerk")


def test_a_fine_label_is_offered_as_skill_and_said_to_be_possible(tmp_path: Path) -> None:
    data = write(
        tmp_path / "d.jsonl",
        rows(question=question, label=lambda at: "AB"[at % 2] * 3, fine_label=lambda at: f"fine{at % 6}"),
    )
    found = guessed(data)
    assert found.answer == "label"
    assert found.skill_offered == "fine_label"
    assert any("fine_label" in reason.why for reason in found.reasons if reason.key == "columns.answer")
    assert written(data).columns.skill is None


def test_labels_that_are_numbers_come_with_the_advice_to_name_them(tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", rows(sentence=question, label=lambda at: at % 2))
    spec = written(data)
    assert set(spec.labels) == {"0", "1"}
    assert "label_names" in (tmp_path / "guess.yaml").read_text()


def test_labels_of_every_part_are_found(tmp_path: Path) -> None:
    """A label that only `test` has would otherwise end the first run."""
    write(tmp_path / "train.jsonl", rows(text=question, label=lambda at: "ab"[at % 2] * 2))
    write(tmp_path / "test.jsonl", rows(9, text=lambda at: question(at + 500), label=lambda at: "abc"[at % 3] * 2))
    assert set(written(tmp_path / "test.jsonl").labels) == {"aa", "bb", "cc"}


@pytest.mark.parametrize(
    "labels", [("no", "yes"), ("on", "off"), ("null", "true"), ("1: x", "- y"), ('a"b', "#c"), ("é…", "🙂")]
)
def test_labels_stay_the_texts_they_are(tmp_path: Path, labels: tuple[str, str]) -> None:
    spec = written(write(tmp_path / "d.jsonl", rows(text=question, label=lambda at: labels[at % 2])))
    assert set(spec.labels) == set(labels)


# --- choices


@pytest.mark.parametrize(
    ("columns", "answer"),
    [
        ({"options": lambda at: [f"{one} {at}" for one in THINGS[:4]], "key": lambda at: "ABCD"[at % 4]}, "key"),
        ({"choices": lambda at: [f"{one} {at}" for one in THINGS[:3]], "answer": lambda at: f"{THINGS[at % 3]} {at}"}, "answer"),
        ({"choices": lambda at: {"text": [f"{one} {at}" for one in THINGS[:2]], "label": ["A", "B"]},
          "answerKey": lambda at: "AB"[at % 2]}, "answerKey"),
        ({**{mark: lambda at, mark=mark: f"thing {mark}{at}" for mark in "ABCD"}, "target": lambda at: "ABCD"[at % 4]}, "target"),
    ],
)  # fmt: skip
def test_choices_of_each_row(tmp_path: Path, columns: dict[str, Any], answer: str) -> None:
    spec = written(write(tmp_path / "d.jsonl", rows(question=question, **columns)))
    assert spec.kind == "choice"
    assert spec.columns.choices
    assert spec.columns.answer == answer
    assert not spec.labels


def test_positions_that_count_from_one_are_said_to(tmp_path: Path) -> None:
    made = rows(
        question=question, choices=lambda at: [f"{one} {at}" for one in THINGS[:3]], answer=lambda at: at % 3 + 1
    )
    assert written(write(tmp_path / "d.jsonl", made)).columns.answer_is == "position from 1"


# --- written answers


def test_worked_answers_are_kept_whole_and_compared_by_their_number(tmp_path: Path) -> None:
    made = rows(question=question, answer=lambda at: f"Take {at}.\nDouble it: {2 * at}.\n#### {2 * at}")
    spec = written(write(tmp_path / "d.jsonl", made))
    assert (spec.kind, spec.scorer.name) == ("generate", "number")
    assert "####" in spec.instruction
    assert spec.stop == ("\n\n",), "answers have line breaks, but no empty line"
    assert "#### 2" in next(iter(load_evals(tmp_path / "guess.yaml").seeds)).answer or spec.kind == "generate"


def text(at: int) -> str:
    draw = random.Random(at)
    return " ".join("".join(draw.sample(SYLLABLES, 3)) for _ in range(8))


def test_an_input_that_most_instructions_lack_is_a_part_of_the_question(tmp_path: Path) -> None:
    """As Alpaca has it."""
    some = lambda at: text(900 + at) if at % 5 < 2 else ""  # noqa: E731
    whole = rows(instruction=text, input=some, output=lambda at: text(500 + at))
    found = [{name: cell for name, cell in row.items() if cell} for row in whole]
    spec = written(write(tmp_path / "alpaca.jsonl", found))
    assert (
        "{{ instruction }}" in spec.prompt
        and "{{ input | default('') }}" in spec.prompt
        and spec.columns.answer == "output"
    )


def test_the_first_of_several_right_answers_is_the_answer(tmp_path: Path) -> None:
    """As SQuAD has it."""
    spec = written(write(tmp_path / "squad.jsonl", rows(
        id=lambda at: f"q{at * 37}", context=text, question=lambda at: text(500 + at) + "?",
        answers=lambda at: {"text": [text(at).split()[at % 8]], "answer_start": [3]},
    )))  # fmt: skip
    assert spec.columns.answer == "answers.text.0" and spec.scorer.name != "json"


def test_worked_answers_win_over_a_column_of_skills(tmp_path: Path) -> None:
    made = rows(
        id=lambda at: f"N{at:03}",
        question=question,
        worked=lambda at: f"{at} + 1. #### {at + 1}",
        skill=lambda at: f"s{at % 4}",
    )
    spec = written(write(tmp_path / "d.jsonl", made))
    assert (spec.columns.answer, spec.columns.skill, spec.columns.id) == ("worked", "skill", "id")


@pytest.mark.parametrize(
    ("make", "scorer"),
    [
        (lambda at: 3 * at + 1, "number"), (lambda at: f"{at * 7.5}", "number"), (lambda at: {"payee": f"Shop {at}", "sum": at}, "json"),
        (lambda at: json.dumps({"payee": f"Shop {at}"}), "json"), (lambda at: f"\\frac{{{at}}}{{{at + 1}}}", "math"),
        (lambda at: f"the {THINGS[at % 12]} of number {at}", "normalised"),
        (lambda at: f"It is the {THINGS[at % 12]} that you would take, " + "because of this and that " * 4 + str(at), "f1"),
    ],
)  # fmt: skip
def test_the_scorer_fits_the_answers(tmp_path: Path, make: Any, scorer: str) -> None:
    spec = written(write(tmp_path / "d.jsonl", rows(question=question, answer=make)))
    assert (spec.kind, spec.scorer.name) == ("generate", scorer)


def test_answers_have_room_enough(tmp_path: Path) -> None:
    """A token is at least a byte or so for answers in digits, but mostly three or four: no right answer may be cut."""
    short = written(write(tmp_path / "a.jsonl", rows(question=question, answer=lambda at: f"thing {at}")))
    long = written(write(tmp_path / "b.jsonl", rows(question=question, answer=lambda at: f"{at} " + "word " * 100)))
    assert short.max_new_tokens < 32
    assert 150 < long.max_new_tokens < 500


def test_chats(tmp_path: Path) -> None:
    made = rows(
        messages=lambda at: [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": question(at)},
            {"role": "assistant", "content": f"answer {at}"},
        ]
    )  # fmt: skip
    spec = written(write(tmp_path / "d.jsonl", made))
    assert spec.format == "chat"
    evals = load_evals(tmp_path / "guess.yaml")
    assert evals.spec.system == "Be brief." and all(
        not seed.turns and "Be brief" not in seed.prompt for seed in evals.seeds
    )
    assert evals.seeds[0].answer.startswith("answer ")


def test_questions_of_two_columns(tmp_path: Path) -> None:
    made = rows(
        premise=question, hypothesis=lambda at: f"It is a {THINGS[at % 12]} thing.", label=lambda at: f"l{at % 3}"
    )
    spec = written(write(tmp_path / "d.jsonl", made))
    seed = load_evals(tmp_path / "guess.yaml").seeds[0]
    assert "?" in seed.prompt
    assert "It is a" in seed.prompt
    assert spec.columns.prompt is None


# --- ids


def test_ids_that_count_the_rows_are_not_taken(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", rows(id=lambda at: at, text=question, label=lambda at: "ab"[at % 2] * 2))
    assert written(data).columns.id is None
    assert any("counts the rows" in reason.why for reason in guessed(data).reasons)


# --- files that belong together


@pytest.mark.parametrize(
    ("names", "named", "parts"),
    [
        (["train.jsonl", "test.jsonl"], "test.jsonl", ["train", "test"]),
        (["train.csv", "dev.csv", "test.csv"], "dev.csv", ["train", "dev", "test"]),
        (["faults_train.csv", "faults_validation.csv"], "faults_train.csv", ["train", "dev"]),
        (["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"], "train-00000-of-00001.parquet", ["train", "test"]),
        (["train.jsonl", "test.csv"], "train.jsonl", [""]), (["train.jsonl", "other_test.jsonl"], "train.jsonl", [""]),
        (["items.jsonl", "test.jsonl"], "items.jsonl", [""]), (["latest.csv", "latrain.csv"], "latest.csv", [""]),
    ],
)  # fmt: skip
def test_files_beside_one_another(tmp_path: Path, names: list[str], named: str, parts: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("x")
    assert list(parts_beside(tmp_path / named)) == parts


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("snips/train.jsonl", "snips"), ("desk/data.csv", "desk"), ("x/faults 2026.csv", "faults-2026"), ("x/faults_test.csv", "faults"),
        ("arc/train-00000-of-00001.parquet", "arc"), ("x/tickets.jsonl.gz", "tickets"),
    ],
)  # fmt: skip
def test_the_set_is_called_after_the_file_or_its_folder(tmp_path: Path, path: str, name: str) -> None:
    file = tmp_path / path
    file.parent.mkdir()
    file.write_text("x")
    assert set_name(file) == name


def test_packed_files_are_looked_at_like_plain_ones(tmp_path: Path) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows(text=question, label=lambda at: "ab"[at % 2] * 2))
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert guessed(tmp_path / "d.jsonl.gz").labels == ("aa", "bb")


# --- what is no eval set


@pytest.mark.parametrize(
    "made",
    [
        rows(text=question), rows(label=lambda at: "ab"[at % 2]), rows(a=lambda at: [at], b=lambda at: {"x": [at]}),
    ],
)  # fmt: skip
def test_data_without_a_question_or_an_answer_is_a_paragraph_that_names_the_columns(
    tmp_path: Path, made: list[dict[str, Any]]
) -> None:
    with pytest.raises(EvalError) as caught:
        guessed(write(tmp_path / "d.jsonl", made))
    assert str(caught.value).count("\n") == 0
    assert repr(next(iter(made[0]))) in str(caught.value)


# --- YAML


@given(st.text())
def test_any_text_comes_back_out_of_the_yaml(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "scalar.yaml"
    clean = text.encode("utf-8", "replace").decode().replace("\0", "")
    path.write_text(f"key: {scalar(clean)}\n", encoding="utf-8")
    assert read_yaml(path)[0] == {"key": clean}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    columns=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip), min_size=2,
                     max_size=4, unique_by=lambda name: name.strip()),
    labels=st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).map(str.strip).filter(bool),
                    min_size=2, max_size=4, unique=True),
)  # fmt: skip
def test_odd_names_and_labels_make_a_set_that_loads_or_a_paragraph(
    tmp_path: Path, columns: list[str], labels: list[str]
) -> None:
    names = dict(
        zip(columns, [question, lambda at: labels[at % len(labels)], lambda at: at, lambda at: None], strict=False)
    )
    data = write(tmp_path / "d.jsonl", rows(60, **names))
    with contextlib.suppress(EvalError):
        assert written(data).kind in ("choice", "generate")
