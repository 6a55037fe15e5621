r"""Read a teacher's reply: JSON if it is JSON, mended once if it is almost JSON, and otherwise a counted loss.

Servers differ in how well they enforce a schema and a reply may stop at its token limit, so nothing is trusted. What
stands before the object (thoughts, a code fence, a greeting) and after it is passed over. Mending is what can be done
without guessing: commas before a closing bracket go, a backslash that escapes nothing (`\(` in a formula) stands for
itself, and a list that is cut off keeps its complete elements. An object that says a thing twice, or NaN, says nothing.

It takes one pass whatever is sent: time grows with the length of a reply and not with its square.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn, cast

LONGEST = 300_000
"""Characters; no reply within max_tokens is nearly as long."""
DEEPEST = 100
"""Brackets within one another; json itself may run out of stack later."""
_OBJECT = re.compile(r'\{\s*["}]')
_TOKEN = re.compile(r'"(?P<inside>(?:[^"\\]++|\\.)*+)(?P<closed>"?)|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_ESCAPE = re.compile(r'(\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})|\\')
_PAIRS = {"{": "}", "[": "]"}


def read_object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a reply, or None when there is none to be had."""
    plain = _from_object(text) if len(text) <= LONGEST else ""
    mended = _mended(plain)
    value = _loads(mended) if mended else None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_text(value: object) -> str | None:
    """An answer in a reply as text: a number or truth value as JSON spells it; None for what is no answer."""
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value) if isinstance(value, bool | int | float) else None


def _from_object(text: str) -> str:
    """The reply from its object on, thoughts left out; empty where it holds none."""
    _, thought, answer = text.rpartition("</think>")
    if not thought and text.lstrip().startswith("<think>"):
        return ""  # cut off while still thinking: an object in there is a draft
    start = _OBJECT.search(text if text.lstrip().startswith(("{", "`")) else answer)
    return start.string[start.start() :] if start else ""


def _loads(text: str) -> Any:
    try:
        value = _DECODER.decode(text)
        # Half of a surrogate pair (JSON's "\ud800" alone) is no text, and no file could hold it.
        return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):  # a number of 5,000 digits is a ValueError too
        return None


def _mended(text: str) -> str:
    """The object that `text` begins with; where it is cut off or its brackets do not match, what is complete of it."""
    scan = _Scan()
    for token in _TOKEN.finditer(text):
        if not scan.take(token, token.end() == len(text)):
            break
    return scan.closed()


class _Scan:
    """The tokens of an object so far, the brackets still open, and how much of it is complete.

    A value is complete when it has ended; but a part of an object that stands in a list is not kept without the rest.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.opened: list[str] = []
        self.lists = self.partial = 0
        """Open lists, and open objects within them."""
        self.kept = (0, 0)
        """Tokens, and open brackets after them, up to the last complete value."""

    def take(self, token: re.Match[str], last: bool) -> bool:
        """Whether to go on after this token."""
        mark = token.group()
        if mark in _PAIRS:
            self._open(mark)
            return len(self.opened) <= DEEPEST
        if mark in ("}", "]"):
            return self._close(mark)
        is_value = self.opened[-1] == "[" or self.parts[-1] == ":"
        if mark[0] == '"':
            if not token["closed"]:
                return False
            mark = _ESCAPE.sub(lambda found: found.group(1) or "\\\\", mark)
        elif mark in (",", ":") or last:  # a number at the very end may lack digits
            is_value = False
        self.parts.append(mark)
        self._keep(is_value)
        return True

    def closed(self) -> str:
        """The complete values, with every bracket closed that is open around them."""
        tokens, depth = self.kept
        return " ".join([*self.parts[:tokens], *(_PAIRS[mark] for mark in reversed(self.opened[:depth]))])

    def _open(self, mark: str) -> None:
        self.partial += mark == "{" and self.lists > 0
        self.lists += mark == "["
        self.opened.append(mark)
        self.parts.append(mark)

    def _close(self, mark: str) -> bool:
        if _PAIRS[self.opened[-1]] != mark:
            return False
        self.opened.pop()
        self.lists -= mark == "]"
        self.partial -= mark == "}" and self.lists > 0
        if self.parts[-1] == ",":
            self.parts.pop()
        self.parts.append(mark)
        self._keep(True)
        return bool(self.opened)

    def _keep(self, is_value: bool) -> None:
        if is_value and not self.partial:
            self.kept = (len(self.parts), len(self.opened))


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else _no_number("a key that comes twice")


_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_once_each)
