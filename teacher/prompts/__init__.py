"""Prompts are text files, so that a reader sees exactly what a teacher is told; `template` fills them in.

Only our own words are substituted, by `string.Template`. Items and answers never are: they travel as JSON after the
line `DATA:`, where a teacher reads them as data and no format string or template engine touches them. What a server could
take for a control token of its chat template (`<|im_end|>`, `</s>`) is spelt as JSON can spell it: `\\u003c|im_end|>`.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from string import Template
from typing import Any

from teacher.requests import Message

_CONTROL = re.compile(r"<(?=\||/?s>|<SYS|(?:start|end)_of_turn>|(?:bos|eos|pad|unk)>)|\[(?=/?INST])", re.IGNORECASE)


def template(name: str, **words: str) -> str:
    """The prompt file `name`.md with our own words filled in."""
    return Template(_text(name)).substitute(words).strip()


def version(name: str) -> str:
    """A short hash of a prompt file: recorded with what it produced."""
    return hashlib.sha256(_text(name).encode()).hexdigest()[:8]


def conversation(system: str, user: str, data: dict[str, Any]) -> tuple[Message, ...]:
    """System message first (the same for many requests, so servers can cache it), then the user's with its data."""
    body = "\n\n".join(filter(None, (user, f"DATA:\n{plain_json(data)}")))
    return (Message(role="system", content=system), Message(role="user", content=body))


def plain_json(data: dict[str, Any]) -> str:
    """JSON on one line, with nothing in it that a server could take for a control token."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(data, ensure_ascii=False))


def _text(name: str) -> str:
    return (files("teacher.prompts") / f"{name}.md").read_text(encoding="utf-8")


def every_prompt() -> list[tuple[str, str, str]]:
    """(name, version, text) of every prompt file."""
    names = sorted(
        path.name.removesuffix(".md") for path in files("teacher.prompts").iterdir() if path.name.endswith(".md")
    )
    return [(name, version(name), _text(name)) for name in names]
