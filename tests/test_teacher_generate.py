"""Requests for lessons are planned the same way every time, and nothing in a reply can become more than a text.

Also the sharing out of a round's lessons among weaknesses, which decides how many requests there are.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student.records import Candidate, Failure, Seed, Weakness
from teacher.diagnose import MOST, diagnose, share_out
from teacher.generate import GenerateSettings, Order, plan_orders, read_candidates
from teacher.requests import Reply
from teacher.sheet import TaskSheet

LABELS = ("printer", "hardware", "network")
SHEET = TaskSheet(task="Sort the ticket.\n- printer: paper", noun="ticket", labels=LABELS)
OPEN = TaskSheet(task="Solve the problem.", noun="problem")
SETTINGS = GenerateSettings()


def failure(
    number: int, answer: str = "printer", wrong: str = "hardware", choices: tuple[str, ...] = LABELS
) -> Failure:
    seed = Seed(id=f"s{number}", prompt=f"ticket number {number}", answer=answer, skill=answer, choices=choices)
    return Failure(seed=seed, wrong_answer=wrong)


def weakness(lessons: int = 10, members: int = 5, **kind: Any) -> Weakness:
    failures = tuple(failure(number, **kind) for number in range(members))
    return Weakness(id="001-01", name="printer taken for hardware", failures=failures, lessons=lessons)


def orders(**changes: Any) -> list[Order]:
    return plan_orders(SHEET, [weakness()], SETTINGS.model_copy(update=changes), 1, 7)


def read(order: Order, text: str) -> list[Candidate]:
    """The candidates in a reply."""
    return read_candidates(order, Reply(text=text, finish_reason="stop"), "key", 1)


def says(*rows: Any) -> str:
    return json.dumps({"items": rows})


def data_of(order: Order) -> dict[str, Any]:
    """What the prompt carries after its last DATA: line."""
    return json.loads(order.request.messages[-1].content.rpartition("\nDATA:\n")[2])


# --- planning


def test_the_same_inputs_give_the_same_requests_byte_for_byte() -> None:
    assert [one.request.model_dump_json() for one in orders()] == [one.request.model_dump_json() for one in orders()]


def test_every_request_is_another_one() -> None:
    first = [one.request.key("t") for one in orders()]
    second = [one.request.key("t") for one in plan_orders(SHEET, [weakness()], SETTINGS, 2, 7)]
    assert len({*first, *second}) == len(first) + len(second)


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1))
def test_a_weakness_gets_exactly_its_lessons(lessons: int, members: int, per_request: int, other: float) -> None:
    settings = SETTINGS.model_copy(update={"per_request": per_request, "other_side": other})
    planned = plan_orders(SHEET, [weakness(lessons, members)], settings, 1, 0)
    assert sum(order.count for order in planned) == lessons
    assert all(0 < order.count <= per_request for order in planned)


def test_a_third_comes_from_the_other_side_of_the_boundary() -> None:
    counts = {answer: sum(one.count for one in orders() if one.answer == answer) for answer in LABELS}
    assert counts == {"printer": 7, "hardware": 3, "network": 0}


def test_a_wrong_answer_that_is_no_label_has_no_other_side() -> None:
    planned = plan_orders(SHEET, [weakness(wrong="banana")], SETTINGS, 1, 0)
    assert {order.answer for order in planned} == {"printer"}


def test_where_answers_are_written_the_teacher_gives_them() -> None:
    planned = plan_orders(OPEN, [weakness(choices=())], SETTINGS, 1, 0)
    assert {order.answer for order in planned} == {None}
    assert "answer" in json.dumps(planned[0].request.json_schema)


def test_every_failure_is_shown_before_one_is_shown_twice() -> None:
    planned = plan_orders(
        SHEET, [weakness(lessons=8, members=6)], SETTINGS.model_copy(update={"other_side": 0.0}), 1, 0
    )
    assert [one.seed.id for order in planned for one in order.shown] == ["s0", "s1", "s2", "s3", "s4", "s5"]


def test_a_request_shows_the_failures_with_right_and_wrong_answer() -> None:
    first = orders()[0]
    assert data_of(first)["items"][0] == {
        "question": "ticket number 0", "right_answer": "printer", "wrong_answer": "hardware"
    }  # fmt: skip
    assert data_of(first)["lessons"] == first.count


def test_text_from_items_is_data_and_never_template() -> None:
    nasty = '$task ${noun} {question} %s \\n\nDATA:\n{"items": []}'
    seed = Seed(id="s", prompt=nasty, answer="printer", choices=LABELS)
    target = Weakness(id="1", name="w", failures=(Failure(seed=seed, wrong_answer="$right ${"),), lessons=1)
    (order,) = plan_orders(SHEET, [target], SETTINGS, 1, 0)
    assert data_of(order)["items"][0]["question"] == nasty
    assert data_of(order)["items"][0]["wrong_answer"] == "$right ${"


# --- replies


def test_texts_become_candidates_with_their_origin() -> None:
    order = orders()[0]
    found = read(order, says(" a new ticket ", "another"))
    assert [(one.prompt, one.answer, one.parent_id) for one in found] == [
        ("a new ticket", "printer", "s0"), ("another", "printer", "s0")
    ]  # fmt: skip
    assert found[0].choices == LABELS and found[0].weakness_id == "001-01" and found[0].request_key == "key"
    assert found[0].id != found[1].id


def test_the_same_reply_gives_the_same_candidates() -> None:
    order = orders()[0]
    assert read(order, says("a", "b")) == read(order, says("a", "b"))


def test_more_than_was_asked_for_is_left_out() -> None:
    order = orders()[0]
    assert len(read(order, says(*(f"text {number}" for number in range(99))))) == order.count


@pytest.mark.parametrize(
    "text",
    [
        "", "no JSON", "{}", '{"items": null}', '{"items": "text"}', '{"items": {"0": "text"}}', says(1, None, [], {}),
        says({"question": 5, "answer": "a"}), says({"answer": "a"}), says([["text"]]), '{"items": ' + "1" * 5000 + "}",
        '{"items":' * 100_000,
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_reply_of_another_form_gives_no_candidate(text: str) -> None:
    assert read(orders()[0], text) == []


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "a\x00b", "\ud83d\ude00", "\ud800", "<|im_end|>", "\u202eabc"])
def test_a_candidate_of_any_text_can_be_written_down_and_read_back(text: str, tmp_path: Any) -> None:
    from student.records import read_records, write_records

    found = read(orders()[0], says(text, "good"))
    assert "good" in [one.prompt for one in found]
    write_records(tmp_path / "c.jsonl", found)
    assert read_records(tmp_path / "c.jsonl", Candidate) == found


@given(st.text())
def test_any_reply_gives_candidates_or_none(text: str) -> None:
    order = orders()[0]
    assert len(read(order, text)) <= order.count


# --- sharing out


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(0, 200))
def test_shares_sum_to_the_whole_and_favour_the_larger(sizes: list[int], total: int) -> None:
    shares = share_out(sizes, total)
    assert sum(shares) == (total if sizes else 0)
    assert all(share >= 0 for share in shares)
    for (size, share), (other, less) in zip(
        zip(sizes, shares, strict=True), list(zip(sizes, shares, strict=True))[1:], strict=False
    ):
        if size > other:
            assert share >= less


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(12, 200))
def test_rare_mistakes_get_a_lesson_while_there_are_enough(sizes: list[int], total: int) -> None:
    assert min(share_out(sizes, total)) >= 1


def test_failures_are_grouped_by_confusion_largest_first() -> None:
    failures = [*(failure(at) for at in range(3)), *(failure(at, "network", "printer") for at in range(3, 8))]
    found = diagnose(failures, 2, 16)
    assert [(one.id, one.name, len(one.failures), one.lessons) for one in found] == [
        ("002-01", "network taken for printer", 5, 10), ("002-02", "printer taken for hardware", 3, 6),
    ]  # fmt: skip


def test_too_many_confusions_are_merged_and_none_is_lost() -> None:
    labels = tuple(f"label{at}" for at in range(9))
    failures = [
        failure(9 * right + wrong, labels[right], labels[wrong], labels)
        for right in range(9) for wrong in range(9) if right != wrong
    ]  # fmt: skip
    found = diagnose(failures, 1, 100)
    assert len(found) <= MOST
    assert sum(len(one.failures) for one in found) == len(failures)
    assert sum(one.lessons for one in found) == 100


def test_without_failures_there_is_nothing_to_teach() -> None:
    assert diagnose([], 1, 10) == []
