"""Read a teacher's reply: JSON if it is JSON, mended once if it is almost JSON, and otherwise a counted loss.

Servers differ in how well they enforce a schema and a reply may stop at its token limit, so nothing is trusted: code
fences are taken off, and a list cut in the middle keeps its complete elements.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")


def read_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a reply, or None when there is none to be had."""
    plain = _FENCE.sub("", text).strip()
    start = plain.find("{")
    if start < 0:
        return None
    value = _loads(plain[start:]) or _loads(_closed(plain[start:]))
    return cast("dict[str, Any]", _writable(value)) if isinstance(value, dict) else None


def _writable(value: Any) -> Any:
    r"""The value with every half of a surrogate pair (JSON's "\ud800" alone) replaced: no file could hold it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_writable(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {str(_writable(key)): _writable(one) for key, one in cast("dict[str, Any]", value).items()}
    return value


def _loads(text: str) -> Any:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):  # a number of 5,000 digits is a ValueError too
        return None
    return value


def _closed(text: str) -> str:
    """A cut-off object, shortened to its last complete list element and closed."""
    for end in (at for at in range(len(text) - 1, 0, -1) if text[at] in '"}'):
        for tail in ("]}", "}]}", "}"):
            if _loads(text[: end + 1] + tail) is not None:
                return text[: end + 1] + tail
        if len(text) - end > 2000:
            break
    return text
