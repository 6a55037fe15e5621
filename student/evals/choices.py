"""Multiple choice: the choices of a row, and which of them its answer names.

Answers come as the choice itself, as a label that stands beside the choices, as a letter, or as a position. Which of these a
column holds is settled once for the whole column, never row by row: `2` may be a choice in one row and a position in the next.
Positions count from 0; a column that counts from 1, or may, has to say so (`columns.answer_is`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, cast, get_args

from student.evals.cells import dig, listed_values, text_of, whole
from student.evals.spec import AnswerIs, Columns
from student.evals.trouble import BadCell, EvalError, a_kind, listed, shown

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_POSITION = re.compile(r"\d{1,9}")
READINGS: tuple[AnswerIs, ...] = get_args(AnswerIs)


class Choices(NamedTuple):
    """What one row offers."""

    texts: tuple[str, ...]
    """The choices."""
    labels: tuple[str, ...] = ()
    """What the file calls them; empty where it does not."""


def choices_of(cells: dict[str, Any], columns: str | tuple[str, ...]) -> Choices:
    """The choices of a row. Raises BadCell."""
    if isinstance(columns, str):
        values, labels = _of_column(listed_values(dig(cells, columns)))
    else:
        values, labels = [dig(cells, column) for column in columns], list(columns)
    texts = [text_of(value) for value in values]
    while texts and not texts[-1]:  # a row with fewer choices than columns
        texts.pop()
    if len(texts) < 2 or not all(texts):
        gap = "an empty one among its choices" if len(texts) > 1 else f"{len(texts)} choice{'' if texts else 's'}"
        raise BadCell("odd choices", f"holds {gap}; give at least two, and none empty before the last")
    if len(set(texts)) < len(texts):
        twice = next(one for one in texts if texts.count(one) > 1)
        raise BadCell("odd choices", f"holds {shown(twice)} twice; choices differ from one another")
    return Choices(tuple(texts), tuple(text_of(one) for one in labels[: len(texts)]))


def _of_column(value: Any) -> tuple[list[Any], list[Any]]:
    """Texts and labels of a list, of {"text": [...], "label": [...]}, of [{"text", "label"}, ...] or of {"A": ..., "B": ...}."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if items and all(
            isinstance(one, dict) and {"text", "label"} <= set(cast("dict[str, Any]", one)) for one in items
        ):
            return [one["text"] for one in items], [one["label"] for one in items]
        return items, []
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        texts, labels = known.get("text"), known.get("label")
        if (
            isinstance(texts, list)
            and isinstance(labels, list)
            and len(cast("list[Any]", texts)) == len(cast("list[Any]", labels))
        ):
            return cast("list[Any]", texts), cast("list[Any]", labels)
        if all(isinstance(one, str) for one in known.values()):
            return list(known.values()), list(known)
    held = shown(value) if isinstance(value, str) else a_kind(value)
    raise BadCell(
        "odd choices", f"holds {held}; expected a list of choices (in a CSV: a JSON list, or one column for each)"
    )


def chosen(reading: AnswerIs, answer: str, choices: Choices) -> str | None:
    """The choice that an answer names, read in one way."""
    texts = choices.texts
    if reading == "choice":
        return answer if answer in texts else None
    if reading == "label":
        folded = [one.casefold() for one in choices.labels]
        return texts[folded.index(answer.casefold())] if answer.casefold() in folded else None
    if reading == "letter":
        letter = _LETTER.fullmatch(answer)
        at = ord(letter[1].upper()) - ord("A") if letter else -1
    else:
        number = whole(answer)
        at = int(number) - (reading == "position from 1") if _POSITION.fullmatch(number) else -1
    return texts[at] if 0 <= at < len(texts) else None


def reading_of(name: str, columns: Columns, answers: Sequence[tuple[str, Choices]]) -> AnswerIs:
    """What the answers of a whole column are. Raises EvalError where it cannot be told."""
    if columns.answer_is is not None or not answers:
        return columns.answer_is or "choice"
    fits = {way: sum(chosen(way, *one) is not None for one in answers) for way in READINGS}
    if any(_POSITION.fullmatch(whole(answer)) and not int(whole(answer)) for answer, _ in answers):
        fits["position from 1"] = 0
    best = max(fits.values())
    if best == 0:
        answer, choices = answers[0]
        raise EvalError(
            f"{name}: the answers ({columns.answer or 'template'!r}) are none of the choices, and no letter or position of one. The "
            f"first is {shown(answer)}, between {listed(choices.texts)}. Correct `columns.answer` or `columns.choices`."
        )
    likely: list[AnswerIs] = [way for way in READINGS if fits[way] == best]
    if "label" in likely:
        return "label"
    agree = [way for way in likely if _same(likely[0], way, answers)]
    if agree == likely and likely[0] != "position from 1":
        return likely[0]
    raise EvalError(_unclear(name, columns, likely, answers))


def _same(one: AnswerIs, other: AnswerIs, answers: Sequence[tuple[str, Choices]]) -> bool:
    return all(chosen(one, *pair) == chosen(other, *pair) for pair in answers)


def _unclear(name: str, columns: Columns, likely: list[AnswerIs], answers: Sequence[tuple[str, Choices]]) -> str:
    where = f"{name}: the answers ({columns.answer or 'template'!r})"
    if likely == ["position from 1"]:
        return (
            f"{where} seem to be positions that count from 1. If so, say `answer_is: position from 1` under `columns`."
        )
    answer, choices = answers[0]
    meanings = ", ".join(
        f"`answer_is: {way}` ({shown(answer)} in the first row then means {shown(chosen(way, answer, choices))})"
        for way in likely
    )
    return f"{where} can be read in several ways. Say under `columns` which is meant: {meanings}."
