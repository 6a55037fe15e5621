"""Held-out items stay held out: the guard finds copies, and no record on the way to a prompt takes such an item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dry_run import ERRANDS
from pydantic import ValidationError

from student.evals.load import load_evals
from student.held_out import HeldOut
from student.records import Candidate, Failure, HeldOutItem, Seed, Weakness
from teacher.generate import GenerateSettings, plan_orders
from teacher.sheet import TaskSheet

ITEM = HeldOutItem(id="h1", prompt="The projector in room B12 shows a green picture", answer="hardware")
SEED = Seed(id="s1", prompt="My mouse is broken", answer="hardware")


def held_out() -> HeldOut:
    other = HeldOutItem(id="h2", prompt="Please reset the password of our trainee", answer="password")
    return HeldOut([ITEM], [other])


@pytest.mark.parametrize(
    "copy",
    [
        "The projector in room B12 shows a green picture",
        "the projector in room B12 shows a GREEN picture!!",
        "The projector in room B07 shows a green picture",
        "The projector in our room B12 shows a green picture",
        "The projektor in room B12 shows a green picture",
        "Please, the projector in room B12 shows a green picture",
        "please reset the password of our new trainee",
    ],
)
def test_the_guard_stops_exact_and_lightly_edited_copies(copy: str) -> None:
    assert held_out().guard()(copy)


def test_the_guard_lets_other_texts_pass() -> None:
    guard = held_out().guard()
    assert guard("The projector lamp needs replacing") is None
    assert guard("zebra") is None


def test_the_guard_quotes_nothing() -> None:
    why = held_out().guard()("The projector in our room B12 shows a green picture") or ""
    assert "held-out" in why
    assert not {"projector", "green", "picture", "h1"} & set(why.split())


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
