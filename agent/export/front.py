"""What cards are made of: a front matter that no text can break out of, and blocks in which text stays text.

Names, frames and instructions come from eval sets, models and servers. In the front matter they are YAML strings on one line; in the
body they are code spans, or code blocks whose fence is longer than any run of backticks in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml

from agent.report.markdown import code
from agent.safe import safe


def front_matter(about: Mapping[str, Any]) -> str:
    """The metadata block at the head of a card, as the hub reads it; what is empty is left out."""
    kept = {name: _plain(value) for name, value in about.items() if value not in ("", [], {}, None)}
    return f"---\n{yaml.safe_dump(kept, sort_keys=False, allow_unicode=True, width=4096)}---\n"


def _plain(value: Any) -> Any:
    """Texts on one line, without what does not print."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in cast("Mapping[str, Any]", value).items()}
    return [_plain(inner) for inner in cast("Sequence[Any]", value)] if isinstance(value, list | tuple) else value


def fenced(text: str, language: str = "") -> str:
    """A block of text as it is."""
    kept = safe(text, keep_newlines=True)
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", kept)), 3)
    return f"{fence}{language}\n{kept}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """A table; cells are our own words, numbers (so many of the last columns), or what `cell` made."""
    rules = ["---:" if at >= len(head) - numbers else "---" for at in range(len(head))]
    lines = [head, rules, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Data in a table."""
    return code(text, in_cell=True)


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def slug(text: str) -> str:
    """A name in the letters a hub's id can have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:90] or "unnamed"
