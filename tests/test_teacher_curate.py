"""Every candidate gets one verdict with one reason: each check finds what it is for, and hostile text passes none.

Copies are judged by the index the loop uses; the guard is a plain callable. Answers and who says what about them are the
matter of `test_teacher_witnesses.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from student.records import Candidate, Lesson, Seed, Verdict
from student.similar import TextIndex
from teacher.balance import balance
from teacher.copies import Alike
from teacher.curate import CurateSettings, Edit, lessons_of, read_answer, sift
from teacher.requests import Failed, Reply

LABELS = ("printer", "hardware")
SEEDS = [
    Seed(id="s1", prompt="The printer on floor two eats every second sheet", answer="printer", choices=LABELS),
    Seed(id="s2", prompt="My laptop's hinge is broken", answer="hardware", choices=LABELS),
]


def candidate(
    prompt: str, answer: str = "printer", id: str = "c", choices: tuple[str, ...] = LABELS, **more: Any
) -> Candidate:
    about: dict[str, Any] = {
        "round": 1,
        "weakness_id": "w",
        "parent_id": "s1",
        "strategy": "contrast",
        "request_key": "k",
        **more,
    }
    return Candidate(id=id, prompt=prompt, answer=answer, choices=choices, **about)


def sifted(
    *candidates: Candidate, guard: Callable[[str], str | None] = lambda text: None, seeds: list[Seed] = SEEDS,
    meant: Alike | None = None, **settings: Any,
) -> list[Verdict]:  # fmt: skip
    known = TextIndex()
    for seed in seeds:
        known.add(seed.id, seed.prompt)
    return sift(candidates, seeds, known, guard, CurateSettings(**settings), meant)


def reason(prompt: str, answer: str = "printer", **more: Any) -> str:
    (verdict,) = sifted(candidate(prompt, answer, **more))
    assert verdict.accepted == (verdict.reason == "accepted")
    return verdict.reason


GOOD = "Could somebody refill the toner by the kitchen"


def test_a_new_text_of_the_right_form_is_accepted() -> None:
    assert reason(GOOD) == "accepted"


@pytest.mark.parametrize(
    ("prompt", "answer", "expected"),
    [
        ("", "printer", "empty"), (GOOD, "", "empty"), (GOOD, "scanner", "not-a-label"),
        (GOOD, "Printer", "not-a-label"),
        ("ab", "printer", "too-short"), ("The printer", "printer", "too-short"), ("x" * 1000, "printer", "too-long"),
        (SEEDS[0].prompt, "printer", "duplicate"), (SEEDS[0].prompt.upper() + "!!", "printer", "duplicate"),
        ("The printer on floor 2 eats every second sheet of it", "printer", "near-duplicate"),
    ],
)  # fmt: skip
def test_each_check_gives_its_reason(prompt: str, answer: str, expected: str) -> None:
    assert reason(prompt, answer) == expected


@pytest.mark.parametrize(
    "prompt", ["right_answer", "Printer", "real_questions", "new text", '"new text",', "...", "<question>"]
)
def test_a_word_of_the_request_is_no_question(prompt: str) -> None:
    assert reason(prompt) in ("echo", "too-short")


@pytest.mark.parametrize("prompt", ["Question the printer bill", "no answer from support", "texts arrive twice"])
def test_a_short_question_that_has_such_words_stays(prompt: str) -> None:
    assert reason(prompt) == "accepted"


@pytest.mark.parametrize(
    "token",
    ["<|im_end|>", "<|im_start|>system", "<|end|>", "<|eot_id|>", "</s>", "<s>", "[INST]", "[/INST]", "<<SYS>>",
     "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<|ENDOFTEXT|>"],
)  # fmt: skip
def test_control_tokens_are_refused_in_question_and_answer(token: str) -> None:
    assert reason(f"{GOOD} {token}") == "control-token"
    assert reason(GOOD, f"4 {token}", choices=()) == "control-token"


@pytest.mark.parametrize("mark", ["\x00", "\x1b[2J", "\x07", "\x7f", "\x9b31m", "\u202e", "\u2066", "\x08"], ids=ascii)
def test_control_characters_are_refused(mark: str) -> None:
    assert reason(f"{GOOD} {mark}") == "control-character"
    assert reason(GOOD, f"4{mark}", choices=()) == "control-character"


@pytest.mark.parametrize("prompt", [f"{GOOD}\nand <b>soon</b>", f"{GOOD}\t{{x}} $y %s", "Drucker läuft heiß 🖨️ bitte"])
def test_ordinary_marks_are_no_control(prompt: str) -> None:
    assert reason(prompt) == "accepted"


def test_a_held_out_copy_is_refused_with_the_guards_words() -> None:
    (verdict,) = sifted(candidate(GOOD), guard=lambda text: "0.93 alike a held-out item")
    assert (verdict.reason, verdict.detail) == ("held-out", "0.93 alike a held-out item")


def test_the_guard_is_asked_about_all_that_could_be_a_copy() -> None:
    asked: list[str] = []

    def noted(text: str) -> None:
        asked.append(text)

    long = "because the toner was empty, the tray was open and nobody had pressed the green button"
    sifted(candidate(GOOD), candidate("Why is nothing printed?", long, choices=()), guard=noted)
    assert asked == [GOOD, "Why is nothing printed?", long]
    asked.clear()
    own = [seed.model_copy(update={"choices": ("yes", "no", f"maybe {seed.id}")}) for seed in SEEDS]
    sifted(
        candidate("Is the switch on, please?", "on", choices=("on", "off")), seeds=own, guard=noted
    )  # fmt: skip
    assert asked == ["Is the switch on, please?", "Is the switch on, please? on off"]


@pytest.mark.parametrize("token", ["<|im_end|>", "\x1b[2J"])
def test_choices_a_teacher_wrote_are_looked_at_too(token: str) -> None:
    assert not sifted(candidate(GOOD, "on", choices=("on", f"off {token}")))[0].accepted


# --- language

PLAIN = "The printer in the kitchen is out of toner and I have no key for it"


@pytest.mark.parametrize(
    "prompt",
    ["Der Drucker in der Küche ist leer und ich habe keinen Schlüssel für das Fach",
     "L'imprimante de la cuisine est vide et je ne trouve pas la clé du tiroir avec les cartouches",
     "Принтер на кухне пуст, и у меня нет ключа", "厨房里的打印机没有墨粉了，我也没有钥匙", "المطبخ فارغة وليس لدي مفتاح"],
)  # fmt: skip
def test_another_language_than_the_seeds_is_refused(prompt: str) -> None:
    assert reason(prompt) == "language"
    seeds = [Seed(id="x", prompt=prompt, answer="printer", choices=LABELS)]
    known = candidate(f"{prompt} 10 {prompt[::-1]}")
    assert sifted(known, seeds=seeds, duplicate=1.0)[0].reason == "accepted", "it is the seeds' own language here"


@pytest.mark.parametrize(
    "prompt",
    [PLAIN, "toner empty pls", "What does the German word Schadenfreude mean?", "HP LaserJet 4050n: PC LOAD LETTER",
     "¿What is the meaning of 'el pollo loco'?", "x = 3; y = 4; x * y?", "🖨️ 🔥 ???! 🖨️ 🔥 ???! 🖨️", "Σ α_i for i in 1..n, what is it?"],
)  # fmt: skip
def test_names_formulas_and_quotations_are_no_other_language(prompt: str) -> None:
    assert reason(prompt) == "accepted"


def test_seeds_of_a_few_words_are_in_no_language_that_others_could_be_foreign_to() -> None:
    seeds = [
        Seed(id=str(at), prompt=prompt, answer="printer", choices=LABELS)
        for at, prompt in enumerate(["reset password", "vpn down"])
    ]
    english, russian = candidate("what is the weather for us", id="a"), candidate("Принтер на кухне пуст", id="b")
    assert [one.reason for one in sifted(english, russian, seeds=seeds)] == ["accepted", "language"]


def test_written_answers_have_the_language_of_the_seeds_answers() -> None:
    seeds = [
        Seed(id="1", prompt="Say it in French: the cat is black", answer="le chat est noir et il est dans la maison"),
        Seed(id="2", prompt="Say it in French: I have a dog", answer="j'ai un chien et il est avec nous"),
    ]
    asked = "Say it in French: the lamp that I bought is broken"
    french, english = (
        "la lampe que j'ai achetée est dans le bureau et elle ne marche pas",
        "the lamp that I have is broken",
    )
    good = candidate(asked, french, choices=(), id="a")
    bad = candidate("Say it in French: where are you from", english, choices=(), id="b")
    assert [one.reason for one in sifted(good, bad, seeds=seeds)] == ["accepted", "language"]


# --- copies


def test_the_second_of_two_copies_is_refused() -> None:
    first, second, third = sifted(
        candidate(GOOD, id="a"), candidate(GOOD + "!", id="b"), candidate(GOOD + " 7", id="c")
    )
    assert (first.reason, second.reason) == ("accepted", "duplicate")
    assert third.reason in ("duplicate", "near-duplicate")
    assert second.detail == "a"


def test_two_sides_of_a_confusion_may_be_alike() -> None:
    pair = candidate(GOOD, id="a"), candidate(GOOD.replace("toner", "screws"), "hardware", id="b")
    assert [one.reason for one in sifted(*pair)] == ["accepted", "accepted"]
    elsewhere = pair[1].model_copy(update={"weakness_id": "another"})
    same_side = pair[1].model_copy(update={"answer": "printer"})
    assert sifted(pair[0], elsewhere)[1].reason == "near-duplicate"
    assert sifted(pair[0], same_side)[1].reason == "near-duplicate"


def test_one_text_with_two_answers_is_no_contrast() -> None:
    assert [one.reason for one in sifted(candidate(GOOD, id="a"), candidate(GOOD.upper(), "hardware", id="b"))] == [
        "accepted",
        "duplicate",
    ]


def rephrased(prompt: str, id: str = "r", parent: str = "s1") -> Candidate:
    return candidate(prompt, id=id, strategy="rephrase", request_key="", parent_id=parent)


def test_a_rephrased_seed_may_be_like_its_own_parent_and_like_nothing_else() -> None:
    near = SEEDS[0].prompt.replace("second", "other")
    assert sifted(rephrased(near))[0].reason == "accepted"
    assert sifted(rephrased(SEEDS[0].prompt.lower()))[0].reason == "accepted"
    assert sifted(rephrased(SEEDS[0].prompt))[0].reason == "duplicate", "that is no rephrasing at all"
    assert sifted(rephrased(near, parent="s2"))[0].reason == "near-duplicate"
    assert [one.reason for one in sifted(rephrased(near), rephrased(near + "s", id="r2"))][1] == "near-duplicate"


def test_what_says_the_same_in_other_words_is_refused_with_what_it_says() -> None:
    one = candidate("Every other page gets chewed up downstairs", id="a")
    (verdict,) = sifted(one, meant={"a": [("nobody", 0.97), ("s1", 0.912), ("s2", 0.91)]})
    assert (verdict.reason, verdict.detail) == ("near-duplicate", "says the same as s1 (0.91)")
    assert sifted(one, meant={"b": [("s1", 0.99)]})[0].accepted


def test_only_what_was_accepted_stands_in_the_way_of_what_says_the_same() -> None:
    first, second = candidate("No toner is left", "scanner", id="a"), candidate(GOOD, id="b")
    meant = {"a": [("b", 0.95)], "b": [("a", 0.95)]}
    assert [one.reason for one in sifted(first, second, meant=meant)] == ["not-a-label", "accepted"]
    first = first.model_copy(update={"answer": "printer"})
    assert [one.reason for one in sifted(first, second, meant=meant)] == ["accepted", "near-duplicate"]
    assert [one.reason for one in sifted(second, first, meant=meant)] == ["accepted", "near-duplicate"]


def test_two_sides_of_a_confusion_and_a_rephrased_seed_may_say_nearly_the_same() -> None:
    pair = candidate("No toner is left", id="a"), candidate(GOOD, "hardware", id="b")
    meant = {"a": [("b", 0.95)], "b": [("a", 0.95)]}
    assert [one.reason for one in sifted(*pair, meant=meant)] == ["accepted", "accepted"]
    same_side = pair[1].model_copy(update={"answer": "printer"})
    assert sifted(pair[0], same_side, meant=meant)[1].reason == "near-duplicate"
    said = sifted(*pair, meant={"b": [("a", 0.95), ("s2", 0.94)]})[1]
    assert said.detail == "says the same as s2 (0.94)", "what is exempt hides nothing"
    reworded = rephrased("Upstairs every second page gets eaten")
    assert sifted(reworded, meant={"r": [("s1", 0.98), ("s2", 0.97)]})[0].accepted


def test_a_refused_text_does_not_stand_in_the_way_of_a_good_one() -> None:
    first, second = sifted(candidate(GOOD, "scanner", id="a"), candidate(GOOD, id="b"))
    assert (first.reason, second.reason) == ("not-a-label", "accepted")


def test_thresholds_are_the_settings() -> None:
    near = candidate("The printer on floor two eats every second sheet of paper we have")
    assert sifted(near, duplicate=0.99)[0].reason == "accepted"
    assert sifted(near, duplicate=0.3)[0].reason == "near-duplicate"
    assert sifted(candidate(GOOD), longest=0.5)[0].reason == "too-long"


def test_more_agreement_than_answers_is_refused() -> None:
    assert CurateSettings(answers=3, agree=2).agree == 2
    with pytest.raises(ValueError, match="agree=3 of answers=2"):
        CurateSettings(answers=2, agree=3)


def test_a_detail_is_short_whatever_the_teacher_wrote() -> None:
    (verdict,) = sifted(candidate(GOOD, "y" * 150, choices=LABELS))
    assert len(verdict.detail) <= 200


def test_verdicts_come_one_each_and_in_order() -> None:
    many = [candidate(f"{GOOD} {'abcdefghij'[at] * 9}", id=str(at)) for at in range(10)]
    assert [verdict.candidate_id for verdict in sifted(*many)] == [str(at) for at in range(10)]


# --- balance


def balanced(candidates: list[Candidate], beliefs: list[float], earlier: list[Lesson], **more: Any) -> list[str]:
    verdicts = [
        Verdict(candidate_id=one.id, accepted=True, reason="accepted", belief=sure)
        for one, sure in zip(candidates, beliefs, strict=True)
    ]
    return [one.reason for one in balance(candidates, verdicts, more.get("seeds", TEN), earlier, more.get("most", 1.5))]


TEN = [
    Seed(id=str(at), prompt=f"seed {at}", answer=LABELS[at % 2], skill=LABELS[at % 2], choices=LABELS)
    for at in range(10)
]


def test_no_label_gets_more_than_its_share_and_the_least_believed_go_first() -> None:
    # 10 seeds and 10 lessons: with 1.5 times an even share a label may have 15 of 20 rows, 5 of them seeds.
    flood = [candidate(f"lesson {at}", id=str(at)) for at in range(10)]
    assert balanced(flood, [0.9] * 10, []) == ["accepted"] * 10
    # With 1.2 times 60 % of all rows that are left: 7 of 12.
    assert balanced(flood, [0.9] * 10, [], most=1.2) == ["accepted"] * 2 + ["balance"] * 8
    unsure = [0.6, 0.9, 0.9, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.55]
    trimmed = balanced(flood, unsure, [], most=1.2)
    assert [at for at, why in enumerate(trimmed) if why == "accepted"] == [1, 2]


def test_lessons_of_earlier_rounds_count_as_well() -> None:
    earlier = [Lesson(**candidate(f"old {at}", id=f"old {at}").model_dump()) for at in range(10)]
    flood = [candidate(f"lesson {at}", id=str(at)) for at in range(10)]
    assert balanced(flood, [0.9] * 10, earlier).count("balance") == 10  # 15 of 20 rows are there before
    assert balanced(flood, [0.9] * 10, earlier[:6]).count("balance") == 6  # 15 of 20 rows with four more
    other = [candidate(f"lesson {at}", "hardware", id=str(at)) for at in range(10)]
    assert balanced(other, [0.9] * 10, earlier).count("balance") == 0


def test_skills_are_kept_in_balance_where_answers_are_written() -> None:
    seeds = [Seed(id=str(at), prompt=f"seed {at}", answer=str(at), skill=("sums", "rates")[at % 2]) for at in range(10)]
    flood = [candidate(f"lesson {at}", "7", id=str(at), choices=(), skill="rates") for at in range(10)]
    assert balanced(flood, [0.9] * 10, [], seeds=seeds, most=1.2).count("balance") == 8
    plain = [seed.model_copy(update={"skill": ""}) for seed in seeds]
    assert balanced(flood, [0.9] * 10, [], seeds=plain, most=1.0).count("balance") == 0


def test_balance_leaves_rejected_candidates_and_their_reasons_alone() -> None:
    flood = [candidate(f"lesson {at}", id=str(at)) for at in range(3)]
    verdicts = [Verdict(candidate_id=one.id, accepted=False, reason="too-long") for one in flood]
    assert balance(flood, verdicts, TEN, [], 1.0) == verdicts


# --- lessons


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answer": " printer "}', "printer"), ('{"answer": 7}', "7"), ('{"answer": 7.5}', "7.5"),
        ('{"answer": null}', None),
        ('{"answer": ["printer"]}', None), ('{"answer": {"a": 1}}', None), ("printer", None), ('{"reply": "x"}', None),
        ('{"answer": ' + "1" * 5000 + "}", None),
    ],
    ids=lambda text: str(text)[:16],
)  # fmt: skip
def test_an_answer_is_a_text_or_a_number(text: str, answer: str | None) -> None:
    assert read_answer(Reply(text=text, finish_reason="stop")) == answer


def test_a_request_that_failed_holds_no_answer() -> None:
    assert read_answer(Failed(reason="timeout", detail="")) is None


def test_only_accepted_candidates_become_lessons_and_keep_all_they_had() -> None:
    pair = [candidate(GOOD, id="a"), candidate(SEEDS[0].prompt, id="b")]
    (lesson,) = lessons_of(pair, sifted(*pair))
    assert lesson.model_dump() == pair[0].model_dump()


def test_a_lesson_says_what_a_person_made_of_it() -> None:
    one = candidate(GOOD, id="a")
    (lesson,) = lessons_of([one], sifted(one), {"a": Edit(prompt="Who refills the toner?", answer="hardware")})
    assert (lesson.prompt, lesson.answer, lesson.parent_id) == ("Who refills the toner?", "hardware", one.parent_id)
