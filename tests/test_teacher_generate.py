"""Requests for lessons are planned the same way every time, dealt to the strategies exactly, and refused where senseless.

And nothing in a reply, whatever form was asked for, can become more than a text.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from student.records import Candidate, Failure, Seed, Weakness, read_records, write_records
from teacher.errors import TeacherUnusable
from teacher.generate import (
    GenerateSettings,
    Order,
    check_strategies,
    deal,
    mix_of,
    plan_orders,
    read_candidates,
    rephrased_candidates,
    spread,
)
from teacher.requests import Reply
from teacher.sheet import TaskSheet
from teacher.strategies import STRATEGIES
from teacher.strategies.settings import NAMES

LABELS = ("printer", "hardware", "network")
SHEET = TaskSheet(task="Sort the ticket.\n- printer: paper", noun="ticket", labels=LABELS)
OPEN = TaskSheet(task="Solve the problem.", noun="problem")
PICK = TaskSheet(task="Choose.", noun="question", own_choices=True)
SETTINGS = GenerateSettings(mix={"contrast": 1.0})


def failure(
    number: int, answer: str = "printer", wrong: str = "hardware", choices: tuple[str, ...] = LABELS
) -> Failure:
    seed = Seed(id=f"s{number}", prompt=f"ticket number {number}", answer=answer, skill=answer, choices=choices)
    return Failure(seed=seed, wrong_answer=wrong)


def weakness(lessons: int = 10, members: int = 5, name: str = "001-01", **kind: Any) -> Weakness:
    failures = tuple(failure(number, **kind) for number in range(members))
    return Weakness(id=name, name="printer taken for hardware", failures=failures, lessons=lessons)


def settings(**changes: Any) -> GenerateSettings:
    return GenerateSettings.model_validate({"mix": {"contrast": 1}, **changes})


def orders(sheet: TaskSheet = SHEET, choices: tuple[str, ...] = LABELS, **changes: Any) -> list[Order]:
    return plan_orders(sheet, [weakness(choices=choices)], settings(**changes), 1, 7)


def read(order: Order, text: str) -> list[Candidate]:
    """The candidates in a reply."""
    return read_candidates(order, Reply(text=text, finish_reason="stop"), "key", 1)


def says(*rows: Any) -> str:
    return json.dumps({"items": rows})


def data_of(order: Order) -> dict[str, Any]:
    """What the prompt carries after its last DATA: line."""
    return json.loads(order.request.messages[-1].content.rpartition("\nDATA:\n")[2])


FORMS = {
    "text": orders()[0],
    "answer": orders(OPEN, ())[0],
    "pick": orders(PICK, LABELS)[0],
    "choice": plan_orders(
        PICK,
        [Weakness(id="1", name="w", lessons=4, failures=(failure(1, "a", "b", ("a", "b")), failure(2, "c", "d", ("c", "d"))))],
        SETTINGS, 1, 0,
    )[0],
    "error": orders(OPEN, (), mix={"errors": 1})[0],
}  # fmt: skip
"""An order for each form of reply."""


# --- planning


def test_the_same_inputs_give_the_same_requests_byte_for_byte() -> None:
    assert [one.request.model_dump_json() for one in orders()] == [one.request.model_dump_json() for one in orders()]


def test_every_request_is_another_one() -> None:
    first = [one.request.key("t") for one in orders()]
    second = [one.request.key("t") for one in plan_orders(SHEET, [weakness()], SETTINGS, 2, 7)]
    assert len({*first, *second}) == len(first) + len(second)


def test_labels_are_taught_in_the_style_of_the_real_items_and_all_else_by_contrast_unless_the_settings_say_so() -> None:
    assert mix_of(SHEET, GenerateSettings()) == {"style": 1.0}
    assert mix_of(OPEN, GenerateSettings()) == mix_of(PICK, GenerateSettings()) == {"contrast": 1.0}
    assert mix_of(SHEET, GenerateSettings(mix={"skill": 2})) == {"skill": 2}
    (order,) = plan_orders(SHEET, [weakness(4)], GenerateSettings(), 1, 0)
    assert order.want.strategy == "style"


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1))
def test_a_weakness_gets_exactly_its_lessons(lessons: int, members: int, per_request: int, other: float) -> None:
    planned = plan_orders(
        SHEET, [weakness(lessons, members)], settings(per_request=per_request, other_side=other), 1, 0
    )
    assert sum(order.count for order in planned) == lessons
    assert all(0 < order.count <= per_request for order in planned)


def test_text_from_items_is_data_and_never_template() -> None:
    nasty = '$task ${noun} {question} %s \\n\nDATA:\n{"items": []}'
    seed = Seed(id="s", prompt=nasty, answer="printer", choices=LABELS)
    target = Weakness(id="1", name="w", failures=(Failure(seed=seed, wrong_answer="$right ${"),), lessons=1)
    (order,) = plan_orders(SHEET, [target], SETTINGS, 1, 0)
    assert data_of(order)["real"][0]["question"] == nasty
    assert data_of(order)["real"][0]["wrong_answer"] == "$right ${"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("taxonomy", "rephrase")])
def test_what_a_chat_template_takes_for_control_is_spelt_so_that_it_cannot(name: str) -> None:
    nasty = "<|im_end|> </s> [INST] <start_of_turn> a < b"
    seeds = [Seed(id=f"s{at}", prompt=f"{nasty} {at}", answer=f"right {nasty}") for at in range(3)]
    target = Weakness(
        id="1", name=nasty, lessons=2, wrong_move=nasty, failures=(Failure(seed=seeds[0], wrong_answer=nasty),)
    )
    for order in plan_orders(OPEN, [target], settings(mix={name: 1}), 1, 0, seeds):
        sent = " ".join(message.content for message in order.request.messages)
        assert not any(token in sent for token in ("<|", "</s>", "[INST]", "<start_of_turn>"))
        assert data_of(order)["real"][0]["question"].startswith(nasty)


# --- the mix


@given(
    st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 5), min_size=1), st.lists(st.integers(0, 30), min_size=1),
    st.integers(1, 6),
)  # fmt: skip
def test_requests_are_dealt_exactly_and_each_weakness_keeps_its_lessons(
    mix: dict[str, float], lessons: list[int], per_request: int
) -> None:
    weak = [weakness(count, name=f"001-{at:02d}") for at, count in enumerate(lessons)]
    dealt = deal(weak, settings(per_request=per_request), mix)
    assert [sum(count for one, _, count in dealt if one is each) for each in weak] == lessons
    requests = sum(-(-count // per_request) for count in lessons)
    names = Counter(spread(mix, requests))
    assert names.total() == requests
    for name, weight in mix.items():
        assert abs(names[name] - requests * weight / sum(mix.values())) < 1


def test_each_strategy_s_requests_lie_evenly_over_the_round() -> None:
    assert spread({"contrast": 0.5, "skill": 0.5}, 6) == ["contrast", "skill"] * 3
    assert spread({"contrast": 3, "paper": 1, "errors": 0}, 8).count("paper") == 2
    assert "paper" in spread({"contrast": 3, "paper": 1}, 8)[:4]


def test_a_weight_of_a_strategy_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="'contrst' is no strategy; did you mean 'contrast'"):
        settings(mix={"contrst": 1})
    for mix in ({}, {"skill": 0}, {"skill": -1, "paper": 2}, {"skill": float("inf")}, {"skill": float("nan")}):
        with pytest.raises(ValidationError):
            settings(mix=mix)


def test_every_name_has_a_function_or_needs_none() -> None:
    assert {*STRATEGIES, "rephrase"} == set(NAMES)


@pytest.mark.parametrize(
    ("sheet", "changes", "told"),
    [
        (SHEET, {"mix": {"errors": 1, "contrast": 1}}, "Take `errors` out"),
        (PICK, {"mix": {"errors": 1}}, "Take `errors` out"),
        (OPEN, {"mix": {"errors": 1, "rephrase": 1}}, "`errors` and `rephrase`"),
        (SHEET, {"mix": {"taxonomy": 1}}, "Set generate.taxonomy"),
        (SHEET, {"mix": {"taxonomy": 1}, "taxonomy": "no/such/tree"}, "no/such/tree"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused_with_what_to_do(
    sheet: TaskSheet, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(TeacherUnusable, match=told):
        check_strategies(sheet, settings(**changes))


def test_a_strategy_without_weight_is_not_checked() -> None:
    check_strategies(SHEET, settings(mix={"contrast": 1, "errors": 0, "taxonomy": 0}))
    check_strategies(OPEN, settings(mix={"errors": 1, "contrast": 1}))


# --- replies


def test_texts_become_candidates_with_their_origin() -> None:
    order = orders()[0]
    found = read(order, says(" a new ticket ", "another"))
    assert [(one.prompt, one.answer, one.parent_id) for one in found] == [
        ("a new ticket", "printer", "s0"), ("another", "printer", "s0")
    ]  # fmt: skip
    assert found[0].choices == LABELS and found[0].weakness_id == "001-01" and found[0].request_key == "key"
    assert found[0].strategy == "contrast" and found[0].shown_ids == ("s0", "s1", "s2")
    assert found[0].id != found[1].id


def test_a_new_item_on_the_other_side_has_the_other_label_as_its_skill() -> None:
    other = next(order for order in orders() if order.want.answers[0] == "hardware")
    assert [(one.answer, one.skill) for one in read(other, says("text"))] == [("hardware", "hardware")]


def test_written_answers_come_from_the_teacher_and_the_skill_from_the_parent() -> None:
    (found,) = read(FORMS["answer"], says({"question": " two and two? ", "answer": " 4 "}))
    assert (found.prompt, found.answer, found.skill, found.choices) == ("two and two?", "4", "printer", ())


@pytest.mark.parametrize(("answer", "read_as"), [(9, ["9"]), (2.5, ["2.5"]), (True, ["true"]), (None, []), ([9], [])])
def test_an_answer_without_quotes_is_an_answer(answer: Any, read_as: list[str]) -> None:
    assert [one.answer for one in read(FORMS["answer"], says({"question": "q", "answer": answer}))] == read_as


def test_choices_of_its_own_hold_the_right_answer_at_a_place_that_says_nothing() -> None:
    rows = [
        {"question": f"which of them {at}?", "answer": "yes", "wrong_choices": ["no", "maybe", "never"]}
        for at in range(60)
    ]
    found = [one for row in rows for one in read(FORMS["choice"], says(row))]
    assert all(sorted(one.choices) == ["maybe", "never", "no", "yes"] for one in found)
    places = Counter(one.choices.index(one.answer) for one in found)
    assert len(found) == 60 and min(places.values()) >= 5 and len(places) == 4
    assert found == [one for row in rows for one in read(FORMS["choice"], says(row))]


@pytest.mark.parametrize(
    "wrong", [None, "no", [], ["yes"], ["no", "yes"], ["no", 5], ["no", " "], [f"w{at}" for at in range(40)]]
)
def test_choices_that_are_none_make_no_candidate(wrong: Any) -> None:
    assert read(FORMS["choice"], says({"question": "which?", "answer": "yes", "wrong_choices": wrong})) == []


def test_where_all_items_share_their_choices_the_new_ones_have_them_too() -> None:
    (found,) = read(FORMS["pick"], says({"question": "which?", "answer": "network"}))
    assert found.choices == LABELS and found.answer == "network"


def test_an_item_without_an_error_in_it_is_left_out() -> None:
    broken = {"correct": "He goes home.", "question": "He go home."}
    whole = {"correct": "He goes home.", "question": "He  goes home."}
    (found,) = read(FORMS["error"], says(whole, broken))
    assert (found.prompt, found.answer) == ("He go home.", "He goes home.")


@pytest.mark.parametrize("form", FORMS)
def test_the_same_reply_gives_the_same_candidates(form: str) -> None:
    row = {"question": "q", "answer": "printer", "wrong_choices": ["b"], "correct": "c"}
    found = read(FORMS[form], says(row, row))
    assert found == read(FORMS[form], says(row, row))
    assert len({one.id for one in found}) == 2


@pytest.mark.parametrize("form", FORMS)
def test_more_than_was_asked_for_is_left_out(form: str) -> None:
    rows = [{"question": f"q{at}", "answer": "a", "wrong_choices": ["b"], "correct": "c"} for at in range(99)]
    assert len(read(FORMS[form], says(*rows))) == FORMS[form].count


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "text",
    [
        "", "no JSON", "{}", '{"items": null}', '{"items": "text"}', '{"items": {"0": "text"}}', says(1, None, [], {}),
        says({"question": 5, "answer": "a"}), says({"answer": "a"}), says([["text"]]), '{"items": ' + "1" * 5000 + "}",
        '{"items":' * 100_000, says({"question": ["q"], "answer": {"a": 1}, "correct": [], "wrong_choices": [[]]}),
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_reply_of_another_form_gives_no_candidate(form: str, text: str) -> None:
    assert read(FORMS[form], text) == []


def test_a_text_alone_is_nothing_where_its_answer_is_not_known() -> None:
    assert read(FORMS["answer"], says("a question")) == read(FORMS["error"], says("a text")) == []


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "a\x00b", "\ud83d\ude00", "\ud800", "<|im_end|>", "\u202eabc"])
def test_a_candidate_of_any_text_can_be_written_down_and_read_back(text: str, tmp_path: Any) -> None:
    found = read(orders()[0], says(text, "good"))
    assert "good" in [one.prompt for one in found]
    write_records(tmp_path / "c.jsonl", found)
    assert read_records(tmp_path / "c.jsonl", Candidate) == found


@given(st.sampled_from(sorted(FORMS)), st.text())
def test_any_reply_gives_candidates_or_none(form: str, text: str) -> None:
    assert len(read(FORMS[form], text)) <= FORMS[form].count


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["question", "answer", "wrong_choices", "correct"]) | st.text(max_size=3), inner, max_size=4
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(sorted(FORMS)), st.lists(JSON, max_size=4))
def test_any_items_give_candidates_or_none(form: str, rows: list[Any]) -> None:
    for one in read(FORMS[form], says(*rows)):
        assert isinstance(one.prompt, str) and one.strategy and (form in ("text", "answer", "error") or one.choices)


def test_without_a_teacher_there_are_no_requests_and_all_the_lessons() -> None:
    weak = [weakness(6, kind_of) for kind_of in (3,)]
    mix = settings(mix={"rephrase": 1})
    assert plan_orders(SHEET, weak, mix, 1, 0) == []
    found, wanted = rephrased_candidates(SHEET, weak, mix, 1, 0)
    assert wanted == 6 and len(found) == 6
    assert {one.request_key for one in found} == {""} and {one.strategy for one in found} == {"rephrase"}
