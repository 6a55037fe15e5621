"""Failures become named weaknesses, and a round's lessons flow to those where they are worth most.

By confusion, by skill, or by what the teacher says is missing, whose names are untrusted, many and merged.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student.records import Attempt, Failure, Seed, Weakness
from teacher.aimless import anything
from teacher.diagnose import MOST, find_weaknesses
from teacher.naming import (
    BATCH,
    CLUSTERS,
    LONGEST_MOVE,
    LONGEST_NAME,
    Name,
    chosen,
    joined,
    merged,
    name_requests,
    plain,
    read_names,
    typical,
)
from teacher.requests import Reply
from teacher.shares import Past, Terms, expected_gains, flip_rates, give_lessons, headroom, in_turn, share_out
from teacher.sheet import TaskSheet

LABELS = ("printer", "hardware", "network")
SHEET = TaskSheet(task="Sort the ticket.", noun="ticket", labels=LABELS)
OPEN = TaskSheet(task="Solve the problem.", noun="problem")
PICK = TaskSheet(task="Choose.", noun="question", own_choices=True)


def failure(
    number: int, answer: str = "printer", wrong: str = "hardware", skill: str | None = None, **more: Any
) -> Failure:
    skill = answer if skill is None else skill
    seed = Seed(id=f"s{number:03d}", prompt=f"ticket number {number}", answer=answer, skill=skill)
    return Failure(seed=seed, wrong_answer=wrong, **more)


def named(*names: str) -> dict[str, Name]:
    return {f"s{at:03d}": Name(skill=name, wrong_move=f"move {name}") for at, name in enumerate(names)}


# --- groups


def test_failures_are_grouped_by_confusion_largest_first() -> None:
    failures = [*(failure(at) for at in range(3)), *(failure(at, "network", "printer") for at in range(3, 8))]
    found = find_weaknesses(SHEET, failures, {}, 2)
    assert [(one.id, one.name, len(one.failures), one.skill, one.wrong_move) for one in found] == [
        ("002-01", "network taken for printer", 5, "network", "says printer"),
        ("002-02", "printer taken for hardware", 3, "printer", "says hardware"),
    ]


def test_a_barely_right_answer_belongs_to_no_confusion() -> None:
    failures = [failure(1), failure(2, wrong="", barely=True, margin=0.1)]
    found = find_weaknesses(SHEET, failures, {}, 1)
    assert {one.name: one.wrong_move for one in found} == {
        "printer taken for hardware": "says hardware", "printer barely right": "",
    }  # fmt: skip


def test_too_many_confusions_are_merged_and_none_is_lost() -> None:
    labels = tuple(f"label{at}" for at in range(9))
    sheet = TaskSheet(task="Sort.", noun="ticket", labels=labels)
    failures = [
        failure(9 * right + wrong, labels[right], labels[wrong]) for right in range(9) for wrong in range(9) if right != wrong
    ]  # fmt: skip
    found = find_weaknesses(sheet, failures, {}, 1)
    assert len(found) == 9 < MOST
    assert sum(len(one.failures) for one in found) == len(failures)
    assert all(one.wrong_move == "" and one.skill for one in found)


def test_items_with_choices_of_their_own_are_grouped_by_skill() -> None:
    failures = [failure(1, "a", "b", "optics"), failure(2, "c", "d", "optics"), failure(3, "e", "f", "")]
    found = find_weaknesses(PICK, failures, {}, 1)
    assert [(one.name, one.skill, len(one.failures)) for one in found] == [
        ("optics wrong", "optics", 2), ("answers wrong", "", 1)
    ]  # fmt: skip


def test_written_answers_are_grouped_by_what_the_teacher_names_and_else_by_skill() -> None:
    failures = [failure(at, "4", "5", "sums") for at in range(4)]
    found = find_weaknesses(OPEN, failures, named("carrying", "carrying"), 1)
    assert [(one.name, one.wrong_move, len(one.failures)) for one in found] == [
        ("carrying", "move carrying", 2), ("sums wrong", "", 2)
    ]  # fmt: skip


def test_without_failures_there_is_nothing_to_teach() -> None:
    assert find_weaknesses(OPEN, [], {}, 1) == []


# --- naming


def reply(text: str) -> Reply:
    return Reply(text=text, finish_reason="stop")


def test_requests_name_every_failure_once_and_show_what_the_student_said() -> None:
    failures = [failure(at, wrong=f"said {at}") for at in range(2 * BATCH + 1)]
    requests = name_requests(OPEN, failures)
    shown = [
        row["student_answer"]
        for one in requests
        for row in json.loads(one.messages[-1].content.rpartition("\nDATA:\n")[2])["mistakes"]
    ]
    assert shown == [one.wrong_answer for one in failures]
    assert {one.purpose for one in requests} == {"name"} and {one.temperature for one in requests} == {0.0}
    assert len({one.messages[0].content for one in requests}) == 1
    assert requests == name_requests(OPEN, failures)


def test_names_are_read_by_their_place() -> None:
    batch = [failure(1), failure(2)]
    rows = [{"skill": "Unit conversion.", "wrong_move": "adds metres to feet"}, {"skill": "carrying", "wrong_move": 5}]
    assert read_names(batch, reply(json.dumps({"mistakes": [*rows, rows[0]]}))) == {
        "s001": Name(skill="unit conversion", wrong_move="adds metres to feet"),
        "s002": Name(skill="carrying", wrong_move=""),
    }


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"mistakes": 5}', '{"mistakes": ["a", 5]}', '{"mistakes": [{"skill": "..."}, {}]}', "{" * 10_000],
)
def test_an_unusable_reply_names_nothing(text: str) -> None:
    assert read_names([failure(1), failure(2)], reply(text)) == {}


@given(st.text())
def test_any_reply_names_some_or_none(text: str) -> None:
    read_names([failure(1)], reply(text))
    read_names([failure(1)], reply(json.dumps({"mistakes": [{"skill": text, "wrong_move": text}]})))


@given(st.text(max_size=400))
def test_a_name_is_plain_words_on_one_line(text: str) -> None:
    said = plain(text, LONGEST_NAME)
    assert len(said) <= LONGEST_NAME < LONGEST_MOVE and "\n" not in said
    assert not set(said) & set("<>|[]{}`\\\x1b\x00\u202e")


def test_a_name_holds_no_control_token() -> None:
    assert plain("carry <|im_end|>\n\x1b[31m the [INST] one", 60) == "carry im_end 31m the INST one"


def test_names_that_mean_the_same_are_one_in_whatever_order_they_came() -> None:
    given_names = [
        "unit conversion",
        "unit conversions",
        "converting units",
        "carrying",
        "carrying over",
        "percentages",
    ]
    whole = named(*given_names)
    found = merged(whole)
    assert found["s000"].skill == found["s001"].skill
    assert found["s003"].skill == found["s004"].skill == "carrying"
    assert found["s005"].skill == "percentages"
    assert [one.wrong_move for one in found.values()] == [one.wrong_move for one in whole.values()]
    turned = dict(reversed(whole.items()))
    assert merged(turned) == found


def test_a_skill_keeps_the_name_of_an_earlier_round() -> None:
    assert merged(named("unit conversions", "unit conversions"), ["unit conversion"])["s000"].skill == "unit conversion"
    assert merged(named("carrying"), ["unit conversion"])["s000"].skill == "carrying"


def test_many_names_become_few() -> None:
    chance = random.Random(1)
    names = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for _ in range(60)]
    assert len({one.skill for one in merged(named(*names)).values()}) == CLUSTERS


def test_merging_is_empty_for_nothing_and_the_same_for_one() -> None:
    assert merged({}) == {}
    assert merged(named("carrying")) == named("carrying")


def test_the_typical_move_is_the_one_most_like_the_others() -> None:
    moves = ["forgets to carry the one", "adds without carrying the one", "says a colour", "does not carry the one"]
    assert typical(moves) != "says a colour" and typical(moves) in moves
    assert typical([]) == typical(["", ""]) == "" and typical(["", "one", "other"]) == "one"


def test_when_not_all_can_be_named_every_skill_is_and_wrong_ones_come_first() -> None:
    failures = [failure(at, skill="common") for at in range(20)] + [failure(at, skill="rare") for at in range(20, 22)]
    picked = chosen(failures, 6)
    assert len(picked) == 6 and sum(one.seed.skill == "rare" for one in picked) == 2
    assert chosen(list(reversed(failures)), 6) == picked
    assert chosen(failures, 0) == [] and len(chosen(failures, 99)) == 22


def test_a_failure_nobody_asked_about_joins_the_most_alike() -> None:
    asked = [failure(at) for at in range(2)]
    asked[0] = Failure(
        seed=asked[0].seed.model_copy(update={"prompt": "How many cents are in a dollar"}), wrong_answer="x"
    )
    asked[1] = Failure(seed=asked[1].seed.model_copy(update={"prompt": "Which train arrives first"}), wrong_answer="x")
    other = failure(7)
    other = Failure(seed=other.seed.model_copy(update={"prompt": "How many cents in two dollars"}), wrong_answer="x")
    assert joined(named("money", "trains"), asked, [other]) == {"s007": named("money")["s000"]}
    assert joined({}, asked, [other]) == {} == joined(named("money"), asked, [])


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


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(0, 300), st.integers(0, 100))
def test_in_turn_everyone_comes_to_a_share_and_nothing_is_taken_back(sizes: list[int], total: int, more: int) -> None:
    given, later = in_turn(sizes, total), in_turn(sizes, total + more)
    assert (sum(given), sum(later)) == (total, total + more)
    assert all(one <= other for one, other in zip(given, later, strict=True))
    assert in_turn(sizes, sum(sizes)) == sizes


def test_lessons_without_aim_go_round_all_labels_before_any_has_more_than_its_share() -> None:
    """77 labels of three seeds, 30 lessons a round: fewer than labels, so a label that got none has its turn in the next round."""
    seeds = [Seed(id=f"{at}", prompt=f"text {at}", answer=f"label {at % 77}", skill="") for at in range(3 * 77)]
    rounds = [{one.id: one.lessons for one in anything(seeds, 30, number)} for number in range(1, 8)]
    assert all(sum(shares.values()) == 30 for shares in rounds)
    for until in range(1, 8):
        so_far = [sum(shares[label] for shares in rounds[:until]) for label in rounds[0]]
        assert max(so_far) - min(so_far) <= 1


def weaknesses(sizes: list[int]) -> list[Weakness]:
    """Weaknesses of these sizes, each of a skill of its own."""
    made: list[Weakness] = []
    for at, size in enumerate(sizes):
        members = tuple(failure(100 * at + each, skill=f"skill{at}", answer="x") for each in range(size))
        made.append(Weakness(id=f"001-{at:02d}", name=f"weak{at}", failures=members, lessons=0, skill=f"skill{at}"))
    return made


def shared(
    found: list[Weakness], past: list[Past], terms: Terms, so_far: list[int] | None = None, more: int = 0
) -> list[int]:
    """The lessons each gets; every skill has `more` seeds that are right."""
    seeds = [one.seed for weakness in found for one in weakness.failures]
    seeds += [
        Seed(id=f"r{at}-{each}", prompt="p", answer="y", skill=f"skill{at}")
        for at in range(len(found))
        for each in range(more)
    ]
    gains = expected_gains(found, seeds, past)
    return [one.lessons for one in give_lessons(found, gains, so_far or [0] * len(found), terms)]


@given(
    st.lists(st.integers(1, 30), max_size=10),
    st.integers(1, 200),
    st.integers(1, 6),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_all_lessons_are_given_by_the_request(
    sizes: list[int], lessons: int, least: int, explore: float, more: int
) -> None:
    shares = shared(weaknesses(sizes), [], Terms(lessons, least, explore), more=more)
    assert sum(shares) == (lessons if sizes else 0)
    assert all(share == 0 or share >= min(least, lessons) for share in shares)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=10), st.integers(1, 4), st.integers(0, 5))
def test_exploring_reaches_every_weakness_that_was_never_taught(sizes: list[int], least: int, done: int) -> None:
    lessons = 2 * least * len(sizes)
    so_far = [0 if at % 2 else done for at in range(len(sizes))]
    shares = shared(weaknesses(sizes), [], Terms(lessons, least, 0.5), so_far)
    assert min(shares) >= least


def test_exploring_begins_with_those_that_had_fewest_lessons() -> None:
    assert shared(weaknesses([9, 9, 9, 9]), [], Terms(8, 4, 0.5), [9, 9, 0, 9])[2] == 4


@given(st.integers(1, 20), st.integers(1, 20))
def test_without_a_past_the_larger_weakness_gets_more(first: int, second: int) -> None:
    shares = shared(weaknesses([first, second]), [], Terms(60))
    assert (shares[0] >= shares[1]) if first >= second else (shares[0] <= shares[1])


def test_of_two_as_large_the_one_with_more_to_win_gets_more() -> None:
    small, large = weaknesses([5, 5])
    seeds = [one.seed for weakness in (small, large) for one in weakness.failures]
    solved = [Seed(id=f"r{at}", prompt="p", answer="y", skill="skill1") for at in range(45)]
    gains = expected_gains([small, large], [*seeds, *solved], [])
    assert gains[0] > 3 * gains[1]


def test_what_is_barely_right_counts_half() -> None:
    whole, half = weaknesses([4, 4])
    half = half.model_copy(update={"failures": tuple(one.model_copy(update={"barely": True}) for one in half.failures)})
    gains = expected_gains([whole, half], [], [])
    assert gains[1] < 0.6 * gains[0]


def past(flipped: dict[str, int], size: int = 20, lessons: int = 4) -> Past:
    """A round with weaknesses of one size, so many of whose failures were right afterwards."""
    made, after = list[Weakness](), list[Attempt]()
    for at, (name, count) in enumerate(flipped.items()):
        members = tuple(failure(1000 + 100 * at + each) for each in range(size))
        made.append(Weakness(id=f"000-{at}", name=name, failures=members, lessons=lessons))
        after += [
            Attempt(
                item_id=one.seed.id, output="", outcome="right" if each < count else "wrong", score=float(each < count)
            )
            for each, one in enumerate(members)
        ]
    return Past(tuple(made), tuple(after))


def test_lessons_flow_to_where_earlier_ones_helped() -> None:
    shares = shared(weaknesses([8, 8, 8]), [past({"weak0": 18, "weak1": 1, "weak2": 9})], Terms(60))
    assert shares[0] > shares[2] > shares[1] > 0


@given(st.integers(0, 20), st.integers(0, 20))
def test_more_flips_never_mean_a_lower_rate(one: int, other: int) -> None:
    rates = flip_rates(["weak0", "weak1"], [past({"weak0": one, "weak1": other})])
    assert (rates[0] >= rates[1]) if one >= other else (rates[0] <= rates[1])
    assert all(0 < rate < 1 for rate in rates)


def test_a_weakness_never_taught_has_the_overall_rate_and_few_flips_are_shrunk_to_it() -> None:
    before = [past({"weak0": 10, "weak1": 10}), past({"small": 2}, size=2)]
    rates = flip_rates(["never", "weak0", "small"], before)
    assert rates[1] == pytest.approx(rates[0], abs=0.03)
    assert rates[0] < rates[2] < 0.75  # two of two flipped, but two are few
    assert flip_rates(["never"], []) == [0.5]


def test_what_flipped_without_lessons_is_no_credit() -> None:
    assert flip_rates(["weak0", "never"], [past({"weak0": 20}, lessons=0)]) == [0.5, 0.5]


def test_headroom_is_the_share_that_fails_of_the_label_or_skill() -> None:
    (weak,) = weaknesses([4])
    failing = {one.seed.id: 1.0 for one in weak.failures}
    seeds = [one.seed for one in weak.failures]
    right = [Seed(id=f"r{at}", prompt="p", answer="y", skill="skill0") for at in range(16)]
    others = [Seed(id=f"o{at}", prompt="p", answer="y", skill="other") for at in range(100)]
    assert headroom(weak, [*seeds, *right, *others], failing) == pytest.approx(5 / 22)
    assert headroom(weak.model_copy(update={"skill": ""}), [*seeds, *others], failing) == pytest.approx(5 / 106)
