"""Look at a data file and guess how its rows are an eval set, with the reason for every guess.

In: a `Profile` of the columns. Out: a `Guess`: which column is what, the kind, labels, scorer, lengths and splits. Contents count
more than names, and where both leave it open the guess says so. `first_yaml` writes it down for a person to correct.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from student.evals.beside import part_role
from student.evals.choices import READINGS, Choices, choices_of, chosen
from student.evals.guess_columns import (
    Guesser,
    Reason,
    answer_column,
    choice_columns,
    few,
    id_column,
    messages_column,
    prompt_columns,
    rank,
    skill_column,
)
from student.evals.profile import MOST_VALUES, Column, Profile
from student.evals.spec import EvalError
from student.evals.trouble import BadCell
from student.records import Record, Split

NOUNS = (
    "question", "sentence", "utterance", "review", "ticket", "email", "tweet", "message", "problem", "query", "document", "comment",
    "title", "request", "instruction", "letter", "prompt",
)  # fmt: skip
"""Columns whose name is what an item is called."""

Splits = dict[Split, tuple[str, int | float | None]]
"""Part and how many of it, by role; the part "" for a source in one piece."""


class Guess(Record):
    """A first eval set for a data source."""

    noun: str
    """What an item is called."""
    kind: Literal["choice", "generate"]
    """Choose or write."""
    prompt: str = ""
    """The column of the question; empty where a template makes it."""
    prompt_template: str = ""
    """For questions made of two columns."""
    answer: str = ""
    """The column of the right answer."""
    answer_is: str = ""
    """For choices of a row: how its answer names one, where that is not plain."""
    choices: tuple[str, ...] = ()
    """The column with a row's choices, or one for each."""
    skill: str = ""
    """The column of what an item exercises."""
    skill_offered: str = ""
    """A column that could serve as skill, for a person to decide."""
    id: str = ""
    """The column of stable ids."""
    chat: bool = False
    """Whether the question is a list of messages."""
    labels: tuple[str, ...] = ()
    """The labels, the most frequent first."""
    label_counts: tuple[int, ...] = ()
    """How often each occurs."""
    scorer: str = ""
    """For written answers."""
    worked: bool = False
    """Whether answers are worked out and end with `#### n`."""
    max_new_tokens: int = 64
    """For written answers."""
    stop: tuple[str, ...] = ()
    """For written answers."""
    splits: Splits
    """Which items each role gets."""
    reasons: tuple[Reason, ...] = ()
    """What was guessed and why, in the order of the YAML file."""
    unused: tuple[str, ...] = ()
    """Columns that serve for nothing."""


def guess(profile: Profile) -> Guess:
    """The whole guess. Raises EvalError where there is no question or no answer to be found."""
    if not profile.total:
        why = f" The first: {profile.trouble}" if profile.trouble else " Give a file with one item a row."
        raise EvalError(f"There is no row that can be read in this source.{why}")
    made = Guesser(profile)
    found: dict[str, Any] = {"id": id_column(made)}
    chat = messages_column(made)
    offered = choice_columns(made)
    answer = answer_column(made, bool(offered), chat)
    found |= {"choices": tuple(one.name for one in offered), "answer": answer.name, "chat": chat is not None}
    found |= prompt_columns(made, chat, answer)
    found |= _kind_of(made, answer, offered)
    found |= skill_column(made, found["kind"] == "choice" and not offered)
    found["noun"] = _noun(made, found.get("prompt", ""), chat is not None)
    found["splits"] = _splits(made, found)
    unused = tuple(one.name for one in made.free() if not one.nested)
    return Guess(**found, reasons=tuple(made.reasons), unused=unused)


def _kind_of(made: Guesser, answer: Column, offered: list[Column]) -> dict[str, Any]:
    if offered:
        made.say("kind", "choice", "each row has choices of its own")
        return {"kind": "choice", "answer_is": _reading(made, answer, offered)}
    names = made.profile.class_names.get(answer.name, ())
    if names and few(answer):
        counts = [(name, answer.counts[str(at)]) for at, name in enumerate(names)]
        made.say("labels", f"{len(names)} labels", "the file itself names them")
        return {"kind": "choice", **_labels(counts)}
    if few(answer) and not _sums(made, answer):
        facts = f"{answer.distinct} different short answers in {answer.rows:,} rows"
        made.say("kind", "choice", f"{facts}: labels, the most frequent first")
        return {"kind": "choice", **_labels(answer.counts.most_common())}
    return {"kind": "generate", **_written(made, answer)}


def _labels(counts: Iterable[tuple[str, int]]) -> dict[str, Any]:
    ordered = sorted(counts, key=lambda pair: -pair[1])
    return {"labels": tuple(label for label, _ in ordered), "label_counts": tuple(count for _, count in ordered)}


def _sums(made: Guesser, answer: Column) -> bool:
    """Whether repeated numbers are results, not labels: more than ten of them, and questions with numbers."""
    texts = [
        one for one in made.profile.columns.values() if one is not answer and one.mostly("text") and one.words_each > 3
    ]
    return answer.part("number") > 0.95 and answer.distinct > 10 and any(one.part("digit") > 0.5 for one in texts)


def _reading(made: Guesser, answer: Column, offered: list[Column]) -> str:
    """How the answers name a choice, where the loader would not find out by itself: positions that count from 1."""
    count = min(len(answer.first), *(len(one.first) for one in offered))
    pairs = list[tuple[str, Choices]]()
    for at in range(count):
        cells = {one.name: one.first[at] for one in offered}
        try:
            columns = offered[0].name if len(offered) == 1 else tuple(one.name for one in offered)
            pairs.append((str(answer.first[at]).strip(), choices_of(cells, columns)))
        except BadCell:
            continue
    fits = {way: sum(chosen(way, *pair) is not None for pair in pairs) for way in READINGS}
    best = [way for way in READINGS if fits[way] == max(fits.values())]
    if "position from 1" in best and not {"choice", "label", "letter"} & set(best):
        sure = "position from 0" not in best
        way = "position from 1" if sure else "position from 0"
        doubt = "" if sure else "; whether they count from 0 or 1 cannot be seen: check it"
        made.say("columns.answer_is", way, f"positions of the right choice{doubt}")
        return way
    return ""


def _written(made: Guesser, answer: Column) -> dict[str, Any]:
    tokens = answer.size(0.99) / 3
    room = max(16, -(-int(1.5 * tokens + 8) // 16) * 16)
    worked = answer.part("marked") > 0.8
    scorer, why = _scorer(answer, worked)
    many = f"{'more than ' * (answer.distinct > MOST_VALUES)}{min(answer.distinct, MOST_VALUES):,}"
    made.say("kind", "generate", f"{many} different answers in {answer.rows:,} rows")
    made.say("scorer", scorer, why)
    length = f"99 of 100 answers have at most {answer.size(0.99):,} bytes, about {tokens:.0f} tokens"
    made.say("max_new_tokens", str(room), length)
    stop = () if answer.features["empty line"] else ("\n\n",) if answer.features["line break"] else ("\n",)
    if stop:
        made.say("stop", "an empty line" if stop[0] == "\n\n" else "a line break", "no right answer holds one")
    return {"scorer": scorer, "worked": worked, "max_new_tokens": room, "stop": stop}


def _scorer(answer: Column, worked: bool) -> tuple[str, str]:
    """The scorer that fits nearly all answers."""
    if worked:
        return (
            "number",
            "answers are worked out and end with #### and a number; the whole text is kept, the number is compared",
        )
    if answer.mostly("object") or answer.part("object") > 0.95:
        return "json", "answers are JSON objects, compared field by field"
    if answer.part("number") > 0.95:
        return "number", "answers are numbers, compared by value"
    if answer.part("latex") > 0.2:
        return "math", "answers are expressions, many in LaTeX"
    if answer.size(0.9) <= 80:
        return "normalised", "answers are short texts, compared without case, punctuation and articles"
    return "f1", "answers are long texts, compared by the words they share; a scorer of your own may suit better"


def _noun(made: Guesser, prompt: str, chat: bool) -> str:
    column = made.profile.columns.get(prompt)
    known = next((word for word in NOUNS if rank(prompt, (word,)) < 99), "")
    asks = column is not None and column.part("question") > 0.5
    noun = "question" if asks or not prompt or chat else known or "text"
    why = "most of them end with a question mark" if asks else f"from the name of the column {prompt!r}"
    made.say("noun", noun, why if asks or known else "nothing says otherwise")
    return noun


def _splits(made: Guesser, found: dict[str, Any]) -> Splits:
    parts = made.profile.rows
    mine = min(400, max(60, 10 * len(found.get("labels", ())))) if found["kind"] == "choice" else 100
    roles = ("train", "dev", "test")
    train, dev, test = (next((part for part in parts if part_role(part) == role), "") for role in roles)
    if not train or not (dev or test):
        return _one_piece(made, mine)
    test, dev = (test, dev) if test else (dev, "")
    rows = parts[train]
    mine = max(1, min(mine, rows // 3))
    facts = f"{rows:,} rows are there; all of mine is trained on again in every round, so start with few"
    made.say("splits.mine", f"{mine} of {train}", facts)
    select = (dev, _up_to(parts[dev], 300)) if dev else (train, max(1, min(200, rows // 3)))
    others = "" if dev else "; none of them is in mine"
    made.say("splits.select", f"{select[1] or parts[dev]} of {select[0]}", f"chooses the best round{others}")
    size = _up_to(parts[test], 2000)
    made.say("splits.test", f"{size or parts[test]:,} of {test}", "locked until the end; more items show smaller gains")
    return {"mine": (train, mine), "select": select, "test": (test, size)}


def _up_to(rows: int, most: int) -> int | None:
    """So many, or None for all of a part that is hardly larger."""
    return most if rows > 1.25 * most else None


def _one_piece(made: Guesser, mine: int) -> Splits:
    """All roles from one part: the only one, or the largest of several whose names say nothing."""
    part = max(made.profile.rows, key=lambda one: made.profile.rows[one])
    rows = made.profile.rows[part]
    if rows <= 2500:
        quarters = f"there are {rows:,} rows" + (f" in {part}" if part else "")
        made.say("splits", "a quarter mine, a quarter select, half test", quarters)
        return {"mine": (part, 0.25), "select": (part, 0.25), **({"test": (part, None)} if part else {})}
    test = min(2000, rows // 3)
    facts = f"{rows:,} rows are there, more than one needs; take more of them as you like"
    made.say("splits", f"{mine} mine, 400 select, {test:,} test", facts)
    return {"mine": (part or "all", mine), "select": (part or "all", 400), "test": (part or "all", test)}
