"""Whatever a teacher sends is either an object or nothing: fenced, cut off, nested too deep, or plain nonsense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teacher.replies import read_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
PAIR = st.fixed_dictionaries({"question": st.text(max_size=20), "answer": st.text(max_size=9)})


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "a"}', ' \n{"answer": "a"}\n', '```json\n{"answer": "a"}\n```', '```\n{"answer": "a"}```',
        'Here you are: {"answer": "a"} Anything else?', '{"answer": "a"}{"answer": "b"}', '{"answer": "a"',
        '{"answer": "a"\n```',
    ],
)  # fmt: skip
def test_an_object_is_found_in_its_wrapping(text: str) -> None:
    assert read_object(text) == {"answer": "a"}


@pytest.mark.parametrize("text", ["", "no", "[1, 2]", '"{"', "```json\n```", "{", "{'answer': 'a'}", "null", "}{"])
def test_without_an_object_there_is_nothing(text: str) -> None:
    assert not read_object(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": ' + "1" * 5000 + "}", '{"a":' * 100_000, "[" * 100_000 + "{", '{"a": "' + "\\u0000" * 9 + '"}',
        '{"a": "\ud800"}', '{"a": NaN, "b": Infinity}', '{"a": 1e999}', "{" * 50_000, '{"' * 20_000, "}" * 50_000,
        '{"a":' + "[" * 600 + "]" * 600 + "}", '{"items": [' + '"aaaa",' * 40_000 + '"' * 2000, '{"a": "' + "\\" * 200_001,
        '{"items": [' + "[]," * 90_000, '{"a": "' + "b" * 10**7, "{ " * 100_000 + '{"', '{"a"' + ":" * 200_000 + "}",
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_a_hostile_reply_never_raises(text: str) -> None:
    found = read_object(text)
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"items": ["a", "b",],}', {"items": ["a", "b"]}),
        (r'{"answer": "\(x\) is \\d, \"so\" \u00e9\/"}', {"answer": r"\(x\) is \d, " + '"so" é/'}),
        ('{"answer": "two\nlines\tand a tab"}', {"answer": "two\nlines\tand a tab"}),
        ('{"items": ["a", "b"}', {"items": ["a", "b"]}),
        ('{"items": [{"q": "a", "n": [1, 2]}, {"q": "b", "n": [1', {"items": [{"q": "a", "n": [1, 2]}]}),
        ('{"a": {"b": {"c": "d", "e": "f', {"a": {"b": {"c": "d"}}}),
        ('{"a": "x", "n": 12', {"a": "x"}), ('{"a": "x", "n": 12}', {"a": "x", "n": 12}),
        ('{"a": "b\\ud83d\\ude00\\ud800c"}', {"a": "b😀?c"}),
    ],
)  # fmt: skip
def test_almost_json_is_mended_where_that_is_no_guess(text: str, found: Any) -> None:
    assert read_object(text) == found


@pytest.mark.parametrize(
    "text",
    [
        '{"answer": "a", "answer": "b"}', '{"answer": NaN}', '{"answer": -Infinity}', '{"answer": 1e999}',
        '{"answer": yes}', '{"answer": "a" "b"}', '{"answer": tr ue}', '{"n": 1 2}', '{"answer" "a"}', '{"a", "b"}',
        "{'answer': 'a'}", '{"answer": undefined}', '{"answer": "a', '{"answer": 12',
    ],
)  # fmt: skip
def test_what_could_mean_two_things_means_nothing(text: str) -> None:
    assert not read_object(text)


@pytest.mark.parametrize(
    "text",
    [
        '<think>{"answer": "x"} or not?</think>\n{"answer": "a"}', 'Hm, {"answer": "x"}?</think>{"answer": "a"}',
        'The set {1, 2} and {x}: {"answer": "a"}', '{ }{"answer": "a"}'.replace("{ }", "{x}"),
    ],
)  # fmt: skip
def test_what_is_said_before_the_object_is_passed_over(text: str) -> None:
    assert read_object(text) == {"answer": "a"}


def test_a_draft_in_thoughts_that_never_ended_is_no_answer() -> None:
    assert read_object('<think>Perhaps {"answer": "x"}, but') is None
    assert read_object('{"answer": "a</think>b"}') == {"answer": "a</think>b"}


@given(st.text())
def test_any_text_gives_an_object_or_nothing(text: str) -> None:
    assert isinstance(read_object(text), dict | None)


@given(st.dictionaries(st.text(), JSON, min_size=1))
def test_an_object_is_read_as_json_reads_it(value: dict[str, Any]) -> None:
    assert read_object(json.dumps(value)) == value
    assert read_object(json.dumps(value, ensure_ascii=False, indent=1)) == value


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6), st.data())
def test_a_list_cut_anywhere_keeps_its_complete_elements(texts: list[str], data: st.DataObject) -> None:
    whole = json.dumps({"items": texts})
    cut = whole[: data.draw(st.integers(1, len(whole)))]
    found = read_object(cut)
    complete = sum(cut.startswith(json.dumps({"items": texts[: count + 1]})[:-2]) for count in range(len(texts)))
    if complete:
        assert found is not None
        assert found["items"][:complete] == texts[:complete]
        assert len(found["items"]) == complete


@given(st.lists(PAIR, min_size=1, max_size=4), st.data())
def test_cut_pairs_keep_only_whole_pairs(pairs: list[dict[str, str]], data: st.DataObject) -> None:
    whole = json.dumps({"items": pairs})
    cut = whole[: data.draw(st.integers(1, len(whole)))]
    found = (read_object(cut) or {}).get("items", [])
    kept = [pair for pair in found if isinstance(pair, dict) and pair.keys() == {"question", "answer"}]
    assert kept == pairs[: len(kept)]
    complete = sum(cut.startswith(json.dumps({"items": pairs[: count + 1]})[:-2]) for count in range(len(pairs)))
    assert len(kept) >= complete
