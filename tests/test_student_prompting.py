"""What a chat template and a tokenizer of another make put around a question, and what is said where they cannot.

The tiny student's tokenizer stands in for theirs, with the parts of theirs that matter.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from tokenizers.processors import TemplateProcessing

from student.errors import StudentError
from student.models import TINY, Machine, load
from student.prompting import Ask, Prompter, template_texts

CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=1.0)
LAST = """{% for m in messages if m['role'] == 'user' %}{{ messages[0]['content'] if loop.last }}{{ m['content'] }}{% endfor %}"""
"""Puts the system message before the last question, as some do."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(TINY, CPU, tmp_path_factory.getbasetemp() / "students")[1]


@pytest.fixture
def tokenizer(original: Any) -> Any:
    """One that may be changed."""
    return copy.deepcopy(original)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('System role not supported') }}", "{{ messages[0]['content'] }}", LAST, None,
        "{% for m in messages %}{{ m['content'] }}{{ m['content'] }}{% endfor %}",
    ],
)  # fmt: skip
def test_a_template_that_does_not_show_each_message_once_in_its_place_is_refused(
    tokenizer: Any, template: str | None
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(StudentError, match=r"system, user, assistant, user once each.*format: plain"):
        template_texts(tokenizer, ("system", "user", "assistant", "user"))


def test_a_template_that_shows_the_date_is_told_the_same_one_every_day(tokenizer: Any) -> None:
    today = "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    tokenizer.chat_template = today + "Today: {{ date_string }}\n{{ messages[0]['content'] }}!"
    assert template_texts(tokenizer, ("user",)) == ["Today: 26 Jul 2024\n", "!"]


def test_in_plain_text_a_model_gets_the_first_token_that_its_tokenizer_begins_with(tokenizer: Any) -> None:
    bare = Prompter(tokenizer, Ask()).question("hello")
    tokenizer.bos_token = "<|end|>"
    assert Prompter(tokenizer, Ask()).question("hello") == bare, "a token that is known and not used"
    first = tokenizer.bos_token_id
    tokenizer._tokenizer.post_processor = TemplateProcessing(single="<|end|> $A", special_tokens=[("<|end|>", first)])
    assert Prompter(tokenizer, Ask()).question("hello") == [first, *bare]
    assert first not in Prompter(tokenizer, Ask()).answer("yes")
    assert Prompter(tokenizer, Ask(format="chat")).question("hello")[0] != first, "a chat template brings its own"


def test_a_student_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base, tokenizer = load(TINY, CPU, tmp_path / "students")
    base.save_pretrained(tmp_path / "half")
    tokenizer.save_pretrained(tmp_path / "half")
    weights = tmp_path / "half" / "model.safetensors"
    whole = load_file(weights)
    save_file({name: part for name, part in whole.items() if ".layers.1." not in name}, weights, {"format": "pt"})
    with pytest.raises(StudentError, match=r"not whole: its files lack \d+ weights, among them model\.layers\.1"):
        load(str(tmp_path / "half"), CPU, tmp_path)
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(StudentError, match="Cannot load the student"):
        load(str(tmp_path / "half"), CPU, tmp_path)
    save_file({name: part[:1].contiguous() for name, part in whole.items()}, weights, {"format": "pt"})
    with pytest.raises(StudentError, match="Cannot load the student"):
        load(str(tmp_path / "half"), CPU, tmp_path)


def test_a_tokenizer_without_an_end_is_refused(tmp_path: Path) -> None:
    base, tokenizer = load(TINY, CPU, tmp_path / "students")
    base.save_pretrained(tmp_path / "endless")
    tokenizer.eos_token = tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path / "endless")
    with pytest.raises(StudentError, match="no end-of-text token"):
        load(str(tmp_path / "endless"), CPU, tmp_path)
