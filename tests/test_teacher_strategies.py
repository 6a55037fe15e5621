"""What each strategy's prompt holds and does not hold, whom it shows, what it files, and that it is the same every time.

Also what they stand on: the voices, the taxonomy's files, and noise that changes no answer.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student.records import Failure, HeldOutItem, Seed, Weakness
from teacher.errors import TeacherUnusable
from teacher.generate import GenerateSettings, Order, plan_orders, read_candidates, rephrased_candidates
from teacher.noise import is_english, rephrased
from teacher.prompts import every_prompt
from teacher.requests import Reply
from teacher.sheet import TaskSheet
from teacher.strategies import STRATEGIES
from teacher.strategies.order import Desk, Want
from teacher.strategies.voices import PERSONAS, TOPICS, voice
from teacher.taxonomy import nearest_leaves, read_taxonomy

LABELS = ("river", "mountain", "city")
SHEET = TaskSheet(task="Say what it is.\n- river: water that flows\n- city: streets", noun="clue", labels=LABELS)
OPEN = TaskSheet(task="Correct the sentence.", noun="sentence")
PICK = TaskSheet(task="Choose.", noun="question", own_choices=True)
SEEDS = [
    Seed(id=f"s{at:02d}", prompt=f"The {LABELS[at % 3]} clue of number{at}", answer=LABELS[at % 3], skill=LABELS[at % 3],
         choices=LABELS)
    for at in range(30)
]  # fmt: skip
WRITTEN = [
    Seed(id=f"w{at:02d}", prompt=f"Correct: He go to town{at} .", answer=f"He goes to town{at}.", skill=("verb", "noun")[at % 2])
    for at in range(12)
]  # fmt: skip
CHOOSING = [
    Seed(id=f"c{at:02d}", prompt=f"Which is number{at}?", answer=f"one{at}", skill="counting", choices=(f"one{at}", f"two{at}"))
    for at in range(8)
]  # fmt: skip
ALL = [name for name in STRATEGIES if name != "taxonomy"]


def weak(seeds: list[Seed], wrong: str = "city", lessons: int = 12, kind: str = "river") -> Weakness:
    failures = tuple(Failure(seed=one, wrong_answer=wrong) for one in seeds if kind in (one.skill, ""))
    return Weakness(id="001-01", name="a weakness", failures=failures, lessons=lessons, skill=kind, wrong_move="a move")


def planned(name: str, sheet: TaskSheet = SHEET, **changes: Any) -> list[Order]:
    """The orders of one strategy on one weakness."""
    seeds, target = {
        "clue": (SEEDS, weak(SEEDS)),
        "sentence": (WRITTEN, weak(WRITTEN, "He goed.", kind="verb")),
        "question": (CHOOSING, weak(CHOOSING, "two0", kind="counting")),
    }[sheet.noun]
    number = changes.pop("round", 1)
    return plan_orders(sheet, [target], GenerateSettings(mix={name: 1}, **changes), number, 3, seeds)


def data_of(order: Order) -> dict[str, Any]:
    return json.loads(order.request.messages[-1].content.rpartition("\nDATA:\n")[2])


def said(order: Order) -> str:
    return "\n".join(message.content for message in order.request.messages)


# --- every strategy


@pytest.mark.parametrize(
    ("name", "sheet"),
    [("errors", OPEN), *((name, sheet) for name in ALL if name != "errors" for sheet in (SHEET, OPEN, PICK))],
)
def test_every_strategy_asks_for_its_lessons_the_same_way_every_time(name: str, sheet: TaskSheet) -> None:
    orders = planned(name, sheet)
    assert sum(order.count for order in orders) == 12
    assert [one.request.model_dump_json() for one in orders] == [
        one.request.model_dump_json() for one in planned(name, sheet)
    ]
    assert len({order.request.key("t") for order in orders}) == len(orders)
    for order in orders:
        assert order.request.purpose == "write" and order.request.tag == order.want.strategy == name
        assert data_of(order)["lessons"] == order.count


@pytest.mark.parametrize("name", ALL)
def test_every_seed_whose_text_is_shown_is_told(name: str) -> None:
    sheet, seeds = (OPEN, WRITTEN) if name == "errors" else (SHEET, SEEDS)
    for order in planned(name, sheet):
        assert {one.id for one in order.want.shown} == {one.id for one in seeds if _stands_in(one.prompt, said(order))}


def _stands_in(text: str, prompt: str) -> bool:
    return re.search(rf"{re.escape(text)}(?!\w)", prompt) is not None


@pytest.mark.parametrize("name", ["contrast", "skill", "untargeted"])
def test_the_system_message_is_the_same_for_all_requests_and_holds_the_labels(name: str) -> None:
    found = {order.request.messages[0].content for order in planned(name)}
    assert found == {planned("contrast")[0].request.messages[0].content}
    assert "- river: water that flows" in found.pop()


@pytest.mark.parametrize("name", ALL)
def test_every_request_asks_for_json_on_one_line_in_its_last_message(name: str) -> None:
    for order in planned(name, OPEN):
        assert 'JSON on one line: {"items":' in order.request.messages[-1].content


def test_no_function_of_a_strategy_takes_what_could_be_held_out() -> None:
    for function in STRATEGIES.values():
        hints = get_type_hints(function)
        assert list(hints)[:-1] == list(inspect.signature(function).parameters)
        assert hints["desk"] is Desk and hints["weakness"] is Weakness
    assert get_type_hints(Desk)["seeds"] == tuple[Seed, ...] and get_type_hints(Want)["shown"] == tuple[Seed, ...]
    assert not issubclass(HeldOutItem, Seed)


def test_every_prompt_file_is_used_and_shown() -> None:
    texts = "".join(
        path.read_text() for path in Path(__file__).parent.parent.joinpath("teacher").rglob("*.py")
    )  # fmt: skip
    for name, version, text in every_prompt():
        stem = name.rpartition("_")[0]
        assert f'"{name}"' in texts or f'f"{stem}_{{' in texts, f"{name}.md is filled in by nobody"
        assert len(version) == 8 and text.strip()


def test_a_reply_has_room_for_items_as_long_as_the_real_ones_and_no_more_than_fits() -> None:
    limits = dict[int, int]()
    for words in (1, 200, 20_000):
        worked = WRITTEN[0].model_copy(update={"answer": "step " * words})
        target = Weakness(id="1", name="w", failures=(Failure(seed=worked, wrong_answer="x"),), lessons=2)
        (order,) = plan_orders(OPEN, [target], GenerateSettings(), 1, 0, [worked])
        limits[words] = order.request.max_tokens
    assert limits[1] == 2 * 90 + 20, "short ones: what the settings say"
    assert 2 * 300 < limits[200] < 2 * 400, "a worked answer of 200 words is no 90 tokens"
    assert limits[20_000] == 2 * 1000 + 20


# --- style

BEGINNINGS = ("Where does", "How high", "Who built")
KINDS = [
    Seed(id=f"k{at:02d}", prompt=f"{BEGINNINGS[at % 3]}{chr(97 + at // 3)} the thing number{at} stand",
         answer=LABELS[at % 3], skill=LABELS[at % 3], choices=LABELS)
    for at in range(30)
]  # fmt: skip


def styled(seeds: list[Seed] = KINDS, lessons: int = 12, round: int = 1) -> list[Order]:
    target = weak(seeds, lessons=lessons)
    return plan_orders(SHEET, [target], GenerateSettings(mix={"style": 1}), round, 3, seeds)


def test_style_shows_real_items_as_replies_and_the_same_ones_in_every_request_and_round() -> None:
    orders = [*styled(), *styled(round=2)]
    assert len({order.request.messages[:-1] for order in orders}) == 1
    roles = [message.role for message in orders[0].request.messages]
    assert roles == ["system", *["user", "assistant"] * 3, "user"]
    real = {seed.prompt: seed for seed in KINDS}
    for asked, reply in zip(orders[0].request.messages[1:-1:2], orders[0].request.messages[2:-1:2], strict=True):
        data = json.loads(asked.content.rpartition("\nDATA:\n")[2])
        items = json.loads(reply.content)["items"]
        assert len(items) == data["lessons"] == len(data["begin"])
        for item, begin in zip(items, data["begin"], strict=True):
            assert real[item].answer == data["answer"]
            assert item.startswith(f"{begin} ")


@pytest.mark.parametrize(
    ("words", "labels", "each"), [(16, 3, 6), (30, 3, 4), (60, 3, 2), (250, 2, 1), (500, 1, 1), (900, 0, 0)]
)
def test_style_shows_as_much_of_long_items_as_there_is_room_for(words: int, labels: int, each: int) -> None:
    long = [seed.model_copy(update={"prompt": f"{seed.prompt} {'with words ' * (words // 2)}"}) for seed in KINDS]
    order = styled(long)[0]
    assert sum(message.role == "assistant" for message in order.request.messages) == labels
    shown = shown_in(order)
    assert len(shown) == labels * each and sum(map(len, shown)) <= 3000


def test_style_gives_every_new_item_the_first_words_of_a_real_one_of_its_label() -> None:
    orders = styled(lessons=24)
    assert {order.want.parent.answer for order in orders} == {"river"}
    assert {data_of(order)["answer"] for order in orders} == {"river", "city"}, "both sides of the confusion"
    for order in orders:
        data = data_of(order)
        real = [seed for seed in KINDS if seed.answer == data["answer"]]
        openings = {" ".join(seed.prompt.split()[:words]) for seed in real for words in (1, 2)}
        assert data["answer"] == order.want.answers[0]
        assert len(data["begin"]) == order.count
        assert set(data["begin"]) <= openings
    assert len({begin for order in orders for begin in data_of(order)["begin"]}) > 8, "they are not the same few"


def shown_in(order: Order) -> list[str]:
    replies = [message.content for message in order.request.messages if message.role == "assistant"]
    return [item for reply in replies for item in json.loads(reply)["items"]]


def test_style_gives_no_two_words_of_an_item_that_is_shown_for_these_are_written_down_again() -> None:
    for order in styled(lessons=48):
        shown = {" ".join(item.split()[:2]) for item in shown_in(order)}
        assert shown and not shown & set(data_of(order)["begin"])


def test_style_gives_all_there_is_of_a_label_with_few_items_before_it_repeats_any() -> None:
    few = [seed for seed in KINDS if seed.answer != "river"] + [
        KINDS[0].model_copy(update={"id": f"f{at}", "prompt": f"{begin} is it called here"})
        for at, begin in enumerate(("What", "Where", "Which"))
    ]  # fmt: skip
    failed = (Failure(seed=few[-1], wrong_answer="city"),)
    target = Weakness(id="1", name="w", failures=failed, lessons=8, skill="river")
    (order,) = plan_orders(SHEET, [target], GenerateSettings(mix={"style": 1}, other_side=0), 1, 3, few)
    shown, begins = shown_in(order), data_of(order)["begin"]
    hidden = [one for one in ("What", "Where", "Which") if f"{one} is it called here" not in shown]
    assert set(begins) == {"What", "Where", "Which", *(f"{one} is" for one in hidden)}
    assert len(begins) == 8


def test_style_passes_over_items_too_short_to_give_first_words() -> None:
    short = [KINDS[0].model_copy(update={"id": f"s{at}", "prompt": "river"}) for at in range(3)]
    for order in styled([*KINDS, *short], lessons=24):
        data = data_of(order)
        assert len(data["begin"]) == order.count and "river" not in data["begin"]


def test_style_begins_new_items_as_the_failures_begin_before_it_takes_others() -> None:
    shown = shown_in(styled()[0])
    rivers = [seed for seed in KINDS if seed.answer == "river" and seed.prompt not in shown]
    failed = rivers[-2:]
    alike = [one.model_copy(update={"id": f"x{one.id}", "prompt": f"{one.prompt} today"}) for one in failed]
    failures = tuple(Failure(seed=one, wrong_answer="city") for one in failed)
    target = Weakness(id="1", name="w", failures=failures, lessons=4, skill="river")
    (order,) = plan_orders(SHEET, [target], GenerateSettings(mix={"style": 1}, other_side=0), 1, 3, [*KINDS, *alike])
    begins = data_of(order)["begin"]
    assert begins[:2] == [" ".join(one.prompt.split()[:2]) for one in failed]
    assert len(set(begins)) == 4


def test_style_asks_without_first_words_where_texts_set_no_spaces() -> None:
    close = [one.model_copy(update={"prompt": one.prompt.replace(" ", "")}) for one in KINDS]
    for order in styled(close):
        assert "begin" not in data_of(order) and "begin" not in order.request.messages[-1].content


# --- contrast


def test_contrast_shows_failures_with_right_and_wrong_answer() -> None:
    first = planned("contrast")[0]
    assert data_of(first)["real"][0] == {
        "question": "The river clue of number0", "right_answer": "river", "wrong_answer": "city"
    }  # fmt: skip
    assert 'confuses "river" with "city"' in said(first)


@pytest.mark.parametrize("name", ["contrast", "skill"])
def test_a_request_for_a_label_says_what_belongs_to_it_and_which_one_to_avoid(name: str) -> None:
    sheet = SHEET.model_copy(update={"meanings": {"river": "water that flows"}})
    orders = plan_orders(sheet, [weak(SEEDS)], GenerateSettings(mix={name: 1}), 1, 0, SEEDS)
    for order in orders:
        meant, avoided = ("river", "city") if order.want.answers[0] == "river" else ("city", "river")
        assert f'no new one may be "{avoided}"' in said(order)
        assert ('whose right answer is "river" (water that flows).' in said(order)) is (meant == "river")


def test_contrast_writes_a_third_on_the_other_side_of_the_boundary() -> None:
    counts = Counter(order.want.answers[0] for order in planned("contrast") for _ in range(order.count))
    assert counts == {"river": 8, "city": 4}


@pytest.mark.parametrize(("wrong", "barely"), [("banana", False), ("", True)])
def test_what_is_no_confusion_has_no_other_side(wrong: str, barely: bool) -> None:
    failures = tuple(Failure(seed=one, wrong_answer=wrong, barely=barely) for one in SEEDS if one.answer == "river")
    target = Weakness(id="1", name="w", failures=failures, lessons=12)
    orders = plan_orders(SHEET, [target], GenerateSettings(mix={"contrast": 1}), 1, 0)
    assert {order.want.answers[0] for order in orders} == {"river"}
    assert all("is not sure of" in said(order) and "confuses" not in said(order) for order in orders)
    assert all(("wrong_answer" in data_of(order)["real"][0]) is not barely for order in orders)


def test_contrast_shows_every_failure_before_one_twice() -> None:
    orders = planned("contrast", other_side=0.0)
    shown = [one.id for order in orders for one in order.want.shown]
    assert len(shown) == 9 and len(set(shown)) == 9


@pytest.mark.parametrize("name", ["contrast", "skill", "untargeted", "errors", "paper"])
def test_where_answers_are_written_one_exchange_shows_the_form_of_a_reply(name: str) -> None:
    for order in planned(name, OPEN):
        _, _, reply, _ = order.request.messages
        assert [one.role for one in order.request.messages] == ["system", "user", "assistant", "user"]
        (item,) = json.loads(reply.content)["items"]
        assert item["question"] in {one.prompt for one in order.want.shown}


def test_a_merged_weakness_names_in_each_request_the_label_that_was_said() -> None:
    said_labels = ("mountain", "city", "mountain", "city")
    failures = tuple(
        Failure(seed=one, wrong_answer=wrong) for one, wrong in zip(SEEDS[0:12:3], said_labels, strict=True)
    )
    target = Weakness(id="1", name="river missed", failures=failures, lessons=16)
    orders = plan_orders(SHEET, [target], GenerateSettings(mix={"contrast": 1}, examples=1, other_side=0.5), 1, 0)
    for order in orders:
        assert f'"river" with "{data_of(order)["real"][0]["wrong_answer"]}"' in said(order)
    assert {order.want.answers[0] for order in orders} == {"river", "mountain", "city"}


def test_a_long_wrong_answer_is_shown_in_part() -> None:
    failures = (Failure(seed=WRITTEN[0], wrong_answer="word " * 2000),)
    (order,) = plan_orders(OPEN, [Weakness(id="1", name="w", failures=failures, lessons=1)], GenerateSettings(), 1, 0)
    assert len(data_of(order)["real"][0]["wrong_answer"]) == 500


# --- skill


def test_skill_shows_the_weakness_and_real_items_for_style_only() -> None:
    for order in planned("skill"):
        data = data_of(order)
        assert data["weakness"] == "a weakness" and data["wrong_move"] == "a move"
        assert {row["right_answer"] for row in data["real"]} == set(order.want.answers)
        assert all("wrong_answer" not in row for row in data["real"])
        assert len(voices_of(order)) == order.count


def voices_of(order: Order) -> list[str]:
    """Who writes each item, on what, how and how long."""
    return re.findall(r"^\d\. (Topic: .+ Written by .+)$", order.request.messages[-1].content, re.MULTILINE)


def test_skill_gives_every_item_a_voice_of_its_own() -> None:
    voices = [one for order in planned("skill", per_request=3) for one in voices_of(order)]
    assert len({one.partition("Written by ")[2].partition(",")[0] for one in voices}) == len(voices) == 12
    assert voices != [one for order in planned("skill", per_request=3, round=2) for one in voices_of(order)]


def test_persons_meet_every_topic_before_one_twice() -> None:
    assert len(set(PERSONAS)) == len(PERSONAS) >= 20 and len(set(TOPICS)) == len(TOPICS) >= 12
    laps = [voice(number, "7") for number in range(len(PERSONAS) * len(TOPICS))]
    assert len({(one["who"], one["topic"]) for one in laps}) == len(PERSONAS) * len(TOPICS)
    assert len({(one["who"], one["manner"]) for one in laps}) == len(PERSONAS) * 6
    assert {one["who"] for one in laps[: len(PERSONAS)]} == set(PERSONAS)


def test_skill_spreads_over_the_parents_and_the_style_changes() -> None:
    orders = planned("skill", other_side=0.0)
    assert len({order.want.parent.id for order in orders}) == 3
    assert len({order.want.shown for order in orders}) == 3


# --- paper and untargeted


@pytest.mark.parametrize("sheet", [SHEET, OPEN, PICK], ids=lambda sheet: sheet.noun)
def test_paper_asks_for_one_item_a_failure_and_never_shows_what_the_student_said(sheet: TaskSheet) -> None:
    orders = planned("paper", sheet)
    assert [order.count for order in orders] == [1] * 12
    wrong = {"clue": '"city"', "sentence": "He goed.", "question": "wrong_answer"}[sheet.noun]
    for order in orders:
        assert "wrong_answer" not in said(order) and wrong not in order.request.messages[-1].content
        assert [row["question"] for row in data_of(order)["real"]] == [order.want.parent.prompt]


def test_paper_has_one_worked_example_the_same_for_all() -> None:
    roles = [message.role for message in planned("paper")[0].request.messages]
    assert roles == ["system", "user", "assistant", "user"]
    before = {order.request.messages[:3] for order in planned("paper")}
    assert len(before) == 1
    assert json.loads(planned("paper")[0].request.messages[2].content) == {"items": ["The river clue of number3"]}


def test_paper_without_two_seeds_alike_has_no_example() -> None:
    target = weak(WRITTEN[:1], "He goed.", 1, "verb")
    (order,) = plan_orders(OPEN, [target], GenerateSettings(mix={"paper": 1}), 1, 0, WRITTEN[:1])
    assert [message.role for message in order.request.messages] == ["system", "user"]


def test_untargeted_has_the_form_and_cost_of_contrast_and_knows_nothing_of_failures() -> None:
    aimed, control = planned("contrast"), planned("untargeted")
    assert sorted(order.count for order in control) == sorted(order.count for order in aimed)
    assert {order.form for order in control} == {order.form for order in aimed}
    for order in control:
        assert order.want.weakness_id == ""
        assert (
            "wrong_answer" not in said(order) and "a weakness" not in said(order) and "student" not in said(order)[400:]
        )
        assert {row["right_answer"] for row in data_of(order)["real"]} == set(order.want.answers)


def test_untargeted_draws_every_seed_once_before_one_twice() -> None:
    target = weak(SEEDS, lessons=4 * len(SEEDS))
    orders = plan_orders(SHEET, [target], GenerateSettings(mix={"untargeted": 1}), 1, 0, SEEDS)
    assert sorted(order.want.parent.id for order in orders) == [one.id for one in SEEDS]
    again = plan_orders(SHEET, [target], GenerateSettings(mix={"untargeted": 1}), 2, 0, SEEDS)
    assert [order.want.parent for order in again] != [order.want.parent for order in orders]


# --- errors


def test_errors_names_the_kind_and_the_answer_is_the_right_text() -> None:
    orders = planned("errors", OPEN, error_kinds=("a wrong verb", "a typo"))
    assert {one["error"] for order in orders for one in data_of(order)["write"]} == {"a weakness"}
    unnamed = weak(WRITTEN, "He goed.", kind="verb").model_copy(update={"name": "verb wrong", "lessons": 12})
    settings = GenerateSettings(mix={"errors": 1}, error_kinds=("a wrong verb", "a typo"))
    orders = plan_orders(OPEN, [unnamed], settings, 1, 0, WRITTEN)
    assert [one["error"] for order in orders for one in data_of(order)["write"]] == ["a wrong verb", "a typo"] * 6
    rows = [{"correct": f"It is {at}.", "question": f"Correct: It are {at}."} for at in range(4)]
    found = read_candidates(orders[0], Reply(text=json.dumps({"items": rows}), finish_reason="stop"), "k", 1)
    assert [one.answer for one in found] == [row["correct"] for row in rows]


def test_errors_by_kind_has_the_answers_of_the_eval_set_as_kinds() -> None:
    seeds = [
        Seed(id=f"k{at}", prompt=f"What is wrong: text {at}", answer=("spelling", "tense", "agreement")[at % 3])
        for at in range(6)
    ]
    target = Weakness(id="1", name="w", failures=(Failure(seed=seeds[1], wrong_answer="spelling"),), lessons=4)
    (order,) = plan_orders(OPEN, [target], GenerateSettings(mix={"errors": 1}, error_answer="kind"), 1, 0, seeds)
    assert order.want.answers == ("tense", "agreement", "spelling", "tense")
    rows = [{"correct": f"It is {at}.", "question": f"It are {at}."} for at in range(4)]
    rows[1]["question"] = rows[1]["correct"]
    found = read_candidates(order, Reply(text=json.dumps({"items": rows}), finish_reason="stop"), "k", 1)
    assert [one.answer for one in found] == ["tense", "spelling", "tense"]


# --- taxonomy

SKILL_LEAF = """
version: 2
created_by: someone
task_description: Put the verb into the right form
seed_examples:
  - question: "He (go) home"
    answer: He goes home
  - context: A list of verbs
    question: "They (be) here"
    answer: They are here
"""
KNOWLEDGE_LEAF = """
version: 3
created_by: someone
domain: geography
document_outline: Rivers of the north
document: {repo: "https://example.org", commit: abc, patterns: ["*.md"]}
seed_examples:
  - context: The Ouse flows through the plain.
    questions_and_answers:
      - {question: "Which river flows through the plain?", answer: The Ouse}
      - {question: "Does it flow?", answer: yes}
"""
OLD_LEAF = "seed_examples: [{question: 'How many cents are a coin?', answer: 5}]\ntask_description: money\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    leaves = {
        "compositional_skills/grammar/verbs": SKILL_LEAF, "knowledge/geography/rivers": KNOWLEDGE_LEAF,
        "compositional_skills/money": OLD_LEAF,
    }  # fmt: skip
    for place, text in leaves.items():
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "qna.yaml").write_text(text)
        (tmp_path / place / "attribution.txt").write_text("Title of work: none")
    return tmp_path


def test_leaves_of_all_versions_are_read(tree: Path) -> None:
    verbs, money, rivers = read_taxonomy(tree)
    assert money.path == "compositional_skills/money" and money.examples[0].answer == "5"
    assert verbs.about == "Put the verb into the right form" and verbs.examples[1].context == "A list of verbs"
    assert rivers.about == "geography Rivers of the north"
    assert [one.answer for one in rivers.examples] == ["The Ouse", "yes"]
    assert {one.context for one in rivers.examples} == {"The Ouse flows through the plain."}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "no readable YAML"), ("- a", "found list"), ("version: 9\nseed_examples: [{question: a, answer: b}]", "version 9"),
        ("version: 3", "`seed_examples` must be a list"), ("seed_examples: []", "`seed_examples` must be a list"),
        ("seed_examples: [{question: a}]", "entry 1"), ("seed_examples: [{question: a, answer: b}, text]", "entry 2"),
        ("seed_examples: [{context: c, questions_and_answers: []}]", "entry 1"),
        ("seed_examples: [{context: c, questions_and_answers: {a: b}}]", "entry 1"),
    ],
)  # fmt: skip
def test_a_leaf_that_is_not_as_it_must_be_is_named(tree: Path, text: str, told: str) -> None:
    (tree / "compositional_skills" / "money" / "qna.yaml").write_text(text)
    with pytest.raises(TeacherUnusable, match=rf"money.qna\.yaml.*{re.escape(told)}"):
        read_taxonomy(tree)


def test_a_folder_without_leaves_is_named(tmp_path: Path) -> None:
    with pytest.raises(TeacherUnusable, match=r"holds no qna\.yaml"):
        read_taxonomy(tmp_path)


def test_the_leaf_nearest_to_a_weakness_comes_first(tree: Path) -> None:
    leaves = read_taxonomy(tree)
    assert nearest_leaves(leaves, "verb forms: He go home", 1)[0].path.endswith("verbs")
    assert nearest_leaves(leaves, "how rivers flow", 1)[0].path.endswith("rivers")
    assert nearest_leaves(leaves, "7", 3) == leaves


def test_taxonomy_grows_the_leaf_nearest_to_the_weakness(tree: Path) -> None:
    settings = GenerateSettings(mix={"taxonomy": 1}, taxonomy=str(tree))
    failures = tuple(Failure(seed=one, wrong_answer="He goed.") for one in WRITTEN if one.skill == "verb")
    target = Weakness(id="1", name="verb forms", failures=failures, lessons=12)
    orders = plan_orders(OPEN, [target], settings, 1, 0, WRITTEN)
    grown = [data_of(order)["leaf"]["place"] for order in orders]
    assert "compositional_skills/grammar/verbs" in grown
    assert sum(order.count for order in orders) == 12
    assert all(data_of(order)["leaf"]["examples"] and data_of(order)["real"] for order in orders)
    assert orders == plan_orders(OPEN, [target], settings, 1, 0, WRITTEN)


# --- rephrase


def test_rephrased_items_are_other_texts_with_the_seeds_own_answer() -> None:
    target = weak(SEEDS, lessons=24)
    found, wanted = rephrased_candidates(SHEET, [target], GenerateSettings(mix={"rephrase": 1}), 1, 0)
    seeds = {one.id: one for one in SEEDS}
    assert wanted == 24 and len(found) > 20
    assert len({one.prompt for one in found} | {one.prompt for one in SEEDS}) == len(found) + len(SEEDS)
    assert all(one.answer == seeds[one.parent_id].answer and one.shown_ids == (one.parent_id,) for one in found)
    assert found == rephrased_candidates(SHEET, [target], GenerateSettings(mix={"rephrase": 1}), 1, 0)[0]
    later, _ = rephrased_candidates(SHEET, [target], GenerateSettings(mix={"rephrase": 1}), 2, 0)
    assert {one.id for one in later} != {one.id for one in found}


def test_chat_questions_are_not_rephrased() -> None:
    talk = SEEDS[0].model_copy(update={"turns": ({"role": "user", "content": "hello"},)})
    target = Weakness(id="1", name="w", failures=(Failure(seed=talk, wrong_answer="city"),), lessons=4)
    assert rephrased_candidates(SHEET, [target], GenerateSettings(mix={"rephrase": 1}), 1, 0) == ([], 4)


@given(st.text(max_size=80), st.integers(0, 50))
def test_noise_on_any_text_leaves_numbers_alone_and_is_the_same_again(text: str, number: int) -> None:
    noisy = rephrased(text, (), str(number))
    assert noisy == rephrased(text, (), str(number))
    assert re.findall(r"\d+", noisy) == re.findall(r"\d+", text)


@pytest.mark.parametrize("number", range(40))
def test_noise_keeps_the_answer_s_words(number: int) -> None:
    text = "What is the price of Marmalade in Edinburgh, when it does not rain?"
    noisy = rephrased(text, frozenset({"marmalade", "edinburgh"}), str(number))
    assert "Marmalade" in noisy and "Edinburgh" in noisy


@pytest.mark.parametrize("number", range(40))
def test_what_is_said_in_english_is_said_to_english_only(number: int) -> None:
    german = "Wie komme ich am schnellsten zum Bahnhof, wenn es regnet?"
    assert not is_english(german) and is_english("How do I get to the station?")
    noisy = rephrased(german, (), str(number))
    assert not re.search(r"please|hello|thank|sorry|well,|so,|ok,|hm,|um,", noisy, re.IGNORECASE)
    assert abs(len(noisy) - len(german)) <= 5


@pytest.mark.parametrize(
    "text", ["def f(x): return x == 2", "see https://example.org/Path", "{'Key': 5}", "a_Name = Other_Name"]
)
def test_code_and_addresses_keep_every_mark(text: str) -> None:
    assert all(text in rephrased(text, (), str(number)) for number in range(40))


def test_english_is_contracted_and_drawn_out() -> None:
    made = {rephrased("I do not know what is in the box", (), str(number)) for number in range(60)}
    assert any("don't" in one for one in made)
    back = {rephrased("I don't know where the box is", (), str(number)) for number in range(60)}
    assert any("do not" in one for one in back)
