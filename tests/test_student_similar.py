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


@pytest.mark.parametrize(
    "copy",
    ["Meet me at the café at 10:30!", "meet me at the cafe at 9:45", "MEET  ME, AT THE CAFE — AT 7:00",
     "meet me at the café at 10.30"],
)  # fmt: skip
def test_case_accents_punctuation_and_digits_hide_nothing(copy: str) -> None:
    assert index(["Meet me at the café at 10:30"]).nearest(copy)[1] == 1.0


def test_an_edited_copy_is_near_and_a_stranger_is_not() -> None:
    known = index(TEXTS)
    name, similarity = known.nearest(TEXTS[0] + " please")
    assert name == TEXTS[0] and 0.6 <= similarity < 1
    assert known.nearest("zebra quantum fjord")[1] < 0.3


def test_an_empty_index_knows_nothing() -> None:
    assert TextIndex().nearest("anything") == ("", 0.0)
    assert TextIndex().alike("anything", 0.0) == []


def test_a_name_is_kept_as_it_was_first_given() -> None:
    known = TextIndex()
    known.add("a", "the first text")
    known.add("a", "quite another text")
    assert len(known) == 1
    assert known.nearest("the first text") == ("a", 1.0)
    assert known.nearest("quite another text")[1] < 0.6


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


@given(st.lists(st.text(max_size=40), max_size=12))
def test_every_text_finds_itself(texts: list[str]) -> None:
    known = index(texts)
    for text in texts:
        assert known.nearest(text)[1] == 1.0


@given(st.text(), st.text())
def test_overlap_is_symmetric_and_a_share(left: str, right: str) -> None:
    assert overlap(grams(left), grams(right)) == overlap(grams(right), grams(left))
    assert 0 <= overlap(grams(left), grams(right)) <= 1
    assert overlap(grams(left), grams(left)) == 1


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)
