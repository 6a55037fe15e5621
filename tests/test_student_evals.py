"""An eval set is split the same way for ever, look-alikes stay together, and every mistake names its file and line.

Eval sets are written into a temporary folder as a YAML file and a data file, the way a team would.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import ERRANDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from student.evals.load import EvalSet, load_evals
from student.evals.spec import EvalError
from student.evals.splits import LARGEST, deal, look_alikes, make_folds, split_items
from student.records import HeldOutItem, Seed

ROWS = [json.loads(line) for line in (ERRANDS.parent / "items.jsonl").read_text().splitlines()]
LABELS = {"grocer": "food", "hardware": "tools", "chemist": "medicine", "bookshop": "paper"}


def written(folder: Path, rows: Sequence[dict[str, Any]] | str, data: str = "items.jsonl", **changes: Any) -> Path:
    """A YAML file and its data file; `rows` may be the data file's text."""
    spec = {
        "name": "errands", "source": data, "columns": {"prompt": "text", "answer": "shop", "id": "id"},
        "labels": LABELS, "splits": {"mine": 20, "select": 20}, **changes,
    }  # fmt: skip
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / data).write_text(text, encoding="utf-8")
    (folder / "evals.yaml").write_text(
        yaml.safe_dump({key: value for key, value in spec.items() if value is not None}, sort_keys=False)
    )
    return folder / "evals.yaml"


def ids(evals: EvalSet) -> dict[str, set[str]]:
    """The item ids of every split."""
    held = evals.held_out
    test = held.open_test(lambda: None)
    return {
        "mine": {one.id for one in evals.seeds}, "select": {one.id for one in held.select()},
        "test": {one.id for one in test},
    }  # fmt: skip


def refused(path: Path) -> str:
    """What a person is told."""
    with pytest.raises(EvalError) as caught:
        load_evals(path)
    return str(caught.value)


def items(texts: Sequence[str], skills: Sequence[str] = ("a", "b")) -> list[Seed]:
    return [Seed(id=str(at), prompt=text, answer="x", skill=skills[at % len(skills)]) for at, text in enumerate(texts)]


# --- splits


@pytest.mark.parametrize(
    ("splits", "sizes"),
    [
        ({"mine": 20, "select": 20}, (20, 20, 24)), ({"mine": 1, "select": 1}, (1, 1, 62)),
        ({"mine": 0.25, "select": 0.25, "test": 0.5}, (16, 16, 32)), ({"mine": 7, "select": 0.5}, (7, 32, 25)),
    ],
)  # fmt: skip
def test_splits_have_exactly_the_sizes_asked_for(
    tmp_path: Path, splits: dict[str, float], sizes: tuple[int, int, int]
) -> None:
    found = ids(load_evals(written(tmp_path, ROWS, splits=splits)))
    assert (len(found["mine"]), len(found["select"]), len(found["test"])) == sizes
    assert len(set.union(*found.values())) == len(ROWS)


def test_what_is_left_over_goes_to_test(tmp_path: Path) -> None:
    assert len(ids(load_evals(written(tmp_path, ROWS, splits={"mine": 20, "select": 20, "test": 10})))["test"]) == 24


def sums(count: int) -> list[Seed]:
    return [
        Seed(id=f"{at}", prompt=f"What is {at} + {7 * at % 50}?", answer=f"{at + 7 * at % 50}") for at in range(count)
    ]


def test_a_drill_can_be_split_where_numbers_are_the_answer() -> None:
    assert len(look_alikes(sums(60))) == 1, "looked at by themselves they are alike"
    split = split_items(sums(60), {"mine": 20, "select": 20})
    assert [len(items) for items in split.values()] == [20, 20, 20] and len(make_folds(sums(60), 3)) == 3
    named = [one.model_copy(update={"answer": "sum"}) for one in sums(60)]
    assert len(make_folds(named, 3)) == 1
    with pytest.raises(EvalError, match="all items are alike"):
        split_items(named, {"mine": 20, "select": 20})


def test_choices_of_its_own_are_a_part_of_a_question() -> None:
    asked = "Which of these sentences is written correctly?"
    own = [
        Seed(id=row["id"], prompt=asked, answer=row["text"], choices=(row["text"], row["text"][::-1])) for row in ROWS
    ]
    assert len(look_alikes(own)) > len(ROWS) // 2
    assert len(look_alikes([one.model_copy(update={"choices": ("a", "b")}) for one in own])) == 1


def test_every_split_has_its_share_of_every_label(tmp_path: Path) -> None:
    evals = load_evals(written(tmp_path, ROWS))
    assert set(Counter(seed.answer for seed in evals.seeds).values()) == {5}
    assert set(Counter(item.answer for item in evals.held_out.select()).values()) == {5}


def test_reordering_the_rows_moves_no_item(tmp_path: Path) -> None:
    before = ids(load_evals(written(tmp_path, ROWS)))
    for seed in range(3):
        turned = random.Random(seed).sample(ROWS, len(ROWS))
        assert ids(load_evals(written(tmp_path, turned))) == before


def test_reordering_moves_no_look_alikes_either(tmp_path: Path) -> None:
    """Also where look-alikes have different labels, as items that a team argued about often do."""
    again = [
        {"id": f"again-{row['id']}", "text": row["text"] + " please", "shop": ROWS[at + 1]["shop"]}
        for at, row in enumerate(ROWS[:24])
    ]
    rows = [*ROWS, *again]
    before = ids(load_evals(written(tmp_path, rows)))
    for seed in range(6):
        turned = random.Random(seed).sample(rows, len(rows))
        assert ids(load_evals(written(tmp_path, turned))) == before


def test_look_alikes_are_in_one_split(tmp_path: Path) -> None:
    rows = [*ROWS, *({**row, "id": "again-" + row["id"], "text": row["text"] + "!!"} for row in ROWS)]
    found = ids(load_evals(written(tmp_path, rows)))
    for row in ROWS:
        assert any({row["id"], "again-" + row["id"]} <= members for members in found.values())


def test_look_alikes_are_in_one_fold() -> None:
    seeds = items([f"{row['text']}{tail}" for row in ROWS for tail in ("", " please", "!")])
    folds = make_folds(seeds, 3)
    assert sorted(seed.id for fold in folds for seed in fold) == sorted(seed.id for seed in seeds)
    place = {seed.id: number for number, fold in enumerate(folds) for seed in fold}
    for first in range(0, len(seeds), 3):
        assert place[str(first)] == place[str(first + 1)] == place[str(first + 2)]


def test_folds_are_even_in_size_and_skill() -> None:
    folds = make_folds(items([row["text"] for row in ROWS], ("a", "b", "c", "d")), 4)
    assert [len(fold) for fold in folds] == [16] * 4
    for fold in folds:
        assert set(Counter(seed.skill for seed in fold).values()) == {4}


def test_there_are_never_more_folds_than_items() -> None:
    assert [len(fold) for fold in make_folds(items(["one thing", "quite another"]), 5)] == [1, 1]


def test_a_chain_of_look_alikes_is_one_group() -> None:
    chain = ["fetch the parcel at the old post office today", "fetch the parcel at the old post office now please",
             "fetch a parcel at the old post office now, please do", "something else entirely"]  # fmt: skip
    assert [len(group) for group in look_alikes(items(chain))] == [3, 1]


def test_a_set_of_nothing_but_look_alikes_is_an_error_a_person_can_mend(tmp_path: Path) -> None:
    rows = [{"id": str(at), "text": f"ticket number {at} please help", "shop": "grocer"} for at in range(64)]
    assert "alike" in refused(written(tmp_path, rows))


NOUNS = (
    "lamp", "kettle", "garden", "novel", "violin", "harbour", "blanket", "engine", "window", "pepper", "saddle", "mirror",
    "candle", "ticket", "basket", "hammer", "pillow", "bottle", "ladder", "wallet",
)  # fmt: skip


def manner_of_speaking(opening: str, count: int) -> list[str]:
    """Requests that begin alike and name other things: single linkage makes nearly all of them one group."""
    draw = random.Random(opening)
    pairs = dict.fromkeys(tuple(draw.sample(NOUNS, 2)) for _ in range(2 * count))
    return [f"{opening} {first} and the {second}" for first, second in pairs][:count]


FAMILIES = [
    manner_of_speaking(opening, 80)
    for opening in ("would you kindly put on my list the", "remind me tomorrow evening to look for the",
                    "what does the shop round the corner ask for the")
]  # fmt: skip
CROWD = [
    Seed(id=f"{number}-{at}", prompt=text, answer="x", skill=f"s{number}")
    for number, family in enumerate(FAMILIES) for at, text in enumerate(family)
]  # fmt: skip


def test_large_families_of_look_alikes_leave_every_split_its_size_and_every_skill_its_share() -> None:
    assert min(len(group) for group in look_alikes(CROWD) if len(group) > LARGEST) > 60, "the families are large"
    for mine, select in ((40, 30), (60, 100), (120, 119)):
        splits = split_items(CROWD, {"mine": mine, "select": select})
        assert {role: len(held) for role, held in splits.items()} == {
            "mine": mine,
            "select": select,
            "test": 240 - mine - select,
        }
        for held, size in ((splits["mine"], mine), (splits["select"], select)):
            shares = Counter(item.skill for item in held)
            assert len(shares) == 3 and max(abs(count - size / 3) for count in shares.values()) <= LARGEST


def test_small_families_stay_whole_beside_large_ones_and_sizes_stay_exact() -> None:
    """One text five times over, with other marks: no split may tear it, and none is too long or too short for it."""
    copies = [
        Seed(id=f"{row['id']}{tail}", prompt=row["text"] + tail, answer="x", skill="copies")
        for row in ROWS[:20] for tail in ("", "!", "?", "...", " -")
    ]  # fmt: skip
    splits = split_items([*CROWD, *copies], {"mine": 60, "select": 100})
    assert [len(splits[role]) for role in ("mine", "select", "test")] == [60, 100, 180]
    for row in ROWS[:20]:
        homes = {role for role, held in splits.items() for item in held if item.id.startswith(row["id"])}
        assert len(homes) == 1, f"{row['text']} is in {homes}"


def test_roles_of_one_part_have_their_sizes_too_among_large_families() -> None:
    dealt = deal(CROWD, {"mine": 60, "select": 0.25, "test": None})
    assert {role: len(held) for role, held in dealt.items()} == {"mine": 60, "select": 60, "test": 120}
    assert sorted(item.id for held in dealt.values() for item in held) == sorted(item.id for item in CROWD)


def test_splits_beyond_the_items_are_refused(tmp_path: Path) -> None:
    assert "64 items" in refused(written(tmp_path, ROWS, splits={"mine": 40, "select": 24}))
    assert "mine=0" in refused(written(tmp_path, ROWS, splits={"select": 24}))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(st.text(st.characters(categories=["L", "Zs"]), min_size=1, max_size=30), min_size=4, max_size=24))
def test_a_split_loses_and_doubles_nothing(texts: set[str]) -> None:
    seeds = items(sorted(texts))
    splits = split_items(seeds, {"mine": 1, "select": 1})
    assert sorted(one.id for part in splits.values() for one in part) == sorted(one.id for one in seeds)


# --- what stands in test too


def in_parts(folder: Path, train: list[dict[str, Any]], test: list[dict[str, Any]], **changes: Any) -> Path:
    """An eval set of two files, `train` for two roles and `test` for the third."""
    for name, rows in (("train", train), ("test", test)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = {"mine": {"from": "train", "take": 20}, "select": {"from": "train", "take": 12}, "test": "test"}
    source = {"train": "train.jsonl", "test": "test.jsonl"}
    return written(folder, [], "unused.jsonl", **{"source": source, "splits": split, **changes})


def test_what_stands_in_test_is_in_no_other_split_and_is_counted(tmp_path: Path) -> None:
    train, test = ROWS[:48], ROWS[48:]
    dressed = [str.upper, lambda text: f"  {text}!!", lambda text: text.replace(" ", "  ")]
    leaked = [{**row, "id": f"leak-{at}", "text": dressed[at % 3](row["text"])} for at, row in enumerate(test[:9])]
    evals = load_evals(in_parts(tmp_path, [*train[:24], *leaked, *train[24:]], test))
    found = ids(evals)
    assert evals.dropped == {"also in test": 9}
    assert {role: len(members) for role, members in found.items()} == {"mine": 20, "select": 12, "test": 16}
    assert not any(name.startswith("leak-") for name in found["mine"] | found["select"])


def test_dropping_what_is_in_test_comes_before_sizes_are_dealt(tmp_path: Path) -> None:
    leaked = [{**row, "id": f"leak-{row['id']}"} for row in ROWS[32:]]
    everything = {"mine": {"from": "train", "take": 20}, "select": {"from": "train", "take": 13}, "test": "test"}
    assert "cannot be taken from 32 items" in refused(
        in_parts(tmp_path, [*ROWS[:32], *leaked], ROWS[32:], splits=everything)
    )


def test_a_text_of_test_with_other_choices_is_another_question(tmp_path: Path) -> None:
    columns = {"prompt": "text", "answer": "shop", "id": "id", "choices": "shops"}
    train = [{**row, "shops": sorted(LABELS)} for row in ROWS[:40]]
    test = [{**row, "id": f"t-{row['id']}", "shops": [row["shop"], "nowhere"] if at < 4 else sorted(LABELS)}
            for at, row in enumerate(ROWS[:8])]  # fmt: skip
    evals = load_evals(in_parts(tmp_path, train, test, columns=columns, labels=None, kind="choice"))
    assert evals.dropped == {"also in test": 4}


# --- reading


def test_an_item_is_read_as_a_seed_or_held_out_never_both(tmp_path: Path) -> None:
    evals = load_evals(written(tmp_path, ROWS))
    assert all(isinstance(seed, Seed) for seed in evals.seeds)
    assert all(isinstance(item, HeldOutItem) for item in evals.held_out.select())
    assert evals.seeds[0].choices == tuple(LABELS)


def test_csv_and_json_give_the_items_that_jsonl_gives(tmp_path: Path) -> None:
    before = ids(load_evals(written(tmp_path, ROWS)))
    assert ids(load_evals(written(tmp_path, json.dumps(ROWS), data="items.json"))) == before
    lines = ["id,shop,text", *(f'{row["id"]},{row["shop"]},"{row["text"]}"' for row in ROWS)]
    assert ids(load_evals(written(tmp_path, "\n".join(lines), data="items.csv"))) == before


def test_a_cell_may_hold_any_line_break(tmp_path: Path) -> None:
    text = "id,shop,text\n" + "".join(
        f'{row["id"]},{row["shop"]},"{row["text"]}\nsecond\u2028third"\n'
        if at % 2
        else f"{row['id']},{row['shop']},{row['text'].replace(',', '')}\u2028third\n"
        for at, row in enumerate(ROWS)
    )
    evals = load_evals(written(tmp_path, text, data="items.csv"))
    assert sum(map(len, ids(evals).values())) == len(ROWS)
    assert all(seed.prompt.endswith("\u2028third") for seed in evals.seeds)
    assert any("\n" in seed.prompt for seed in evals.seeds)


def test_an_exact_repeat_counts_once(tmp_path: Path) -> None:
    evals = load_evals(written(tmp_path, [*ROWS, ROWS[3]]))
    assert sum(map(len, ids(evals).values())) == len(ROWS)


def test_without_an_id_column_the_text_names_the_item(tmp_path: Path) -> None:
    columns = {"prompt": "text", "answer": "shop"}
    before = ids(load_evals(written(tmp_path, ROWS, columns=columns)))
    turned = [{**row, "id": str(at)} for at, row in enumerate(reversed(ROWS))]
    assert ids(load_evals(written(tmp_path, turned, columns=columns))) == before


def test_items_that_differ_in_their_numbers_alone_are_two_items_in_one_split(tmp_path: Path) -> None:
    rows = [*ROWS, {"text": "3 loaves and 4 rolls, how many in all?", "shop": "grocer"},
            {"text": "5 loaves and 9 rolls, how many in all?", "shop": "chemist"}]  # fmt: skip
    found = ids(load_evals(written(tmp_path, rows, columns={"prompt": "text", "answer": "shop"})))
    assert min(map(len, found.values())) >= 20
    assert sum(map(len, found.values())) == len(rows)


def test_another_item_or_instruction_is_another_eval_set(tmp_path: Path) -> None:
    first = load_evals(written(tmp_path, ROWS)).fingerprint
    assert load_evals(written(tmp_path, ROWS)).fingerprint == first
    assert load_evals(written(tmp_path, ROWS[1:])).fingerprint != first
    assert load_evals(written(tmp_path, ROWS, instruction="Sort.")).fingerprint != first


def test_the_task_names_every_label_with_its_description(tmp_path: Path) -> None:
    task = load_evals(written(tmp_path, ROWS, instruction="Sort the errand.\n")).task()
    assert task.splitlines() == ["Sort the errand.", *(f"- {label}: {text}" for label, text in LABELS.items())]


# --- mistakes


def changed(at: int, **values: Any) -> list[dict[str, Any]]:
    """The rows with one of them changed; a value of None takes the column out."""
    rows = [dict(row) for row in ROWS]
    rows[at] = {key: value for key, value in (rows[at] | values).items() if value is not None}
    return rows


def test_an_answer_that_is_no_label_names_file_and_line(tmp_path: Path) -> None:
    said = refused(written(tmp_path, changed(6, shop="baker")))
    assert "items.jsonl:7:" in said and "'baker'" in said and "grocer" in said


def test_a_missing_column_names_file_line_and_what_is_there(tmp_path: Path) -> None:
    said = refused(written(tmp_path, changed(2, text=None, body="hello")))
    assert "items.jsonl:3:" in said and "'text'" in said and "'body'" in said


def test_an_empty_cell_names_file_and_line(tmp_path: Path) -> None:
    assert "items.jsonl:5:" in refused(written(tmp_path, changed(4, text="  ")))


def test_two_answers_to_one_question_name_the_second_line(tmp_path: Path) -> None:
    said = refused(written(tmp_path, [*ROWS, {**ROWS[0], "shop": "chemist"}]))
    assert "items.jsonl:65:" in said and "'chemist'" in said


def test_one_id_for_two_questions_is_refused(tmp_path: Path) -> None:
    said = refused(written(tmp_path, [*ROWS, {**ROWS[0], "text": "quite another errand"}]))
    assert "items.jsonl:65:" in said and ROWS[0]["id"] in said


def test_two_answers_to_one_question_are_noticed_under_different_ids(tmp_path: Path) -> None:
    said = refused(written(tmp_path, [*ROWS, {**ROWS[0], "id": "other", "shop": "chemist"}]))
    assert "items.jsonl:65:" in said


@pytest.mark.parametrize(
    ("data", "text", "place"),
    [
        ("items.jsonl", '{"id": "1", "text": "a", "shop": "grocer"}\n\n{oops}\n', "items.jsonl:3:2"),
        ("items.jsonl", "[1]\n", "items.jsonl:1:"),
        ("items.jsonl", '{"id": 1' + "1" * 5000 + "}\n", "items.jsonl:1"),
        ("items.json", "[{},\n{]", "items.json:2:"), ("items.json", '{"id": {}}', "items.json"),
        ("items.json", "[1, 2]", "items.json:1"), ("items.jsonl", "\n\n", "items.jsonl"),
        ("items.csv", "id,shop\n1,grocer\n", "items.csv:1:"),
    ],
)  # fmt: skip
def test_an_unreadable_row_names_file_and_line(tmp_path: Path, data: str, text: str, place: str) -> None:
    assert place in refused(written(tmp_path, text, data=data))


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    path = written(tmp_path, ROWS)
    (tmp_path / "items.jsonl").write_bytes(b'{"id": "caf\xe9"}')
    assert "items.jsonl" in refused(path) and "UTF-8" in refused(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    assert "nowhere.yaml" in refused(tmp_path / "nowhere.yaml")
    assert "nothing.jsonl" in refused(written(tmp_path, ROWS, source="nothing.jsonl"))
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"columns": {"prompt": "text"}}, "columns.answer"), ({"kind": "guess"}, "kind"), ({"colour": "red"}, "colour"),
        ({"splits": {"train": 3}}, "splits"), ({"max_new_tokens": 0}, "max_new_tokens"), ({"name": None}, "name"),
    ],
)  # fmt: skip
def test_a_wrong_key_in_the_yaml_file_is_named(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    said = refused(written(tmp_path, ROWS, **changes))
    assert "evals.yaml" in said and named in said


def test_a_frame_that_never_shows_the_question_is_refused(tmp_path: Path) -> None:
    assert "{question}" in refused(written(tmp_path, ROWS, frame="Errand: {text}\nShop:"))


def test_a_choice_between_fewer_than_two_labels_is_refused(tmp_path: Path) -> None:
    rows = [{**row, "shop": "grocer"} for row in ROWS]
    assert "labels" in refused(written(tmp_path, rows, labels={"grocer": "food"}))


def test_yaml_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    for text in ("- a\n- b\n", "", "a: [", "name: \x00"):
        (tmp_path / "evals.yaml").write_text(text)
        assert "evals.yaml" in refused(tmp_path / "evals.yaml")
