"""From the values of a row to texts, the same whatever the file's format: `1`, 1, 1.0 and true.

A number that is whole is written without a point, so that a label is `1` whether it comes from JSON, from a whole or from a
floating column of Parquet. Truths and objects are written as JSON writes them. Spaces around a text are cut off.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from student.evals.files import MAX_CELL
from student.evals.trouble import BadCell, a_kind, listed, near, shown
from student.records import Turn

_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE = re.compile(r"(-?\d+)\.0+")
_TURN = set(Turn.model_fields)
_ROLES = ("system", "user", "assistant")


def text_of(value: Any) -> str:
    """A value as text. Raises BadCell for one that has none, or that no text may hold."""
    text = (value if isinstance(value, str) else _printed(value)).strip()
    if len(text) > MAX_CELL:
        raise BadCell(
            "cell too long",
            f"holds {len(text):,} characters; more than {MAX_CELL:,} are most likely an unclosed quote or a whole file",
        )
    if "\0" in text:
        raise BadCell("NUL byte", f"holds a NUL character after {shown(text[: text.index(chr(0))], 30)}")
    if not text.isascii() and (lone := _SURROGATE.search(text)):
        raise BadCell(
            "half a character", f"holds half a character (\\u{ord(lone[0]):x}) at position {lone.start() + 1}"
        )
    return text


def _printed(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadCell(
                "not a number", f"holds {'NaN' if math.isnan(value) else 'an infinite number'}, which is no value"
            )
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, int | datetime.timedelta):
        return str(value)
    if isinstance(value, dict | list | tuple):
        return _as_json(value)
    raise BadCell("not text", f"holds {a_kind(value)}, which is no text")


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, default=_printed)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadCell("not JSON", f"holds {a_kind(value)} that cannot be written as JSON ({error})") from error


def whole(text: str) -> str:
    """`1.0` as `1`, as a floating column writes whole numbers into a CSV."""
    found = _WHOLE.fullmatch(text)
    return found[1] if found else text


def dig(cells: Mapping[str, Any], column: str) -> Any:
    """The value of a column, or of a place inside one (`answers.text.0`). Raises BadCell where there is none."""
    if column in cells:
        return cells[column]
    value: Any = cells
    steps = column.split(".")
    for at, step in enumerate(steps):
        value = _inside(value) if at else value
        try:
            value = value[int(step)] if isinstance(value, list | tuple) else cast("dict[str, Any]", value)[step]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise BadCell("missing column", _not_there(column, ".".join(steps[:at]), value, cells)) from error
    return value


def _not_there(column: str, so_far: str, value: Any, cells: Mapping[str, Any]) -> str:
    if not so_far:
        return f"is missing; this row has {listed(cells)}{near(column, list(cells))}"
    if isinstance(value, dict):
        inside = f"an object with {listed(cast('dict[str, Any]', value))}"
    else:
        inside = f"a list of {len(cast('list[Any]', value))}" if isinstance(value, list) else a_kind(value)
    return f"is missing; {so_far!r} holds {inside}"


def _inside(value: Any) -> Any:
    """A list or an object that stands as JSON text in a cell."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def listed_values(value: Any) -> Any:
    """A cell that should hold a list or an object, also as JSON text; otherwise as it is."""
    return _inside(value)


def turns_of(value: Sequence[Any], column: str, cut_answer: bool) -> tuple[str, tuple[Turn, ...]]:
    """Chat messages as readable text and as turns; no turns where one message of the user says it all.

    `cut_answer`: a last message of the assistant is the right answer, and no part of the question.
    """
    turns = [_turn(at, one) for at, one in enumerate(value, 1)]
    if cut_answer and turns and turns[-1].role == "assistant":
        turns.pop()
    if not turns or turns[-1].role != "user":
        last = f"ends with a message of the {turns[-1].role}" if turns else "holds no message"
        raise BadCell(
            "odd messages",
            f"{last}; a question ends with the user's. Where the last message is the right answer, say "
            f"`answer: {column}.-1.content`",
        )
    return as_transcript(turns)


def as_transcript(turns: Sequence[Turn]) -> tuple[str, tuple[Turn, ...]]:
    """A question of these messages as text and, where it is more than one, as messages."""
    if len(turns) == 1:
        return turns[0].content, ()
    return "\n".join(f"{turn.role}: {turn.content}" for turn in turns), tuple(turns)


def _turn(at: int, message: Any) -> Turn:
    if not isinstance(message, dict):
        raise BadCell("odd messages", f"holds {a_kind(message)} as message {at}; a message has `role` and `content`")
    known = cast("dict[str, Any]", message)
    role, content = known.get("role"), known.get("content")
    if role not in _ROLES:
        what = f"the role {shown(role)}" if "role" in known else f"the keys {listed(known)}"
        raise BadCell(
            "odd messages",
            f"holds as message {at} one with {what}; a message has `role` (system, user, assistant) and `content`",
        )
    if isinstance(content, list):
        content = "".join(_part(at, one) for one in cast("list[Any]", content))
    if not isinstance(content, str) or not content.strip():
        raise BadCell("odd messages", f"holds a message {at} that says nothing; its `content` is {shown(content)}")
    return Turn.model_construct(_TURN, role=role, content=text_of(content))


def _part(at: int, part: Any) -> str:
    text = cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        raise BadCell("odd messages", f"holds in message {at} a part that is no text; a student reads text only")
    return text
