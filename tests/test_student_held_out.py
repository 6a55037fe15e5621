"""Held-out items stay held out: the guard finds copies, and no record on the way to a prompt takes such an item."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from dry_run import ERRANDS
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from student.evals.load import load_evals
from student.held_out import Guard, HeldOut
from student.records import Candidate, Failure, HeldOutItem, Seed, Turn, Weakness
from teacher.generate import GenerateSettings, plan_orders
from teacher.sheet import TaskSheet

ITEM = HeldOutItem(id="h1", prompt="The projector in room B12 shows a green picture", answer="hardware")
SEED = Seed(id="s1", prompt="My mouse is broken", answer="hardware")


def held_out() -> HeldOut:
    other = HeldOutItem(id="h2", prompt="Please reset the password of our trainee", answer="password")
    return HeldOut([ITEM], [other])


def guard_of(*texts: str, seeds: Sequence[str] = (), share: float | None = None) -> Guard:
    items = [HeldOutItem(id=f"h{at}", prompt=text, answer="x") for at, text in enumerate(texts)]
    return HeldOut(items, []).guard(
        [Seed(id=f"s{at}", prompt=text, answer="x") for at, text in enumerate(seeds)], share
    )


# --- copies


@pytest.mark.parametrize(
    "copy",
    [
        "The projector in room B12 shows a green picture",
        "the projector in room B12 shows a GREEN picture!!",
        "The projector in room B07 shows a green picture",
        "The projector in our room B12 shows a green picture",
        "The projektor in room B12 shows a green picture",
        "The projector in room B12 shows a green light",
        "The projector room in B12 shows a green picture",
        "Please, the projector in room B12 shows a green picture",
        "please reset the password of our new trainee",
        "T\u200bhe proj\u00adector in room B12 shows a gr\u00e9en picture",
    ],
)
def test_the_guard_stops_exact_and_lightly_edited_copies(copy: str) -> None:
    assert held_out().guard()(copy)


@pytest.mark.parametrize(
    "text",
    [
        "Hello! The projector in room B12 shows a green picture. Could somebody have a look before Monday, please?",
        "Sort this ticket: the projector in room b07 shows a green picture!!",
        "Since this morning a green picture shows the projector in room B12. Who can help?",
        "Would you be so kind and reset the password of our trainee, who starts today?",
    ],
)
def test_a_copy_inside_something_longer_is_stopped(text: str) -> None:
    assert held_out().guard()(text)


STORY = (
    "Mira picks 14 baskets of plums on Friday and twice as many on Saturday. On Sunday a goat eats a third of them, so her uncle "
    "brings 9 more from the orchard behind the mill. How many baskets can she sell at the market on Monday?"
)


def test_a_long_item_quoted_in_part_is_stopped() -> None:
    guard = guard_of(STORY, "What is the boiling point of water?")
    assert guard("On Sunday a goat eats a third of them, so her uncle brings 20 more. What did the goat weigh?")
    assert guard("A goat eats a third of all plums. How many baskets can he sell?") is None


def test_wording_that_the_task_itself_repeats_is_no_quotation() -> None:
    frame = "Read the letter of the customer and name the team that has to answer it: {}"
    seeds = [
        frame.format(said) for said in ("where is my parcel", "my invoice is wrong", "the shop door does not open")
    ]
    guard = guard_of(frame.format("a wheel of my new cart came off"), seeds=seeds)
    assert guard(frame.format("how do I return this lamp")) is None
    assert guard(frame.format("a wheel of our new cart came off"))


def test_the_words_in_another_order_are_stopped() -> None:
    draw = random.Random(0)
    for _ in range(20):
        assert held_out().guard()(" ".join(draw.sample(ITEM.prompt.split(), 9)))


COMMON = ["what is it", "who was he", "is it good", "what is the name of the river", "where is the station",
          "who is the man in the picture", "it is what it is", "how good is the wine",
          *(f"where was the {thing} made" for thing in ("ship", "violin", "clock", "carpet", "lamp", "globe")),
          *(f"who painted this {thing}" for thing in ("wall", "door", "fence", "boat", "gate", "chair"))]  # fmt: skip


def test_a_short_item_of_common_words_stops_only_itself() -> None:
    guard = guard_of("What is it?", "who was Hypatia", seeds=COMMON)
    assert guard("what is it") and guard("What is it?!")
    for text in ("I do not know what is it good for", "what is it that makes bread rise", "what is that", "is it"):
        assert guard(text) is None


def test_a_short_item_that_says_something_is_found_inside_other_texts() -> None:
    guard = guard_of("Who was Hypatia ?", seeds=COMMON)
    assert guard("Tell me, who was Hypatia, and when did he live?")
    assert guard("who was Hypattia")
    assert guard("who is Hypatia")
    for text in ("Who was Kepler ?", "Hypatia looked at the moon", "What was the name of Hypatia's ship?"):
        assert guard(text) is None


def test_another_word_in_a_blank_that_a_seed_fills_in_is_another_question() -> None:
    held = ("What is a fear of food ?", "What is the capital of Yugoslavia ?")
    guard = guard_of(*held, seeds=[*COMMON, "what is a fear of bees", "what is a dread of food"])
    assert guard("What is a fear of thunder ?") is None
    for copy in (held[0], "what is a fear of foods", "what is a fear of fodo", "What is this fear of food ?", "what is fear of food",
                 "what is a food of fear", "Tell me, what is a fear of food ?"):  # fmt: skip
        assert guard(copy), copy
    assert guard("What is the capital of Congo ?"), "no seed asks for a capital: it may be an edit"


def test_what_two_held_out_items_have_in_common_is_no_blank() -> None:
    guard = guard_of("what is a fear of food", "what is a fear of bees", seeds=COMMON)
    assert guard("what is a fear of thunder")


def test_few_seeds_choose_a_more_cautious_share() -> None:
    """That none of 200 seeds is like an item says more than that none of 60 is. Eight of its twelve words: 67 %."""
    draw = random.Random(0)
    words = [first + last for first in ("lin", "mar", "tor", "vel") for last in ("den", "fax", "gill")]
    seeds = [" ".join(draw.sample(words, 9)) for _ in range(200)]
    item = "which planet in this system has ten moons beyond its outer ring"
    reworded = "this planet has moons beyond four broad belts in its inner system"
    assert guard_of(item, seeds=seeds)(reworded)
    assert guard_of(item, seeds=seeds[:60])(reworded) is None


def test_a_slip_is_read_as_the_word_it_is_nearest_to() -> None:
    guard = guard_of("what is a granite floor", "what is a granier floor", seeds=COMMON)
    assert guard("what is a grantie floor") and guard("what is a graniet floor") and guard("what is a graneir floor")


def test_an_item_of_one_or_two_words_stops_only_itself() -> None:
    guard = guard_of("ridiculous", "no more")
    assert guard("Ridiculous!") and guard("no  more.")
    assert guard("a ridiculous film that leaves no more to say") is None


def test_one_word_in_six_may_differ_and_not_two() -> None:
    guard = guard_of("which baker in the village sells rye bread on sunday mornings", seeds=COMMON)
    assert guard("which butcher in the village sells rye bread on sunday mornings")
    assert guard("which butcher in our village sells cakes on friday evenings") is None


def test_texts_without_spaces_are_guarded() -> None:
    guard = guard_of("请问从火车站到大学怎么走最快", "昨天晚上的音乐会几点结束")
    assert guard("请问从火车站到大学怎么走最近")
    assert guard("你好！请问从火车站到大学怎么走最快？谢谢")
    assert guard("图书馆星期天开门吗") is None


def test_items_of_nothing_but_marks_are_guarded() -> None:
    guard = guard_of("🙂 🙂", "-> <-")
    assert guard("🙂 🙂") and guard("-> <-")
    assert guard("🙃") is None and guard("") is None


# --- numbers


def test_where_only_numbers_tell_items_apart_other_numbers_are_another_item() -> None:
    guard = guard_of("What is 12 + 7?", "What is 30 + 4?", seeds=["What is 5 + 5?"])
    assert guard("what is 12+7") and guard("WHAT IS 30 + 4")
    for text in ("What is 7 + 12?", "What is 12 - 7?", "What is 12 + 8?", "What is 5 + 5?"):
        assert guard(text) is None


def test_one_seed_is_enough_to_see_a_drill() -> None:
    text = "A train goes {} km in {} hours. How fast is it on average, in km an hour?"
    held = text.format(120, 2)
    assert guard_of(held)(text.format(90, 3))
    assert guard_of(held, seeds=[text.format(350, 5)])(text.format(90, 3)) is None
    assert guard_of(held, seeds=[text.format(350, 5)])(f"Listen, please. {held.upper()} That is all.")


# --- everything an item holds


def test_choices_of_an_items_own_are_part_of_it() -> None:
    asked = "Which of these is right?"
    items = [
        HeldOutItem(
            id="1", prompt=asked, answer="whales breathe air", choices=("whales breathe air", "stones can swim")
        ),
        HeldOutItem(id="2", prompt=asked, answer="glass is brittle", choices=("honey is a metal", "glass is brittle")),
    ]
    guard = HeldOut(items, []).guard()
    assert guard(asked) is None
    assert guard(f"{asked} stones can swim whales breathe air")
    assert guard(f"{asked} salt is sweet rivers run uphill") is None


def test_labels_that_all_items_share_are_not() -> None:
    items = [
        HeldOutItem(
            id=str(at),
            prompt=text,
            answer="printer or scanner",
            choices=("printer or scanner", "network and telephone"),
        )
        for at, text in enumerate(["the toner is empty again", "no web page opens today"])
    ]
    guard = HeldOut(items, []).guard([Seed(id="s", prompt="my mouse", answer="x", choices=items[0].choices)])
    assert guard("printer or scanner network and telephone") is None
    assert guard("The toner is empty, again!")


def test_a_long_answer_is_guarded_unless_it_is_everybodys() -> None:
    told = "Bread rises because yeast turns sugar into gas, and the dough holds the gas in small bubbles."
    usual = "I am sorry, but I cannot say anything about that without knowing a good deal more about it."
    items = [HeldOutItem(id="1", prompt="Why does bread rise?", answer=told),
             HeldOutItem(id="2", prompt="When will it rain?", answer=usual)]  # fmt: skip
    guard = HeldOut(items, []).guard([Seed(id="s", prompt="Who will win?", answer=usual)])
    assert guard(told.replace("yeast", "the yeast"))
    assert guard(usual) is None


def test_each_long_message_of_a_chat_is_guarded() -> None:
    said = [
        "Can you help me with my garden?",
        "Of course. What is growing there?",
        "How deep do I plant tulip bulbs in sandy soil?",
    ]
    turns = tuple(Turn(role="assistant" if at == 1 else "user", content=text) for at, text in enumerate(said))
    item = HeldOutItem(
        id="1", prompt="\n".join(f"{turn.role}: {turn.content}" for turn in turns), answer="x", turns=turns
    )
    guard = HeldOut([item], []).guard()
    assert guard("how deep do I plant tulip bulbs in heavy soil")
    assert guard("Of course. What is growing there?") is None


# --- what the guard tells, and what it lets pass


def test_the_guard_lets_other_texts_pass() -> None:
    guard = held_out().guard()
    assert guard("The projector lamp needs replacing") is None
    assert guard("zebra") is None


def test_nothing_held_out_lets_everything_pass() -> None:
    assert HeldOut([], []).guard()("anything at all") is None


@pytest.mark.parametrize(
    "copy",
    [
        "The projector in our room B12 shows a green picture",
        ITEM.prompt,
        f"Dear all, {ITEM.prompt}. Please have it mended",
    ],
)
def test_the_guard_quotes_nothing(copy: str) -> None:
    why = held_out().guard()(copy) or ""
    assert "held-out" in why
    assert not {"projector", "green", "picture", "h1"} & set(why.split())


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_copy_of_itself_and_judging_never_fails(text: str, other: str) -> None:
    guard = guard_of(text)
    assert (guard(text) is not None) == bool(text.split())
    guard(other)


def test_a_lower_share_catches_freer_rewordings() -> None:
    item = "Which planet of our solar system has the largest number of known moons today?"
    free = "Today, of all planets in our solar system, say which has the largest count of moons"
    assert guard_of(item, seeds=COMMON)(free) is None
    assert guard_of(item, seeds=COMMON, share=0.5)(free)


def test_light_edits_of_hundreds_of_items_are_caught_and_others_pass() -> None:
    """Invented requests in the manner of real ones: each disguise of each is caught, and 2 % of strangers at most are not let pass."""
    made = requests(900)
    seeds, honest, held = made[:200], made[200:600], made[600:]
    guard, draw = guard_of(*held, seeds=seeds), random.Random(0)
    for text in held:
        words = text.split()
        at = draw.randrange(len(words))
        changed = " ".join([*words[:at], "quince", *words[at + 1 :]])
        swapped = " ".join([*words[:at], *reversed(words[at : at + 2]), *words[at + 2 :]])
        inside = f"{honest[at]}. {text} Then {honest[-at]}"
        for copy in (text.upper(), f"{text}...", changed, swapped, inside):
            assert guard(copy), copy
    assert sum(guard(text) is not None for text in honest) <= len(honest) // 50


def requests(count: int) -> list[str]:
    """Different requests of 8 to 12 words, put together from parts."""
    who = [
        "my neighbour",
        "the new trainee",
        "our caretaker",
        "a visitor",
        "the choir",
        "somebody in accounts",
        "her sister",
    ]
    does = [
        "would like to borrow",
        "cannot find",
        "has broken",
        "wants to sell",
        "is looking for",
        "asked me about",
        "returned",
    ]
    what = [
        "ladder",
        "kettle",
        "bicycle pump",
        "violin",
        "tent",
        "lantern",
        "wheelbarrow",
        "typewriter",
        "chess board",
        "sledge",
    ]
    kind = ["green", "oldest", "heavy", "folding", "borrowed", "tiny", "rusty", "wooden", "spare"]
    when = [
        "before the summer party",
        "on a rainy morning",
        "during lunch in the yard",
        "after the last train",
        "for tomorrow night",
    ]
    every = list(itertools.product(who, does, kind, what, when))
    chosen = random.Random(5).sample(every, 4 * count)
    made = list[str]()
    seen = list[set[str]]()
    for parts in chosen:
        if all(len(set(parts) & other) < 3 for other in seen[-300:]):
            seen.append(set(parts))
            made.append(f"{parts[0]} {parts[1]} the {parts[2]} {parts[3]} {parts[4]}")
    return made[:count]


def test_the_guard_covers_every_held_out_item_of_a_real_set() -> None:
    evals = load_evals(ERRANDS)
    guard = evals.held_out.guard()
    mine = {seed.prompt for seed in evals.seeds}
    rows = [json.loads(line) for line in (ERRANDS.parent / "items.jsonl").read_text().splitlines()]
    for row in rows:
        assert bool(guard(row["text"])) == (row["text"] not in mine)


def test_test_is_handed_out_only_after_the_opening_is_recorded(tmp_path: Path) -> None:
    record = tmp_path / "opened"
    assert [item.id for item in held_out().open_test(record.touch)] == ["h2"]
    assert record.exists()

    def fails() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        held_out().open_test(fails)


def test_sizes_are_told_and_items_are_not() -> None:
    assert held_out().sizes() == {"select": 1, "test": 1}
    assert ITEM.prompt not in repr(held_out())


def test_no_record_on_the_way_to_a_prompt_takes_a_held_out_item() -> None:
    with pytest.raises(ValidationError):
        Failure(seed=ITEM, wrong_answer="printer")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Weakness(id="1", name="w", failures=(ITEM,), lessons=1)  # type: ignore[arg-type]
    assert not isinstance(ITEM, Seed)
    assert not issubclass(HeldOutItem, Seed) and not issubclass(Candidate, HeldOutItem)


def test_a_prompt_is_made_of_failures_alone() -> None:
    weakness = Weakness(id="1", name="w", failures=(Failure(seed=SEED, wrong_answer="printer"),), lessons=2)
    (order,) = plan_orders(TaskSheet(task="Sort.", noun="ticket"), [weakness], GenerateSettings(), 1, 0)
    assert SEED.prompt in order.request.model_dump_json()
    with pytest.raises(ValidationError):
        Weakness.model_validate({**weakness.model_dump(), "failures": [ITEM]})
