"""The files that belong together: beside `train.jsonl` a `test.jsonl`, beside `faults.dev.csv` a `faults.test.csv`.

In: the one file a person named. Out: the parts of its source, and a name for the eval set. A part is told by a word in the
file's name; the rest of the name, and the format, have to be the same.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

Role = Literal["train", "dev", "test"]
WORDS: dict[str, Role] = {
    "train": "train", "training": "train", "dev": "dev", "devel": "dev", "development": "dev", "valid": "dev", "validation": "dev",
    "val": "dev", "test": "test", "testing": "test", "heldout": "test",
}  # fmt: skip
PLAIN = frozenset(
    {"data", "dataset", "items", "rows", "eval", "evals", "all", "file", "export", "examples", "questions", "split", ""}
)
"""File names that say nothing, so that the folder's name is a better one."""
_WORD = re.compile(r"[^\W\d_]+")
_SHARD = re.compile(r"[-_.]?\d{3,}[-_]of[-_]\d{3,}")


def part_role(part: str) -> Role | Literal[""]:
    """What a part is for, by its name."""
    return WORDS.get(part.casefold(), "")


def parts_beside(file: Path) -> dict[str, Path]:
    """The parts of a source by role, train first; {"": file} where it stands alone."""
    own = _split_word(file.name)
    if own is None:
        return {"": file}
    found: dict[Role, Path] = {}
    for other in sorted(file.parent.iterdir()):
        word = _split_word(other.name)
        if word and word[1:] == own[1:] and other.is_file():
            found.setdefault(WORDS[word[0]], other)
    found[WORDS[own[0]]] = file
    roles: tuple[Role, ...] = ("train", "dev", "test")
    ordered: dict[str, Path] = {role: found[role] for role in roles if role in found}
    return ordered if len(ordered) > 1 else {"": file}


def _split_word(name: str) -> tuple[str, str, str] | None:
    """The word that names the part, in lower case, with what stands before and after it."""
    for match in _WORD.finditer(name):
        if (word := match.group().casefold()) in WORDS:
            return word, name[: match.start()], _SHARD.sub("", name[match.end() :])
    return None


def set_name(file: Path) -> str:
    """A name for the eval set: what the file is called beside its part, or the name of its folder."""
    stem = _SHARD.sub("", file.name.split(".", 1)[0] if file.is_file() or "." in file.name else file.name)
    words = [word for word in re.split(r"[-_ ]+", stem) if word.casefold() not in WORDS]
    name = "-".join(words)
    if name.casefold() in PLAIN:
        name = file.resolve().parent.name or "evals"
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "evals"
