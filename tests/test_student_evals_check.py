"""Every kind of trouble planted in a sound eval set is found, named and counted; a sound set is found sound.

The sets are written here: sixty items in three classes, spoilt one way at a time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from student.evals.check import check_evals
from student.evals.findings import Finding, Report, Suite
from student.evals.findings_gold import gold
from student.evals.lengths import Ruler
from student.evals.load import read_parts
from student.evals.names import is_code
from student.evals.spec import EvalError
from student.records import Attempt, Item

SYLLABLES = ("ka", "lo", "mi", "ru", "te", "bo", "sha", "fen", "gor", "vi", "dul", "pex", "zan", "quo", "wi", "hem")
LABELS = {"billing": "money", "access": "logins", "repairs": "broken things"}
Row = dict[str, Any]


def text(seed: int, words: int = 8) -> str:
    """A text like no other, for any number."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) for _ in range(words))


def tickets(count: int = 60, start: int = 0) -> list[Row]:
    labels = list(LABELS)
    return [{"id": f"t-{start + at:04}", "body": text(start + at), "queue": labels[at % 3]} for at in range(count)]


def sums(count: int = 40) -> list[Row]:
    return [
        {"q": f"{text(at)} {at + 20} and {at + 3}?", "a": f"First {at + 20}, then more. #### {2 * at + 923}"}
        for at in range(count)
    ]


def checked(folder: Path, rows: Sequence[Row] | dict[str, Sequence[Row]], **changes: Any) -> Report:
    """The report on rows, in one file or one for each part; `changes` are keys of the YAML file, None for none."""
    parts = rows if isinstance(rows, dict) else {"": rows}
    for part, some in parts.items():
        (folder / f"{part or 'all'}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in some), encoding="utf-8"
        )
    source: Any = {part: f"{part}.jsonl" for part in parts} if "" not in parts else "all.jsonl"
    spec = {
        "name": "desk", "source": source, "columns": {"prompt": "body", "answer": "queue", "id": "id"}, "labels": LABELS,
        "noun": "ticket", "splits": {"mine": 15, "select": 15}, **changes,
    }  # fmt: skip
    (folder / "desk.yaml").write_text(
        yaml.safe_dump({key: value for key, value in spec.items() if value is not None}, sort_keys=False)
    )
    return check_evals(folder / "desk.yaml")


def checked_sums(folder: Path, rows: Sequence[Row], **changes: Any) -> Report:
    usual = {
        "columns": {"prompt": "q", "answer": "a"},
        "labels": None,
        "kind": "generate",
        "scorer": "number",
        "noun": "question",
    }
    return checked(folder, rows, **{**usual, "splits": {"mine": 10, "select": 10}, **changes})


def found(report: Report, code: str) -> Finding:
    """The one finding of this code."""
    (one,) = [one for one in report.findings if one.code == code]
    return one


def codes(report: Report, *levels: str) -> list[str]:
    return [one.code for one in report.findings if one.level in levels]


# --- sound sets


def test_a_sound_set_has_no_errors_and_no_warnings(tmp_path: Path) -> None:
    report = checked(tmp_path, tickets())
    assert codes(report, "error", "warning") == []
    assert report.splits == {"mine": 15, "select": 15, "test": 30}
    assert report.classes["billing"] == {"mine": 5, "select": 5, "test": 10}
    assert report.majority == pytest.approx(1 / 3)
    assert report.chance == pytest.approx(1 / 3)


def test_a_sound_set_of_sums_has_none_either(tmp_path: Path) -> None:
    assert codes(checked_sums(tmp_path, sums()), "error", "warning") == []


def test_findings_are_sorted_with_the_worst_first(tmp_path: Path) -> None:
    rows = [*tickets(), {"id": "x", "body": "", "queue": "billing"}]
    levels = [one.level for one in checked(tmp_path, rows, labels=dict.fromkeys(LABELS, "")).findings]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert levels[0] == "error"


# --- rows


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": "x", "body": " ", "queue": "billing"}, "empty cell"), ({"id": "x", "body": "no queue"}, "missing column"),
        ({"id": "x", "body": "odd", "queue": "bills"}, "answer is no label"),
        ({"id": "t-0003", "body": "new", "queue": "billing"}, "same id"),
        ({"id": "x", "body": text(0), "queue": "access"}, "two answers"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_counted_by_reason_with_their_line(tmp_path: Path, row: Row, reason: str) -> None:
    one = found(checked(tmp_path, [*tickets(), row]), "row")
    assert (one.level, one.where, one.count) == ("error", reason, 1)
    assert f"all.jsonl:{61}" in one.examples[0]


def test_the_others_are_still_looked_at(tmp_path: Path) -> None:
    rows = [*tickets(), *({"id": f"x{at}", "body": "", "queue": "billing"} for at in range(9))]
    report = checked(tmp_path, rows)
    assert found(report, "row").count == 9
    assert "left-out" not in codes(report, "warning", "note"), "told once is enough"
    assert len(found(report, "row").examples) == 5
    assert sum(report.splits.values()) == 60


def test_a_file_without_one_usable_row_is_a_report_of_errors(tmp_path: Path) -> None:
    report = checked(tmp_path, [{"id": str(at), "body": "", "queue": "billing"} for at in range(5)])
    assert codes(report, "error") == ["row", "source"]
    assert report.splits == {}


def test_a_file_that_is_not_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="gone"):
        checked(tmp_path, tickets(), source="gone.jsonl")


def test_exact_repeats_are_noted(tmp_path: Path) -> None:
    rows = tickets()
    one = found(
        checked(tmp_path, [*rows, {**rows[0], "id": "again"}], columns={"prompt": "body", "answer": "queue"}),
        "left-out",
    )
    assert (one.level, one.where, one.count) == ("note", "exact repeat", 1)


# --- ids


def test_ids_that_count_the_rows(tmp_path: Path) -> None:
    rows = tickets()
    assert (
        found(checked(tmp_path, [{**row, "id": at + 1} for at, row in enumerate(rows)]), "ids-are-row-numbers").level
        == "warning"
    )
    for start in (1, 1000):
        report = checked(tmp_path, [{**row, "id": start + 7 * at} for at, row in enumerate(rows)])
        assert "ids-are-row-numbers" not in codes(report, "warning")


# --- text


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        (text(999) + " na\u00c3\u00afve caf\u00c3\u00a9", "encoding-mojibake"), (text(999) + " it\u00e2\u20ac\u2122s", "encoding-mojibake"),
        (text(999) + " lost \ufffd\ufffd", "encoding-lost"), (text(999) + " smart \x93quotes\x94", "encoding-controls"),
        (text(999) + " Tom &amp; Ana", "html"), ("?!", "empty-question"),
    ],
)  # fmt: skip
def test_damaged_text(tmp_path: Path, spoilt: str, code: str) -> None:
    one = found(checked(tmp_path, [*tickets(), {"id": "bad", "body": spoilt, "queue": "access"}]), code)
    assert one.count == 1
    assert "bad" in one.examples[0]


def test_wrongly_decoded_text_is_shown_with_what_it_was(tmp_path: Path) -> None:
    rows = [*tickets(), {"id": "bad", "body": f"{text(999)} na\u00c3\u00afve", "queue": "access"}]
    assert "(\u00c3\u00af was ï)" in found(checked(tmp_path, rows), "encoding-mojibake").examples[0]


@pytest.mark.parametrize(
    "fine",
    ["naïve café", "não à la carte", "Ãrea", "R&D; 3 < 4 & 5 > 4", "l’été, “oui”", "CAFÉ» ñ", "Â ã", "日本語 🙂"],
)
def test_sound_text_in_other_languages_is_no_damage(tmp_path: Path, fine: str) -> None:
    report = checked(tmp_path, [*tickets(), {"id": "fine", "body": f"{text(999)} {fine}", "queue": "access"}])
    assert not [
        code for code in codes(report, "error", "warning", "note") if code.startswith(("encoding", "html", "empty"))
    ]


# --- labels


def test_a_label_that_no_split_can_learn(tmp_path: Path) -> None:
    rows = [*tickets(), {"id": "rare", "body": text(999), "queue": "rare"}]
    report = checked(tmp_path, rows, labels={**LABELS, "rare": "seldom", "never": "never"})
    assert found(report, "label-without-items").examples == ("never",)
    gone = {one.where: one.examples for one in report.findings if one.code == "label-not-in-split"}
    assert len(gone) == 2, "the one item is in one of the three splits"
    assert set(gone.values()) == {("rare",)}


def test_a_majority_that_hides_the_rest(tmp_path: Path) -> None:
    rows = [{**row, "queue": "billing" if at % 20 else "access"} for at, row in enumerate(tickets(100))]
    report = checked(tmp_path, rows, labels={"billing": "m", "access": "l"}, splits={"mine": 20, "select": 20})
    told = [one for one in report.findings if one.code == "majority"]
    assert [one.where for one in told] == ["mine", "select", "test"]
    assert all(one.level == "warning" and "'billing'" in one.text for one in told)


def test_what_a_run_makes_of_few_select_items_and_of_a_size_of_test_is_said(tmp_path: Path) -> None:
    report = checked(tmp_path, tickets(200), splits={"mine": 40, "select": 40, "test": 60})
    few = found(report, "few-select")
    assert few.level == "note" and few.count == report.splits["select"]
    assert f"all {report.splits['mine'] + report.splits['select']} outside test" in few.text
    rest = next(one for one in report.findings if one.code == "split-size" and one.where == "test")
    assert rest.level == "note" and rest.count == report.splits["test"] - 60 > 0
    many = checked(tmp_path, tickets(400), splits={"mine": 40, "select": 160})
    assert not {"few-select", "split-size", "no-select"} & {*codes(many, "note", "warning")}


def test_missing_descriptions(tmp_path: Path) -> None:
    one = found(checked(tmp_path, tickets(), labels={**LABELS, "access": ""}), "label-without-description")
    assert (one.level, one.count, one.examples) == ("warning", 1, ("access",))


def test_labels_that_look_like_codes_are_to_be_named_by_words(tmp_path: Path) -> None:
    short = {"billing": "ABBR", "access": "LOC", "repairs": "H2"}
    rows = [{**row, "queue": short[row["queue"]]} for row in tickets()]
    one = found(checked(tmp_path, rows, labels={short[name]: text for name, text in LABELS.items()}), "label-is-a-code")
    assert (one.level, one.count, one.examples) == ("note", 3, ("ABBR, LOC, H2",)) and "{ABBR: WORD}" in one.text
    named = checked(tmp_path, rows, labels=LABELS, label_names={code: name for name, code in short.items()})
    assert "label-is-a-code" not in codes(named, "note")


@pytest.mark.parametrize("label", ["YES", "SPAM", "billing", "News", "Sci/Tech", "0", "A", "POSITIVE", "東京"])
def test_words_are_no_codes(label: str) -> None:
    assert not is_code(label)


# --- look-alikes and conflicts


def test_look_alikes_across_parts_are_listed_with_their_similarity(tmp_path: Path) -> None:
    train, test = tickets(60), tickets(30, 500)
    test[3]["body"] = train[5]["body"] + " please"
    test[3]["queue"] = train[5]["queue"]
    splits = {"mine": {"from": "train", "take": 45}, "select": {"from": "train", "take": 15}, "test": "test"}
    report = checked(tmp_path, {"train": train, "test": test}, splits=splits)
    one = found(report, "look-alikes")
    assert one.count == 1
    assert one.where in ("mine / test", "select / test")
    assert one.examples[0].startswith("0.9")
    assert train[5]["body"][:40] in one.examples[0]


def test_what_stands_in_test_word_for_word_is_left_out_and_told(tmp_path: Path) -> None:
    train, test = tickets(60), tickets(30, 500)
    test[3] = {**test[3], "body": train[5]["body"], "queue": train[5]["queue"]}
    splits = {"mine": {"from": "train", "take": 20}, "select": {"from": "train", "take": 20}, "test": "test"}
    report = checked(tmp_path, {"train": train, "test": test}, splits=splits)
    assert [(one.where, one.count) for one in report.findings if one.code == "left-out"] == [("also in test", 1)]


def test_two_answers_to_nearly_the_same_question(tmp_path: Path) -> None:
    rows = tickets()
    rows.append({"id": "again", "body": rows[0]["body"].upper() + " now!", "queue": "access"})
    rows.append({"id": "other", "body": " ".join(rows[1]["body"].split()[:6]), "queue": "billing"})
    rows.append({"id": "same", "body": rows[2]["body"].upper() + "!", "queue": rows[2]["queue"]})
    one = found(checked(tmp_path, rows), "conflicting-answers")
    assert (one.level, one.count) == ("warning", 1)
    assert "billing" in one.examples[0] and "access" in one.examples[0]


def test_answers_that_the_scorer_takes_for_the_same_are_no_conflict(tmp_path: Path) -> None:
    rows = [
        *sums(),
        {"q": sums()[0]["q"].upper(), "a": "Another way. #### 923.0"},
        {"q": sums()[1]["q"].upper(), "a": "#### 4"},
    ]
    assert found(checked_sums(tmp_path, rows), "conflicting-answers").count == 1


def test_a_split_that_got_more_than_was_asked_for(tmp_path: Path) -> None:
    crowd = [{"id": f"c{at}", "body": f"{text(1, 12)} {SYLLABLES[at % 16]}", "queue": "billing"} for at in range(40)]
    report = checked(tmp_path, [*tickets(), *crowd], splits={"mine": 20, "select": 15})
    larger = [one for one in report.findings if one.code == "split-size"]
    assert all(one.level == "warning" for one in larger)
    assert bool(larger) == (report.splits["mine"] > 24 or report.splits["select"] > 18)


# --- right and wrong answers


def test_a_right_answer_that_the_scorer_cannot_read(tmp_path: Path) -> None:
    rows = [*sums(), {"q": text(999), "a": "several"}]
    one = found(checked_sums(tmp_path, rows), "gold-answer")
    assert (one.level, one.count) == ("error", 1)
    assert "several" in one.examples[0]


def test_a_stop_text_within_right_answers(tmp_path: Path) -> None:
    one = found(checked_sums(tmp_path, sums(), stop=[","]), "stop-answer")
    assert (one.level, one.count) == ("error", 40)


@pytest.mark.parametrize(("verdict", "code"), [("right", "planted-answer"), ("wrong", "gold-answer")])
def test_a_scorer_that_says_the_same_of_everything(tmp_path: Path, verdict: Any, code: str) -> None:
    checked_sums(tmp_path, sums())
    loaded = read_parts(tmp_path / "desk.yaml")

    def score(items: Sequence[Item], answers: Sequence[Any]) -> list[Attempt]:
        return [
            Attempt(item_id=item.id, output=one["text"], outcome=verdict, score=0.0)
            for item, one in zip(items, answers, strict=True)
        ]

    looked = [*gold(Suite(loaded, {}, score, lambda what, done, total: None, []))]
    assert [(one.level, one.code) for one in looked] == [("error", code)]
    assert looked[0].count >= 40


def test_choices_of_each_row_and_where_the_right_one_stands(tmp_path: Path) -> None:
    rows = [
        {"q": text(at), "options": [text(at + 500 + 100 * way, 2) for way in range(4)], "key": "A"} for at in range(60)
    ]
    usual: Row = {"columns": {"prompt": "q", "choices": "options", "answer": "key"}, "labels": None}
    report = checked(tmp_path, rows, **usual)
    assert found(report, "position").level == "warning"
    assert report.chance == 0.25
    fair = [{**row, "key": "ABCD"[at % 4]} for at, row in enumerate(rows)]
    assert codes(checked(tmp_path, fair, **usual), "error", "warning") == []


# --- leaks


def labelled(share: float) -> list[Row]:
    """Tickets of which a share name their own label, and as many name any."""
    draw = random.Random(3)
    rows = tickets(120)
    for at, row in enumerate(rows):
        said = row["queue"] if at < share * len(rows) else draw.choice(list(LABELS))
        row["body"] += f" {said}"
    return rows


def test_a_label_that_got_into_the_text(tmp_path: Path) -> None:
    one = found(checked(tmp_path, labelled(1.0)), "label-in-question")
    assert (one.level, one.count) == ("warning", 120)


def test_label_words_that_tell_nothing_are_no_finding(tmp_path: Path) -> None:
    report = checked(tmp_path, labelled(0.0))
    assert "label-in-question" not in codes(report, "warning", "note")


def test_a_right_answer_that_stands_in_its_question(tmp_path: Path) -> None:
    rows = [{**row, "q": f"{row['q']} ({row['a'].rpartition(' ')[2]})"} for row in sums()]
    assert found(checked_sums(tmp_path, rows), "answer-in-question").count == 40
    assert "answer-in-question" not in codes(checked_sums(tmp_path, sums()), "warning", "note")


# --- lengths


def test_questions_too_long_for_small_students_are_estimated_without_a_student(tmp_path: Path) -> None:
    report = checked(tmp_path, [*tickets(), {"id": "long", "body": text(999, 2000), "queue": "access"}])
    assert found(report, "too-long").count == 1
    assert "estimates" in " ".join(report.looked_at)


class Bytes:
    """A tokenizer whose tokens are bytes, so that lengths can be worked out by hand."""

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": list(text.encode())}


def test_with_a_student_lengths_are_in_its_own_tokens(tmp_path: Path) -> None:
    rows = tickets()
    checked(tmp_path, rows)
    report = check_evals(tmp_path / "desk.yaml", measure=Ruler("bytes", Bytes(), 4096))
    lead = len("- billing: money\n- access: logins\n- repairs: broken things\n\n")
    assert found(report, "length").count == lead + max(len(row["body"]) for row in rows)
    assert "4,096" in found(report, "length").text


def test_questions_longer_than_the_student_takes_are_counted_exactly(tmp_path: Path) -> None:
    rows = [
        *tickets(),
        {"id": "long", "body": "x" * 1000, "queue": "access"},
        {"id": "fits", "body": "y" * 900, "queue": "access"},
    ]
    checked(tmp_path, rows)
    lead = len("- billing: money\n- access: logins\n- repairs: broken things\n\n")
    report = check_evals(tmp_path / "desk.yaml", measure=Ruler("bytes", Bytes(), lead + 1000 + len(" repairs") - 1))
    assert (found(report, "too-long").count, found(report, "too-long").examples[0][:5]) == (1, "long:")


def test_right_answers_longer_than_their_room(tmp_path: Path) -> None:
    rows = [*sums(), {"q": text(999), "a": f"{text(998, 200)} #### 4"}]
    one = found(checked_sums(tmp_path, rows, max_new_tokens=40), "answer-too-long")
    assert one.count == 1


# --- what an eval set can be used for


def test_a_test_split_alone_can_be_scored_and_is_told_so(tmp_path: Path) -> None:
    report = checked(tmp_path, {"test": tickets()}, splits=None)
    assert found(report, "test-only").level == "warning"
    assert report.splits["test"] == 60


def test_splits_that_cannot_be_made_are_an_error_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    report = checked(tmp_path, tickets(), splits={"mine": 50, "select": 50}, labels=dict.fromkeys(LABELS, ""))
    assert codes(report, "error") == ["splits"]
    assert "label-without-description" in codes(report, "warning")


@pytest.mark.parametrize("make", [tickets, sums])
def test_the_same_set_gives_the_same_report(tmp_path: Path, make: Callable[[], list[Row]]) -> None:
    look = checked if make is tickets else checked_sums
    assert look(tmp_path, make()) == look(tmp_path, make())
