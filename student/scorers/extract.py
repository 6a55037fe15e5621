"""Where in an output the answer stands: everywhere, on the last line, in a box, after a mark, in a JSON field, by pattern.

In: the `extract:` of a scorer and a text. Out: the part to compare, or None where the output has no such place. The same
rule reads the expected answer, so that `... #### 18` and `18` are the same gold. Patterns are a person's own and meet text
that nobody chose: they run with a deadline.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Literal, cast

import regex
from pydantic import Field, model_serializer, model_validator

from student.records import Record
from student.scorers.json_text import find_json
from student.scorers.numerals import final_numerals, prepared
from student.scorers.suggest import suggest
from student.scorers.unscored import note

Picker = Callable[[str], str | None]
Place = Literal["whole", "last-line", "last-number", "boxed", "after", "regex", "json"]

_BARE = ("whole", "last-line", "last-number", "boxed")
_LONGEST = 20_000
"""Characters a pattern sees, from the end of the output."""
_SECONDS = 2.0
"""How long a pattern may take on one output."""


class Extract(Record):
    """Where the answer stands. In YAML: `last-line`, `boxed`, `json:FIELD`, `{after: "####"}`, `{regex: PATTERN, group: 1}`."""

    place: Place = "whole"
    """What kind of place it is."""
    text: str = ""
    """The mark for `after`, the pattern for `regex`, the field for `json` (dots go into objects)."""
    group: int | str = Field(default=0)
    """For `regex`: the group that holds the answer; the first one where the pattern has groups and none is named."""

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _from_word(value)
        return _from_mapping(value) if isinstance(value, dict) and value and "place" not in value else value

    @model_serializer
    def _write(self) -> Any:
        if self.place in _BARE:
            return self.place
        if self.place == "json":
            return f"json:{self.text}"
        return {self.place: self.text} | ({"group": self.group} if self.place == "regex" else {})


def picker(extract: Extract) -> Picker:
    """The function that finds the answer in a text, or None in a text without one."""
    makers: dict[Place, Callable[[Extract], Picker]] = {
        "whole": lambda _: str.strip,
        "last-line": lambda _: last_line,
        "last-number": lambda _: last_number,
        "boxed": lambda _: boxed,
        "after": lambda one: lambda text: after(one.text, text),
        "regex": lambda one: _by_pattern(one.text, one.group),
        "json": lambda one: lambda text: json_field(one.text, text),
    }
    return makers[extract.place](extract)


def dress(extract: Extract, answer: str) -> str:
    """An output that says `answer` in the place where it is looked for; the bare answer where a pattern decides."""
    if extract.place == "boxed":
        return f"\\boxed{{{answer}}}"
    if extract.place == "after":
        return f"{extract.text} {answer}"
    if extract.place == "json":
        value: Any = answer
        for name in reversed(extract.text.split(".")):
            value = {name: value}
        return json.dumps(value, ensure_ascii=False)
    return answer


def last_line(text: str) -> str | None:
    """The last line that is not blank."""
    return text.strip().rpartition("\n")[2].strip() or None


def last_number(text: str) -> str | None:
    """The number that the text ends up with, as it is written there, without its unit."""
    found = final_numerals(text)
    return prepared(text)[found[0].start : found[0].end] if found else None


def boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}` or `\fbox{...}` holds; None without one, and where it is not closed."""
    at = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    start = text.find("{", at)
    if at < 0 or start < 0 or text[at:start].strip() not in {"\\boxed", "\\fbox"}:
        return None
    depth, here = 0, start
    while here < len(text):
        mark = text[here]
        if mark == "\\":
            here += 1
        elif mark in "{}":
            depth += 1 if mark == "{" else -1
            if not depth:
                return text[start + 1 : here].strip() or None
        here += 1
    return None


def after(mark: str, text: str) -> str | None:
    """The first line that is not blank after the last `mark`."""
    _, found, rest = text.rpartition(mark)
    return rest.strip().partition("\n")[0].strip() or None if found else None


def json_field(path: str, text: str) -> str | None:
    """A field of the JSON object in the text, as text; dots in `path` go into nested objects."""
    value: Any = find_json(text, path.split(".")[:1])
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = cast("dict[str, Any]", value)[name]
    if value is None or isinstance(value, str):
        return value.strip() or None if value else None
    return json.dumps(value, ensure_ascii=False, default=str)


def compiled(pattern: str, group: int | str) -> tuple[regex.Pattern[str], int | str]:
    """A checked pattern and its group. Raises ValueError with what is wrong and where."""
    try:
        ready = regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise ValueError(f"The pattern {pattern!r} is no regular expression: {error}. Correct it.") from error
    if group == 0 and ready.groups:
        group = 1
    if (isinstance(group, int) and not 0 <= group <= ready.groups) or (
        isinstance(group, str) and group not in ready.groupindex
    ):
        known = ", ".join(map(str, [*range(ready.groups + 1), *ready.groupindex]))
        raise ValueError(
            f"The pattern {pattern!r} has no group {group!r}; it has {known}. Correct `group`, or the pattern."
        )
    return ready, group


def _by_pattern(pattern: str, group: int | str) -> Picker:
    ready, chosen = compiled(pattern, group)

    def pick(text: str) -> str | None:
        found, deadline = None, time.monotonic() + _SECONDS
        try:
            for match in ready.finditer(text[-_LONGEST:], timeout=_SECONDS):
                found = match[chosen] if match[chosen] is not None else found
                if time.monotonic() > deadline:
                    raise TimeoutError
        except TimeoutError:
            note("pattern-deadline")
            return None
        return found.strip() or None if found else None

    return pick


def _from_word(word: str) -> dict[str, Any]:
    if word in _BARE:
        return {"place": word}
    if word.startswith("json:") and word != "json:":
        return {"place": "json", "text": word.removeprefix("json:")}
    if word in {"after", "regex", "json", "json:"}:
        example = {"after": '{after: "####"}', "regex": "{regex: 'Answer: (.+)'}"}.get(word, "json:FIELD")
        raise ValueError(f"`extract: {word}` does not say what to look for. Write `extract: {example}`.")
    raise ValueError(
        f"{word!r} is no place to extract an answer from. {suggest(word, [*_BARE, 'json:FIELD', 'after', 'regex'])}"
    )


def _from_mapping(value: dict[Any, Any]) -> dict[str, Any]:
    keys = set(map(str, value))
    extra = next(iter(sorted(keys - {"after", "regex", "json", "group"})), None)
    if extra is not None:
        raise ValueError(f"{extra!r} is no key of `extract`. {suggest(extra, ['after', 'regex', 'json', 'group'])}")
    places = keys - {"group"}
    if len(places) != 1 or ("group" in keys and places != {"regex"}):
        raise ValueError(
            "`extract` names one place: {after: MARK}, {regex: PATTERN}, {regex: PATTERN, group: 1} or {json: FIELD}."
        )
    place = places.pop()
    text = value[place]
    if not isinstance(text, str) or not text:
        raise ValueError(f"`extract: {{{place}: ...}}` needs a text, found {text!r}. Put it in quotes.")
    if place == "regex":
        compiled(text, value.get("group", 0))
    return {"place": place, "text": text, "group": value.get("group", 0)}
