"""How a card says to ask the exported model: the frame, character by character, and a program that does it."""

from __future__ import annotations

from collections.abc import Iterator

from agent.export.front import fenced
from agent.report.markdown import code
from student.evals.load import EvalSet
from student.prompting import DAY

_PLAIN = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
frame = {frame}
item = "put the text of one item here"
prompt = frame.replace("{{question}}", item)
tokens = tokenizer(prompt, return_tensors="pt")
"""
_CHAT = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
frame = {frame}
item = "put the text of one item here"
messages = [{system}{{"role": "user", "content": frame.replace("{{question}}", item)}}]
tokens = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True, date_string="{day}"
)
"""
_ANSWER = """\
written = model.generate(**tokens{stop})[0, tokens["input_ids"].shape[1]:]
print(tokenizer.decode(written, skip_special_tokens=True).strip())
"""


def how_to_ask(evals: EvalSet) -> Iterator[str]:
    """The section's paragraphs."""
    spec = evals.spec
    form = (
        "the model's own chat template, around this text as the user's message"
        if spec.format == "chat"
        else "plain text"
    )
    yield f"It was trained and examined with {form}; `{{question}}` stands for the item, and nothing else is added:"
    yield fenced(spec.frame)
    if spec.format == "plain":
        yield f"The answer follows after {code(ascii(spec.join))}, and then the end token. With transformers, in this folder:"
    else:
        yield "The answer follows, and then the end token. With transformers, in this folder:"
    yield fenced(program(evals), "python")
    if spec.kind == "choice":
        yield (
            "The scores below are of the likeliest of the given answers, by the sum of its tokens' log-probabilities. A program that lets "
            "the model write may get something else now and then; compare what it writes with the labels."
        )
    yield (
        "The `Modelfile` beside this folder asks in the same way in Ollama, which tokenises by its own rules: compare some answers before "
        "you rely on it."
    )


def program(evals: EvalSet) -> str:
    """A program that asks one question. Texts of the eval set are Python literals in ASCII."""
    spec = evals.spec
    system = f'{{"role": "system", "content": {spec.system!a}}}, ' if spec.system else ""
    asked = (
        _CHAT.format(frame=ascii(spec.frame), system=system, day=DAY)
        if spec.format == "chat"
        else _PLAIN.format(frame=ascii(spec.frame))
    )
    stop = f", stop_strings={list(spec.stop)!a}, tokenizer=tokenizer" if spec.stop else ""
    return (asked + _ANSWER.format(stop=stop)).rstrip("\n")
