"""Near-copies are found however they are disguised, and the shortlist loses none that an exact search would find."""

from __future__ import annotations

import json
import random

import pytest
from dry_run import ERRANDS
from hypothesis import given
from hypothesis import strategies as st

from student.similar import TextIndex, fold, grams, overlap

TEXTS = [json.loads(line)["text"] for line in (ERRANDS.parent / "items.jsonl").read_text().splitlines()]


def index(texts: list[str]) -> TextIndex:
    made = TextIndex()
    for text in texts:
        made.add(text, text)
    return made


# --- folding


@pytest.mark.parametrize(
    "copy",
    ["Meet me at the café at 10:30!", "meet me at the cafe at 9:45", "MEET  ME, AT THE CAFE — AT 7:00",
     "meet me at the café at 10.30", "Meet me at the ca\u00adfé at 1,000.50"],
)  # fmt: skip
def test_case_accents_punctuation_and_digits_hide_nothing(copy: str) -> None:
    assert index(["Meet me at the café at 10:30"]).nearest(copy)[1] == 1.0


def test_folding_any_character_twice_changes_nothing_more() -> None:
    """Every letter there is: some are capitals again once their accent is gone, some become digits."""
    marks = [chr(code) for code in (*range(0x3400), *range(0xA000, 0xD800), *range(0xE000, 0x20000))]
    for start in range(0, len(marks), 4096):
        once = fold(" ".join(f"a{mark}a" for mark in marks[start : start + 4096]))
        assert fold(once) == once


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(fold(text, "keep"), "keep") == fold(text, "keep")


@pytest.mark.parametrize(
    ("text", "folded", "kept"),
    [
        ("What is 12 + 7?", "what is 0", "what is 12 + 7"),
        ("What is 12+7", "what is 0", "what is 12 + 7"),
        ("7 − 5 × 2 ÷ 3 = 1,000.5", "0", "7 - 5 * 2 / 3 = 1000 5"),
        ("a well-known **trick** - x=3", "a well known trick x 0", "a well known trick x = 3"),
        ("٣ كتب", "0 كتب", "3 كتب"),
    ],
)
def test_numbers_are_folded_or_kept_with_their_signs(text: str, folded: str, kept: str) -> None:
    assert (fold(text), fold(text, numbers="keep")) == (folded, kept)


@pytest.mark.parametrize(("left", "right"), [("हिन्दी", "हनद"), ("かき", "がぎ"), ("🙂", "🙃"), ("->", "<-")])
def test_texts_that_differ_in_more_than_case_and_accents_stay_different(left: str, right: str) -> None:
    assert fold(left) != fold(right)
    assert fold(left) and fold(right)


@given(st.text(), st.text())
def test_overlap_is_symmetric_and_a_share(left: str, right: str) -> None:
    assert overlap(grams(left), grams(right)) == overlap(grams(right), grams(left))
    assert 0 <= overlap(grams(left), grams(right)) <= 1
    assert overlap(grams(left), grams(left)) == 1


# --- the index


def test_an_edited_copy_is_near_and_a_stranger_is_not() -> None:
    known = index(TEXTS)
    name, similarity = known.nearest(TEXTS[0] + " please")
    assert name == TEXTS[0] and 0.6 <= similarity < 1
    assert known.nearest("zebra quantum fjord")[1] < 0.3


def test_an_empty_index_knows_nothing() -> None:
    assert TextIndex().nearest("anything") == ("", 0.0)
    assert TextIndex().nearest_many([]) == []
    assert TextIndex().alike("anything", 0.0) == []


def test_a_name_is_kept_as_it_was_first_given() -> None:
    known = TextIndex()
    known.add("a", "the first text")
    known.add("a", "quite another text")
    assert len(known) == 1
    assert known.nearest("the first text") == ("a", 1.0)
    assert known.nearest("quite another text")[1] < 0.6


def test_every_name_of_one_text_is_told() -> None:
    known = TextIndex()
    known.add_many([("b", "The same text"), ("a", "the same TEXT!"), ("c", "another one")])
    assert len(known) == 3
    assert known.nearest("the same text") == ("b", 1.0)
    assert known.alike("the same text", 0.9) == ["a", "b"]


def test_drills_are_copies_of_one_another_only_where_numbers_are_folded() -> None:
    folded, kept = TextIndex(), TextIndex(numbers="keep")
    for known in (folded, kept):
        known.add("a", "What is 112 + 7?")
    assert folded.nearest("What is 31 - 954?") == ("a", 1.0)
    assert kept.nearest("What is 31 - 954?")[1] < 0.6
    assert kept.nearest("what is 112+7") == ("a", 1.0)


def test_the_shortlist_loses_no_copy() -> None:
    """Every pair an exact search calls alike at 0.6, the least in use, is found: 640 light edits of 64 texts."""
    known, draw = index(TEXTS), random.Random(0)
    lost: list[tuple[str, str, float]] = []
    for text in TEXTS:
        for _ in range(10):
            edited = edit(text, draw)
            similarity = overlap(grams(text), grams(edited))
            if similarity >= 0.6 and text not in known.alike(edited, 0.6):
                lost.append((text, edited, similarity))
    assert lost == []


def edit(text: str, draw: random.Random) -> str:
    """One word dropped, doubled, or with its letters turned round."""
    parts = text.split()
    at = draw.randrange(len(parts))
    parts[at] = draw.choice(["", f"{parts[at]} {parts[at]}", parts[at][::-1]])
    return " ".join(parts)


def test_the_nearest_is_the_one_an_exact_search_finds() -> None:
    """Also when many are known and some of them are half alike: 2,500 texts, sorted in as they come."""
    draw = random.Random(1)
    words = sorted({word for text in TEXTS for word in text.lower().split()})
    texts = list(dict.fromkeys(" ".join(draw.sample(words, 6)) for _ in range(2500)))
    known = TextIndex()
    known.add_many((text, text) for text in texts[:1500])
    for text in texts[1500:]:
        known.add(text, text)
    asked = [edit(text, draw) for text in draw.sample(texts, 25)]
    sets = {text: grams(text) for text in texts}
    for text, (name, similarity) in zip(asked, known.nearest_many(asked), strict=True):
        best = max(overlap(grams(text), other) for other in sets.values())
        if best >= 0.6:
            assert similarity == pytest.approx(best)
            assert overlap(grams(text), sets[name]) == pytest.approx(best)


def test_one_by_one_and_all_at_once_find_the_same() -> None:
    draw = random.Random(2)
    singly, at_once = TextIndex(), TextIndex()
    texts = [edit(text, draw) for text in TEXTS for _ in range(20)]
    for at, text in enumerate(texts):
        singly.add(str(at), text)
    at_once.add_many((str(at), text) for at, text in enumerate(texts))
    asked = [edit(text, draw) for text in TEXTS] + ["", "zebra", TEXTS[0]]
    assert at_once.nearest_many(asked) == [at_once.nearest(text) for text in asked]
    assert [singly.nearest(text) for text in asked] == at_once.nearest_many(asked)
    assert [singly.alike(text, 0.5) for text in asked] == [at_once.alike(text, 0.5) for text in asked]


def test_a_copy_is_found_among_thousands_in_the_same_long_frame() -> None:
    draw = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    frame = "Read what the customer wrote, then say which team has to act on it. The customer wrote: {}. The team is:"
    framed = [frame.format(" ".join("".join(draw.choices(letters, k=6)) for _ in range(5))) for _ in range(3000)]
    known = TextIndex()
    known.add_many((str(at), text) for at, text in enumerate(framed))
    for at in range(0, 3000, 100):
        words = framed[at].split(" ")
        words[17] = "brocade"
        assert known.nearest(" ".join(words))[0] == str(at)


@given(st.lists(st.text(max_size=40), max_size=12))
def test_every_text_finds_itself(texts: list[str]) -> None:
    known = index(texts)
    for text in texts:
        assert known.nearest(text)[1] == 1.0
