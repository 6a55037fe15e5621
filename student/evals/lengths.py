"""How long a question is in a student's own tokens, and how many the student takes.

Only the tokenizer and the configuration are read where the student is a folder or a hub model. A GGUF file and the
built-in tiny model are loaded through `student.models`, which keeps a plain copy of them in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from student.errors import StudentError
from student.prompting import Ask, Prompter
from student.records import Seed


@dataclass(frozen=True)
class Ruler:
    """Measures in one student's tokens."""

    name: str
    """The student, as it was named."""
    tokenizer: Any
    """The student's."""
    context: int | None
    """Tokens it takes at most; None where its configuration does not say."""

    def question(self, ask: Ask) -> Callable[[Seed], int]:
        """Tokens of an item up to where its answer begins."""
        prompter = Prompter(self.tokenizer, ask)
        return lambda item: len(prompter.question(item.prompt, item.turns))

    def answer(self, ask: Ask) -> Callable[[Seed], int]:
        """Tokens of an item's right answer."""
        prompter = Prompter(self.tokenizer, ask)
        return lambda item: len(prompter.answer(item.answer))


def ruler(name: str, source: str, cache: Path) -> Ruler:
    """A student's tokenizer and context. `source` is what `student.models.load` takes. Raises StudentError."""
    import transformers

    from student.models import TINY, Machine, load

    transformers.utils.logging.disable_progress_bar()
    if source == TINY or source.endswith(".gguf"):
        model, tokenizer = load(source, Machine(device="cpu", dtype="float32", threads=1, gflops=0.0), cache)
        return Ruler(name, tokenizer, _context(model.config))
    from transformers import AutoConfig, AutoTokenizer

    try:
        config, tokenizer = AutoConfig.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise StudentError(
            f"Cannot read the tokenizer of the student {name!r}: {str(error).splitlines()[0]}. Check the name, or leave --student "
            "out: lengths are then bounded by bytes."
        ) from error
    return Ruler(name, tokenizer, _context(config))


def _context(config: Any) -> int | None:
    size = getattr(config, "max_position_embeddings", None)
    return int(size) if size else None
