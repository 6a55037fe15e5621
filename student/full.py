"""A student whose own weights are trained: no adapter, every linear layer of the adapted depth.

The same methods as `student.lora.Student`. What `save` writes are the trained weights alone; the base's own are kept beside them in
memory, so that the untouched model can still be examined and trainings can start from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from student.errors import StudentError
from student.lora import Student, linear_names
from student.records import write_text
from student.settings import SHAPE, Lora

WEIGHTS = "weights.safetensors"


class FullStudent(Student):
    """A base model whose linear layers are trained themselves."""

    def __init__(self, base: Any, tokenizer: Any, lora: Lora) -> None:
        self.tokenizer, self.lora = tokenizer, lora
        self.layer_count = base.config.num_hidden_layers
        self.first_layer = self.layer_count - max(1, round(lora.layers * self.layer_count))
        self.model = base.eval().requires_grad_(False)
        names, layers = set(linear_names(base)), list(self.layers)[self.first_layer :]
        inside = {id(part.weight) for layer in layers for name, part in layer.named_modules()
                  if name.rpartition(".")[2] in names}  # fmt: skip
        self._trained = {name: weight for name, weight in base.named_parameters() if id(weight) in inside}
        self._base = {name: weight.detach().clone() for name, weight in self._trained.items()}
        for weight in self._trained.values():
            weight.requires_grad_(True)

    @property
    def causal(self) -> Any:
        return self.model

    def reset(self, seed: int) -> None:
        """Go back to the base's own weights; nothing is drawn."""
        self._put(self._base)

    def trainable(self) -> list[torch.nn.Parameter]:
        """The weights of the trained layers."""
        return list(self._trained.values())

    def save(self, folder: Path) -> None:
        """Write weights.safetensors: the trained weights, by their names in the model."""
        try:
            save_file(self.state(), folder / WEIGHTS)
        except SafetensorError as error:
            raise OSError(f"The weights could not be written to {folder}: {error}. Free some disk space.") from error
        write_text(folder / SHAPE, self.lora.model_dump_json() + "\n")

    def restore(self, folder: Path) -> None:
        """Load weights that `save` wrote."""
        place = folder / WEIGHTS
        found = load_file(place) if place.exists() else {}
        if {name: weight.shape for name, weight in found.items()} != {
            name: weight.shape for name, weight in self._trained.items()
        }:
            raise StudentError(
                f"The weights in {folder} belong to another model or another student.lora. Name the one they were made with."
            )
        self._put(found)

    def merged(self) -> Any:
        """The model as it is."""
        return self.model

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the trained weights by name."""
        return {name: weight.detach().clone().contiguous() for name, weight in self._trained.items()}

    @contextmanager
    def using(self, adapter: Path | None) -> Iterator[None]:
        """Answer with these weights, or as the untouched base model when it is None."""
        if adapter is not None:
            self.restore(adapter)
            yield
            return
        trained = self.state()
        self._put(self._base)
        try:
            yield
        finally:
            self._put(trained)

    @torch.no_grad()
    def _put(self, weights: dict[str, torch.Tensor]) -> None:
        for name, weight in self._trained.items():
            weight.copy_(weights[name])


def student_of(base: Any, tokenizer: Any, lora: Lora) -> Student:
    """The student that settings ask for."""
    return (FullStudent if lora.how == "full" else Student)(base, tokenizer, lora)
