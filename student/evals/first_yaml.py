"""Write a guess down as an eval set's YAML file, with comments that say what to look at.

In: a `Guess`. Out: the text of a YAML file. Whatever comes from the data (columns, labels) is quoted where YAML could read it as
anything but text, and stands in comments on one line only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil

from student.evals.guess import Guess
from student.evals.names import is_code, is_mute
from student.evals.words import plural_of

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_READ_OTHERWISE = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def first_yaml(name: str, source: Mapping[str, str], guess: Guess) -> str:
    """The file's text. `source`: the data by part, "" for a source in one piece."""
    lines = [
        "# Written by `llm2llm evals init`. Look it over, then run `llm2llm evals check` on it.",
        f"name: {scalar(name)}",
        _source(source, guess),
        *_columns(guess),
        *_kind(guess),
        f"noun: {scalar(guess.noun)}",
        *_instruction(guess),
        *_labels(guess),
        *_form(guess),
        *_splits(guess),
    ]
    return "\n".join(lines) + "\n"


def scalar(text: str) -> str:
    """A text as YAML: bare where it can only be text, else in double quotes."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _READ_OTHERWISE:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(mark: str) -> str:
    if mark in '"\\':
        return "\\" + mark
    if mark.isprintable():
        return mark
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(mark, f"\\U{ord(mark):08x}")


def _mapping(pairs: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{scalar(key)}: {value}" for key, value in pairs.items()) + "}"


def _source(source: Mapping[str, str], guess: Guess) -> str:
    if list(source) != [""]:
        return "source:\n" + "\n".join(f"  {scalar(part)}: {scalar(place)}" for part, place in source.items())
    part = next((part for part, _ in guess.splits.values()), "")
    return f"source: {{{part}: {scalar(source[''])}}}" if part else f"source: {scalar(source[''])}"


def _columns(guess: Guess) -> list[str]:
    columns = {
        "prompt": guess.prompt,
        "answer": guess.answer,
        "skill": guess.skill,
        "id": guess.id,
        "answer_is": guess.answer_is,
    }
    pairs = {key: scalar(value) for key, value in columns.items() if value}
    if len(guess.choices) == 1:
        pairs["choices"] = scalar(guess.choices[0])
    elif guess.choices:
        pairs["choices"] = "[" + ", ".join(map(scalar, guess.choices)) + "]"
    lines = [f"columns: {_mapping(pairs)}"]
    if guess.unused:
        lines.append(f"# Not used: {', '.join(map(scalar, guess.unused))}.")
    if guess.skill_offered:
        skill = scalar(guess.skill_offered)
        lines.append(f"# To see scores by {skill} instead of by label, add to the columns: skill: {skill}")
    if guess.prompt_template:
        lines += ["# The question is made of two columns.", f"prompt: {scalar(guess.prompt_template)}"]
    return lines


def _kind(guess: Guess) -> list[str]:
    if guess.kind == "choice":
        return ["kind: choice"]
    lines = ["kind: generate", f"scorer: {guess.scorer}"]
    if guess.scorer == "f1":
        lines.append(
            "# Long answers are hard to score by their words. Look at `scorer` in the documentation for others."
        )
    return lines


def _instruction(guess: Guess) -> list[str]:
    """What a teacher and an untouched student are told; a person can do better."""
    if guess.labels:
        told = [f"Read the {guess.noun} and choose its {_word(guess.answer)}."]
        after = ["", f"{plural_of(_word(guess.answer)).capitalize()}:"]
    elif guess.choices:
        told, after = [f"Read the {guess.noun} and choose the right answer."], []
    elif guess.worked:
        told, after = [f"Solve the {guess.noun}. Show the calculation, then end with #### and the number alone."], []
    else:
        how = {"number": "Answer with a number.", "json": "Answer with a JSON object.", "math": "Answer with an expression.",
               "f1": "Answer in a few sentences."}.get(guess.scorer, "Answer in a few words.")  # fmt: skip
        told, after = [f"Read the {guess.noun}. {how}"], []
    lines = [
        "# What the task is, as you would tell a new colleague: the teacher and the untouched student are shown it."
    ]
    return [*lines, "instruction: |", *(f"  {line}" if line else "" for line in (*told, *after))]


def _word(column: str) -> str:
    """A column's name as a word of a sentence, where it can be one."""
    known = ("intent", "category", "class", "sentiment", "queue", "topic", "tag")
    return column.casefold() if column.casefold() in known else "label"


def _labels(guess: Guess) -> list[str]:
    if not guess.labels:
        return []
    codes = [label for label in guess.labels if is_code(label)]
    mute = all(is_mute(label) for label in guess.labels)
    lines = list[str]()
    if mute or len(codes) > 1:
        first = ", ".join(f"{scalar(label)}: WORD" for label in (codes or guess.labels)[:2])
        why = (
            "These labels say nothing by themselves. Give"
            if mute
            else "Some of these labels look like codes. If they are, give"
        )
        lines += [f"# {why} them words, label_names: {{{first}}}, and name those words here;",
                  "# students read words better, and so do you in tables."]  # fmt: skip
    lines += [
        "# Say after each label what belongs to it and what does not, in one sentence; the most frequent come first.",
        "labels:",
    ]
    width = max(len(scalar(label)) for label in guess.labels)
    for label, count in zip(guess.labels, guess.label_counts, strict=True):
        lines.append(f'  {scalar(label)}: ""{" " * (width - len(scalar(label)))}  # {count:,}')
    return lines


def _form(guess: Guess) -> list[str]:
    lines = list[str]()
    if guess.chat:
        lines.append("format: chat")
    else:
        ask = _word(guess.answer).capitalize() if guess.labels else "Answer"
        lines.append(f"frame: {scalar(f'{guess.noun.capitalize()}: {{question}}' + chr(10) + f'{ask}:')}")
    if guess.kind == "generate":
        lines += [f"max_new_tokens: {guess.max_new_tokens}"]
        if guess.stop and not guess.chat:
            lines.append(f"stop: [{', '.join(map(scalar, guess.stop))}]")
    return lines


def _splits(guess: Guess) -> list[str]:
    lines = [
        f"# mine: {plural_of(guess.noun)} that a student is trained on and the teacher sees. select: they choose the best round.",
        "# test: locked until the end.",
    ]
    if not any(part for part, _ in guess.splits.values()):
        sizes = ", ".join(f"{role}: {size}" for role, (_, size) in guess.splits.items())
        return [*lines, f"splits: {{{sizes}}}"]
    lines.append("splits:")
    for role, (part, size) in guess.splits.items():
        take = f", take: {ceil(size)}" if size else ""
        lines.append(f"  {role}: {{from: {scalar(part)}{take}}}" if take else f"  {role}: {scalar(part)}")
    return lines
