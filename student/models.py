"""Load a student: a hub id, a local folder, a GGUF file, or the built-in tiny model; and find out what suits the machine.

A GGUF is de-quantised once into a safetensors folder in the cache, because Trainer-style code refuses a model that is
still marked quantised and because loading the copy is some fifty times faster. Only safetensors are read, and no
code from a model repository is ever run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any

import joblib
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from student.errors import StudentError
from student.packed import FUSED_FROM, probe_fused
from student.records import Record, write_text

TINY = "builtin:tiny"


class Machine(Record):
    """What this machine was found to do best; recorded with the run and used again when it resumes."""

    device: str
    """`cpu` or `cuda`."""
    dtype: str
    """`float32` or `bfloat16`: the faster of the two in a short matrix-multiply probe."""
    threads: int
    """CPU threads for the model's arithmetic."""
    gflops: float
    """What the probe reached with that dtype, in GFLOP/s; 0 on a GPU, where nothing is probed."""
    fused_from: int = FUSED_FROM
    """Tokens from which a row's attention is quicker by torch's fused kernel than by plain products."""


def probe() -> Machine:
    """Time a matrix product of a small model's size in both precisions; bfloat16 must win clearly, being less exact.

    Takes about a second.
    """
    threads = _cores()
    if torch.cuda.is_available():
        # Older cards only imitate bfloat16, more slowly than they compute in float32.
        dtype = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
        return Machine(device="cuda", dtype=dtype, threads=threads, gflops=0.0, fused_from=0)
    torch.set_num_threads(threads)
    speeds = {dtype: gemm_gflops(getattr(torch, dtype)) for dtype in ("float32", "bfloat16")}
    best = "bfloat16" if speeds["bfloat16"] > 1.3 * speeds["float32"] else "float32"
    fused_from = probe_fused(torch.device("cpu"), getattr(torch, best))
    return Machine(device="cpu", dtype=best, threads=threads, gflops=round(speeds[best], 1), fused_from=fused_from)


def probed(cache: Path) -> Machine:
    """What `probe` finds, or found when it was first asked on a machine like this: probes differ from day to day, results should not."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    about = [platform.node(), platform.machine(), torch.__version__, gpu, _cores()]
    place = cache / "machines" / f"{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]}.json"
    try:
        return Machine.model_validate_json(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = probe()
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, found.model_dump_json(indent=1) + "\n")
        return found


def _cores() -> int:
    """CPU cores this process may use: a container or a batch system may allow fewer than there are, and threads without a core of
    their own wait for one another."""
    return max(1, joblib.cpu_count())


def gemm_gflops(dtype: torch.dtype, repeats: int = 12, device: str = "cpu") -> float:
    """The best rate of a matrix product in GFLOP/s: of a small model's size on a CPU, of a size that fills the card on a GPU.

    Stops after two seconds, with fewer repeats: a CPU without instructions for bfloat16 takes half a second for each.
    """
    rows, inner, columns = (512, 576, 1536) if device == "cpu" else (8192, 8192, 8192)
    left = torch.randn(rows, inner, device=device).to(dtype)
    right = torch.randn(inner, columns, device=device).to(dtype)
    best, began = float("inf"), time.perf_counter()
    for _ in range(repeats):
        start = time.perf_counter()
        torch.matmul(left, right)
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - began > 2:
            break
    return 2 * rows * inner * columns / best / 1e9


def load(source: str, machine: Machine, cache: Path, four_bit: bool = False) -> tuple[Any, Any]:
    """The model, in evaluation mode on its device, and its tokenizer; with `four_bit`, its layers are held in 4 bits (QLoRA's NF4).

    Raises StudentError when the source is not there, is damaged, or is not a causal language model in safetensors.
    """
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise StudentError(
            "This was begun on a GPU, and there is none here. Go on where the GPU is, or start another run. To go on here all the same, "
            "delete machine.json in the run's folder: what the GPU computed is then computed again."
        )
    place, quantised = _place(source, cache), _four_bits(machine) if four_bit else None
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            place,
            dtype=getattr(torch, machine.dtype),
            use_safetensors=True,
            attn_implementation="eager",
            quantization_config=quantised,
            output_loading_info=True,
        )
        model, found = loaded
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise StudentError(
            f"Cannot load the student {source!r}: {str(error).splitlines()[0]}. Give a folder with config.json and "
            "*.safetensors, a .gguf file, a model id of a hub you can reach, or builtin:smollm2-135m-instruct."
        ) from error
    if found["missing_keys"]:
        raise StudentError(
            f"The student {source!r} is not whole: its files lack {len(found['missing_keys'])} weights, among them "
            f"{min(found['missing_keys'])}, which would be drawn at random. Download it again, or name another."
        )
    if tokenizer.eos_token_id is None:
        raise StudentError(
            f"The tokenizer of the student {source!r} has no end-of-text token (eos_token), so answers could not end. Name one in its "
            "tokenizer_config.json, or take another student."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return (model if quantised else model.to(machine.device)).eval(), tokenizer


def _four_bits(machine: Machine) -> Any:
    """How a base is held in 4 bits (Dettmers et al., arXiv 2305.14314): NF4 with doubly quantised scales, sums in the machine's dtype."""
    if machine.device != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
        raise StudentError(
            "student.lora.how=qlora needs a GPU and the package bitsandbytes, and not both are here. Install it with "
            "`pip install bitsandbytes`, or use student.lora.how=lora: a small student fits without 4 bits."
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, machine.dtype),
    )  # fmt: skip


def _place(source: str, cache: Path) -> str:
    """Where the safetensors are: a folder for files and built-ins, the id itself for a hub model."""
    if source == TINY:
        return str(_once(cache / "tiny-2", _make_tiny))
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise StudentError(f"The student {source!r} is a GGUF file that does not exist. Check the path.")
        return str(_once(cache / f"from-gguf-{_file_key(path)}", lambda folder: _dequantise(path, folder)))
    if path.is_dir():
        return str(path)
    if source.startswith((".", "/", "~")):
        raise StudentError(f"The student folder {source!r} does not exist. Check the path, or name a hub model.")
    return source


def _file_key(path: Path) -> str:
    """Names a large file by size and three samples of its bytes: cheap, and it changes when the file does."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as handle:
        for offset in (0, size // 2, max(0, size - 65536)):
            handle.seek(offset)
            digest.update(handle.read(65536))
    return digest.hexdigest()[:16]


def _once(folder: Path, make: Any) -> Path:
    """Build `folder` beside its place and rename it there, so that nobody ever sees half of it."""
    if folder.is_dir():
        return folder
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    make(draft)
    try:
        draft.rename(folder)
    except OSError:  # another process was first; its copy is as good
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _dequantise(gguf: Path, folder: Path) -> None:
    from transformers.utils.quantization_config import GgufConfig

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except Exception as error:
        raise StudentError(
            f"Cannot read {str(gguf)!r} as a GGUF language model: {error}. Download it again, or give a safetensors folder."
        ) from error
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _make_tiny(folder: Path) -> None:
    """A two-layer model over bytes with random weights: it learns a little, loads at once, and needs no download."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate(["<|end|>", *symbols])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, eos_token_id=0, bos_token_id=0, pad_token_id=0, tie_word_embeddings=True,
        initializer_range=0.2,
    )  # fmt: skip
    LlamaForCausalLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
