"""Put an adapter's weights into the base model's own and save a plain model that needs neither adapter nor this program.

In: a loaded student, the folder of an adapter, how long an answer may be. Out: a folder with safetensors, tokenizer and the way to
generate. The sums are PEFT's (`merge_and_unload`, with its check for NaN), in the dtype the base is loaded in. A base that is held
quantised is refused: rounding the sum to a few bits would give another model than the one that was examined.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from transformers import GenerationConfig

from student.errors import StudentError
from student.lora import Student
from student.prompting import leading
from student.writing import end_tokens, more_than_greedy


def merge(student: Student, adapter: Path, out: Path, max_new_tokens: int, plain: bool = True) -> None:
    """Write the merged model into `out`. The student is of no use afterwards. `plain`: whether it is asked without its chat template,
    which writes a first token of its own. Raises StudentError or OSError."""
    if getattr(student.causal, "is_quantized", False):
        raise StudentError(
            "The student's base model is held quantised, and an adapter that is merged into so few bits answers differently. "
            "Use the adapter on top of it, or make the run with an unquantised copy of the model."
        )
    student.restore(adapter)
    ends = sorted(end_tokens(student))
    try:
        merged = student.merged()
    except ValueError as error:
        raise StudentError(
            f"The adapter {adapter} cannot be merged: {error}. Train again with a lower train.learning_rate."
        ) from error
    merged.generation_config = GenerationConfig(
        **more_than_greedy(student), do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=ends,
        bos_token_id=merged.config.bos_token_id, pad_token_id=student.tokenizer.pad_token_id,
    )  # fmt: skip
    try:
        merged.save_pretrained(out)
    except SafetensorError as error:  # a full disk, in the library's own words
        raise OSError(f"The merged model could not be written to {out}: {error}. Free some disk space.") from error
    student.tokenizer.save_pretrained(out)
    alone = [] if plain and leading(student.tokenizer) else ["add_bos_token"]
    _as_trained(out / "tokenizer_config.json", [*alone, "add_eos_token"])


def _as_trained(config: Path, without: Sequence[str]) -> None:
    """Students are trained and asked without some tokens that a tokenizer would add by itself: have other programs do the same."""
    told = json.loads(config.read_text(encoding="utf-8"))
    added = [name for name in without if told.get(name)]
    here = [
        name for name in ("is_local", "local_files_only") if name in told
    ]  # about this machine, not about the tokenizer
    kept = {name: value for name, value in told.items() if name not in here} | dict.fromkeys(added, False)
    config.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
