"""Which column of a data file is what: id, messages, choices, right answer, question, skill; and why.

In: a `Profile`. Out: columns, taken one after another, so that none serves twice. Names are hints in a few words of English;
contents decide where names say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from student.evals.choices import choices_of
from student.evals.profile import Column, Profile
from student.evals.spec import EvalError
from student.evals.trouble import BadCell, listed
from student.records import Record

ANSWERS = (
    "answer", "label", "intent", "category", "class", "target", "gold", "expected", "output", "completion", "response", "solution",
    "reply", "sentiment", "queue", "topic", "y", "key", "truth", "ideal", "tag", "reference", "result", "final",
)  # fmt: skip
QUESTIONS = (
    "question", "prompt", "text", "sentence", "query", "utterance", "input", "instruction", "problem", "message", "body", "content",
    "review", "ticket", "email", "document", "comment", "tweet", "description", "request", "title",
)  # fmt: skip
CHOICES = ("choices", "options", "endings", "candidates", "alternatives", "answers")
SKILLS = (
    "skill", "subject", "topic", "category", "type", "difficulty", "level", "domain", "task", "group", "kind", "area", "label",
)  # fmt: skip
IDS = ("id", "uid", "uuid", "guid", "qid", "idx", "key", "index", "identifier")
IDS_ONLY = frozenset(IDS) - {"key", "index"}
"""Names that mean nothing but an id."""
PAIRS = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("context", "question"), ("passage", "question"), ("article", "question"),
    ("support", "question"), ("question1", "question2"), ("instruction", "input"), ("subject", "body"), ("title", "body"),
    ("title", "text"), ("title", "description"), ("texta", "textb"),
)  # fmt: skip
LETTERED = re.compile(r"(?:option|choice|answer|ending|op|opt|alternative)?[ _-]?([a-h]|[0-9])", re.IGNORECASE)
MOST_LABELS = 200
"""More different answers are no labels."""
LONG_LABEL = 60
"""Bytes; a longer answer is no label."""


class Reason(Record):
    """One guess."""

    key: str
    """The key of the YAML file."""
    value: str
    """What was guessed; may hold text of the data."""
    why: str
    """Why."""


class Guesser:
    """Decides one thing after another; what is taken is not considered again."""

    def __init__(self, profile: Profile) -> None:
        self.profile, self.taken, self.reasons = profile, set[str](), list[Reason]()

    def say(self, key: str, value: str, why: str) -> None:
        self.reasons.append(Reason(key=key, value=value, why=why))

    def free(self) -> list[Column]:
        """Columns that hold something in most rows and are not taken."""
        most = 0.5 * self.profile.total
        return [one for one in self.left() if one.rows > most]

    def left(self) -> list[Column]:
        """Columns that hold something in any row and are not taken."""
        return [one for one in self.profile.columns.values() if one.rows and not self._spent(one.name)]

    def _spent(self, name: str) -> bool:
        return any(
            name == taken or name.startswith(f"{taken}.") or taken.startswith(f"{name}.") for taken in self.taken
        )

    def take(self, column: Column) -> Column:
        self.taken.add(column.name)
        return column


def id_column(made: Guesser) -> str:
    """A column of distinct short values with the name of an id, unless it only counts the rows."""
    for column in made.free():
        distinct = column.distinct == column.rows == made.profile.total and column.size(1.0) <= 80
        if not distinct or rank(column.name, IDS) > 50:
            continue
        made.take(column)
        if _counts_rows(column):
            facts = f"{column.name!r} only counts the rows; a hash of the text stays the same when a row is inserted"
            made.say("columns.id", "none", facts)
            return ""
        made.say("columns.id", column.name, "a different short value in every row, and the name of an id")
        return column.name
    for column in made.free():
        if column.name.casefold() in IDS_ONLY:
            made.take(column)
            facts = f"{column.name!r} has the name of an id, but its values repeat, or are missing or long; a hash of the text serves"
            made.say("columns.id", "none", facts)
    return ""


def _counts_rows(column: Column) -> bool:
    try:
        return [int(value) - int(column.first[0]) for value in column.first] == list(range(len(column.first)))
    except (ValueError, TypeError):
        return False


def messages_column(made: Guesser) -> Column | None:
    """A column of chat messages."""
    for column in made.free():
        if column.mostly("list") and all(_is_chat(value) for value in column.first):
            return made.take(column)
    return None


def _is_chat(value: Any) -> bool:
    messages = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(messages) and all(
        isinstance(one, dict) and {"role", "content"} <= set(cast("dict[str, Any]", one)) for one in messages
    )


def choice_columns(made: Guesser) -> list[Column]:
    """A column of lists, or columns A, B, C, D."""
    for column in sorted(made.free(), key=lambda one: rank(one.name, CHOICES)):
        if rank(column.name, CHOICES) < 99 and all(_offers(value) for value in column.first[:50]):
            made.take(column)
            made.say("columns.choices", column.name, "each row has its own list of answers to choose from")
            return [column]
    groups: dict[str, list[Column]] = {}
    for column in made.free():
        if (match := LETTERED.fullmatch(column.name)) and column.mostly("text"):
            groups.setdefault(column.name[: match.start(1)].casefold(), []).append(column)
    for columns in groups.values():
        if len(columns) >= 3 and _in_sequence([one.name[-1].casefold() for one in columns]):
            found = [made.take(column) for column in columns]
            made.say("columns.choices", ", ".join(one.name for one in found), "one column for each choice")
            return found
    return []


def _offers(value: Any) -> bool:
    try:
        return len(choices_of({"x": value}, "x").texts) >= 2 and isinstance(value, list | dict | str)
    except BadCell:
        return False


def _in_sequence(marks: Sequence[str]) -> bool:
    return [ord(mark) - ord(marks[0]) for mark in marks] == list(range(len(marks))) and marks[0] in "a01"


def answer_column(made: Guesser, offered: bool, chat: Column | None) -> Column:
    """By name first; then a column of few repeated values; then the last one that is not the question's by name."""
    if chat is not None and all(_ends_with_answer(value) for value in chat.first):
        column = Column(f"{chat.name}.-1.content", chat.place)
        for value in chat.first:
            column.add(value[-1]["content"])
        made.say("columns.answer", column.name, "the last message of every chat is the assistant's: the answer")
        return column
    free = [one for one in made.free() if not (offered and one.mostly("list"))]
    several = [
        one for one in free if one.name == "answers" and f"{one.name}.text" in made.profile.columns
    ]  # as SQuAD has it
    named = {one.name: place for one in free if (place := rank(one.name, ANSWERS)) < 99 and one.distinct > 1}
    named |= {one.name: len(ANSWERS) for one in several}
    labels = [one for one in free if few(one)]
    if worked := [one for one in free if one.part("marked") > 0.8]:
        return made.take(_said(made, worked[-1], "most of its texts end with #### and a result", []))
    if named:
        column = min((one for one in free if one.name in named), key=lambda one: (named[one.name], -one.place))
        return made.take(
            _said(made, _first_text(made, column), "by its name", [one for one in labels if one.name in named])
        )
    if labels:
        column = max(labels, key=lambda one: (rank(one.name, SKILLS) >= 99, one.part("number") < 0.95, one.place))
        return made.take(_said(made, column, f"{column.distinct} different values in {column.rows:,} rows", labels))
    rest = [one for one in free if not one.nested and not one.mostly("list")]
    if len(rest) < 2 - (chat is not None):
        raise EvalError(
            f"No column looks like the right answers; there is {listed(made.profile.columns)}. An eval set needs a question and "
            "its right answer in every row."
        )
    column = min(rest, key=lambda one: (rank(one.name, QUESTIONS) < 99, -one.place))
    return made.take(_said(made, column, "the last column that is not the question by its name", []))


def _said(made: Guesser, column: Column, why: str, likely: Sequence[Column]) -> Column:
    others = [one.name for one in likely if one.name != column.name]
    made.say("columns.answer", column.name, why + (f"; {listed(others)} could be meant as well" if others else ""))
    return column


def _ends_with_answer(value: Any) -> bool:
    return len(value) > 1 and value[-1]["role"] == "assistant" and isinstance(value[-1]["content"], str)


def _first_text(made: Guesser, column: Column) -> Column:
    """Of `answers: {text: [...]}`, as question answering sets have it, the first text; else the column itself."""
    inner = made.profile.columns.get(f"{column.name}.text")
    if inner is None or not inner.mostly("list"):
        return column
    made.take(column)
    found = Column(f"{inner.name}.0", inner.place)
    for value in inner.first:
        if value:
            found.add(value[0])
    return found


def few(column: Column) -> bool:
    """Whether its values could be labels: short, and each repeated."""
    plain = column.mostly("text") or column.mostly("number") or column.mostly("truth")
    return plain and 2 <= column.distinct <= min(MOST_LABELS, column.rows / 3) and column.size(1.0) <= LONG_LABEL


def prompt_columns(made: Guesser, chat: Column | None, answer: Column) -> dict[str, str]:
    """The question's column, or a template of two. Raises EvalError where there is none."""
    if chat is not None:
        made.say("columns.prompt", chat.name, "lists of messages with role and content")
        return {"prompt": chat.name}
    texts = [one for one in made.free() if (one.mostly("text") or one.mostly("number")) and not one.nested]
    seldom = [one for one in made.left() if one.mostly("text") and not one.nested]  # Alpaca's `input` is often empty
    by_name = {re.sub(r"[ _-]", "", one.name.casefold()): one for one in (*seldom, *texts)}
    for first, second in PAIRS:
        pair = [by_name.get(first), by_name.get(second)]
        if pair[0] is not None and pair[1] is not None and min(one.words_each for one in pair if one) >= 1.5:
            one, other = made.take(pair[0]), made.take(pair[1])
            made.say("prompt", f"{one.name} and {other.name}", "both are part of the question, by their names")
            often = [column.name for column in texts]
            return {"prompt_template": "\n\n".join(_printed(each.name, each.name in often) for each in (one, other))}
    varied = [one for one in texts if not few(one)] or texts
    if not varied:
        raise EvalError(
            f"No column looks like the questions; there is {listed(made.profile.columns)}, of which {answer.name!r} seems to be the "
            "right answer. An eval set needs a question and its right answer in every row."
        )
    known = min(rank(one.name, QUESTIONS) for one in varied)
    named = [one for one in varied if rank(one.name, QUESTIONS) == known]
    column = max(named if known <= len(QUESTIONS) else varied, key=lambda one: (one.words_each, -one.place))
    facts = f"{column.words_each:.0f} words on average, {column.distinct:,} different texts in {column.rows:,} rows"
    made.say("columns.prompt", column.name, facts + (", and its name" if known < 99 else ""))
    return {"prompt": made.take(column).name}


def _printed(name: str, always: bool = True) -> str:
    """A column in a template; nothing where a row lacks it, if it is not always there."""
    column = name if name.isidentifier() else f"row[{name!r}]"
    return f"{{{{ {column} }}}}" if always else f"{{{{ {column} | default('') }}}}"


def rank(name: str, words: Sequence[str]) -> int:
    """How well a column's name fits: the place among `words`, later when it is only a part of the name; 99 for not at all."""
    parts = [part for part in re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()) if part]
    whole = "".join(parts)
    if whole in words:
        return words.index(whole)
    if parts and (parts[-1] in words or parts[0] in words):
        return 40 + min(words.index(part) for part in (parts[-1], parts[0]) if part in words)
    return 99


def skill_column(made: Guesser, fixed_labels: bool) -> dict[str, str]:
    """What items exercise. Fixed labels are skills already, so there it is only offered."""
    likely = [one for one in made.free() if few(one) and not one.mostly("truth")]
    if not likely:
        return {}
    column = made.take(min(likely, key=lambda one: (rank(one.name, SKILLS), -one.place)))
    facts = f"{column.distinct} different values"
    if fixed_labels:
        made.say(
            "columns.skill", "the label", f"{column.name!r} ({facts}) could be used instead: see the comment there"
        )
        return {"skill_offered": column.name}
    made.say("columns.skill", column.name, f"{facts}: scores and weaknesses are told by it")
    return {"skill": column.name}
