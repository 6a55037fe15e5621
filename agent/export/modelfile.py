"""The Modelfile with which Ollama imports the merged model and asks it as it was trained to be asked.

Two languages lie within one another here. The template is Go's: what could be an action in it is written as a quoted string.
Around it is the Modelfile's own: a value between three quotes ends at the next three, and its reader drops every character that
does not print, so both are written as escapes inside such a string. (Ollama's docs/modelfile.mdx, parser/parser.go,
template/template.go.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from student.evals.load import EvalSet

QUOTES = '"""'
_PROMPT = "{{ .Prompt }}"


def modelfile(evals: EvalSet, around: Sequence[str]) -> str:
    """The file's text. `around`: what the model's chat template puts around one question's messages; nothing for `plain`."""
    stops, lost = _stops(evals.spec.stop)
    notes = [
        "Import with: ollama create NAME -f Modelfile",
        "What a person types stands where the item stood in training; one question at a time.",
    ]
    if lost:
        notes.append(f"{lost} of the stop texts cannot be written in a Modelfile: cut answers there yourself.")
    lines = [
        *(f"# {note}" for note in notes),
        "FROM ./merged",
        f"TEMPLATE {QUOTES}{template(evals, around)}{QUOTES}",
        "PARAMETER temperature 0",
        f"PARAMETER num_predict {longest_answer(evals)}",
        *(f"PARAMETER stop {QUOTES}{stop}{QUOTES}" for stop in stops),
    ]
    return "\n".join(lines) + "\n"


def template(evals: EvalSet, around: Sequence[str]) -> str:
    """The frame around the question, and the chat template around that, as a Go template."""
    parts = evals.ask().frame.split("{question}")
    if around:
        system = evals.ask().system
        parts[0] = "".join([around[0], *([system, around[1]] if system else []), parts[0]])
        parts[-1] += around[-1]
    return _PROMPT.join(map(as_text, parts))


def as_text(text: str) -> str:
    """A text that Go's template engine, within a Modelfile, gives back unchanged."""
    parts = re.split(r'(\{\{|"{3,})', text)
    return "".join(_quoted(part) if at % 2 else "".join(map(_printable, part)) for at, part in enumerate(parts))


def longest_answer(evals: EvalSet) -> int:
    """Tokens an answer may have. A label is no longer than its bytes, the joining text and the end token."""
    spec = evals.spec
    if spec.kind != "choice" or not evals.labels:
        return spec.max_new_tokens
    return max(len((spec.join + label).encode()) for label in evals.labels) + 1


def _stops(stops: Sequence[str]) -> tuple[list[str], int]:
    """The stop texts that can be written down as they are, and how many cannot."""
    kept = [stop for stop in stops if QUOTES not in stop and all(_prints(letter) for letter in stop)]
    return kept, len(stops) - len(kept)


def _prints(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t"


def _printable(letter: str) -> str:
    return letter if _prints(letter) else _quoted(letter)


def _quoted(text: str) -> str:
    return '{{ "' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '" }}'
