"""Groups and pairs of look-alikes are those that comparing all with all would give, and a crowd does not stop the work."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from dry_run import ERRANDS
from hypothesis import given, settings
from hypothesis import strategies as st

from student.grouping import groups, similar_pairs
from student.similar import Numbers, grams, overlap

TEXTS = [json.loads(line)["text"] for line in (ERRANDS.parent / "items.jsonl").read_text().splitlines()]


def exact_groups(texts: list[str], threshold: float, numbers: Numbers = "fold") -> list[int]:
    """Single linkage by comparing all with all; numbered by first appearance."""
    sets = [grams(text, numbers) for text in texts]
    group = list(range(len(texts)))
    for at in range(len(texts)):
        for other in range(at):
            if overlap(sets[at], sets[other]) >= threshold and group[at] != group[other]:
                group = [group[other] if one == group[at] else one for one in group]
    order = dict[int, int]()
    return [order.setdefault(one, len(order)) for one in group]


def variants(count: int, seed: int) -> list[str]:
    """Texts, copies, and copies of copies: words of the errands drawn, swapped and changed."""
    draw = random.Random(seed)
    words = sorted({word for text in TEXTS for word in text.lower().split()})
    made = list[str]()
    while len(made) < count:
        parts = draw.choice(made).split() if made and draw.random() < 0.5 else draw.sample(words, draw.randint(1, 9))
        if parts:
            parts[draw.randrange(len(parts))] = draw.choice(words)
        made.append(" ".join(parts))
    return made


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(alphabet="aabbc 12", max_size=12), max_size=30), st.sampled_from([0.3, 0.6, 0.8, 1.0]))
def test_few_texts_are_grouped_exactly(texts: list[str], threshold: float) -> None:
    assert groups(texts, threshold) == exact_groups(texts, threshold)
    assert groups(texts, threshold, numbers="keep") == exact_groups(texts, threshold, "keep")


@pytest.mark.parametrize("threshold", [0.45, 0.6])
def test_many_texts_are_grouped_as_comparing_all_with_all_would(threshold: float) -> None:
    texts = variants(500, seed=int(10 * threshold))
    found = groups(texts, threshold)
    assert found == exact_groups(texts, threshold)
    assert 50 < len(set(found)) < 490


def test_pairs_right_at_the_threshold_are_hardly_ever_overlooked() -> None:
    texts, lost, close = variants(800, seed=7), 0, 0
    found = {(one, other) for one, other, _ in similar_pairs(texts, 0.6, 10**6)}
    sets = [grams(text) for text in texts]
    first = {frozenset(one): at for at, one in reversed(list(enumerate(sets)))}
    for other, at in itertools.combinations(range(len(texts)), 2):
        similarity = overlap(sets[at], sets[other])
        if 0.6 <= similarity < 1 and first[sets[at]] == at and first[sets[other]] == other:
            close += 1
            lost += (other, at) not in found
    assert close > 200 and lost <= 1


def test_numbering_follows_first_appearance_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    found = groups(
        ["b b b", "a a a", "B b b!", *variants(400, seed=1)], 0.6, lambda done, total: told.append((done, total))
    )
    assert found[:3] == [0, 1, 0]
    assert set(found) == set(range(max(found) + 1))
    assert told[-1][0] == told[-1][1] and [done for done, _ in told] == sorted({done for done, _ in told})
    assert groups([], 0.6) == []


def test_a_long_file_of_one_template_is_one_group() -> None:
    """Folded numbers make one text of them, kept ones and other words many that are all alike."""
    assert set(groups([f"item {at}" for at in range(20_000)], 0.6)) == {0}
    words = variants(3000, seed=2)
    framed = [f"Please refund the order that I placed for the item called {word.split()[0]}" for word in words]
    assert set(groups(framed, 0.6)) == {0}


def test_a_frame_half_as_long_as_the_texts_joins_only_the_copies() -> None:
    draw = random.Random(4)
    said = [" ".join("".join(draw.choices("abcdefghijklmnop", k=7)) for _ in range(6)) for _ in range(4000)]
    texts = [f"Say what the customer needs, in one word. Customer: {one}" for one in said]
    copies = [text[:-3] + "zzz" for text in texts[:200]]
    found = groups(texts + copies, 0.6)
    assert found[:200] == found[4000:]
    assert len(set(found)) == 4000


# --- pairs


def test_pairs_across_sides_come_most_similar_first() -> None:
    texts = ["Where is the old post office?", "where is the old post office", "Where is the old post office now?",
             "what time is it", "Where is the post office?"]  # fmt: skip
    pairs = similar_pairs(texts, 0.6, 10, ["mine", "test", "mine", "mine", "test"])
    assert [(one, other) for one, other, _ in pairs] == [(0, 1), (1, 2), (0, 4), (2, 4)]
    similarities = [similarity for *_, similarity in pairs]
    assert similarities[0] == 1.0 and similarities == sorted(similarities, reverse=True) and similarities[-1] >= 0.6
    for one, other, similarity in pairs:
        assert similarity == pytest.approx(overlap(grams(texts[one]), grams(texts[other])))


def test_without_sides_all_pairs_count() -> None:
    texts = ["the old post office", "the old post office", "something else"]
    assert similar_pairs(texts, 0.6, 10) == [(0, 1, 1.0)]
    assert similar_pairs(texts, 0.6, 10, ["a", "a", "b"]) == []


def test_a_limit_is_kept_however_many_there_are() -> None:
    texts = [f"ticket number {at}" for at in range(20_000)]
    pairs = similar_pairs(texts, 0.6, 20, [at % 2 for at in range(20_000)])
    assert len(pairs) == 20
    assert all(similarity == 1.0 and (one + other) % 2 for one, other, similarity in pairs)
    assert similar_pairs(texts, 0.6, 20, ["same"] * 20_000) == []
    assert similar_pairs(texts, 0.6, 0) == []


def test_the_same_texts_give_the_same_pairs() -> None:
    texts = variants(600, seed=5)
    assert similar_pairs(texts, 0.7, 30) == similar_pairs(texts, 0.7, 30)
