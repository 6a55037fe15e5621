"""One base model with one LoRA adapter that is reset, trained, saved, loaded and switched off; the base never changes.

The base is loaded once per run. A training starts from freshly drawn adapter weights (LoRA: Hu et al., arXiv 2106.09685; from the
base each round, as LLM2LLM's ablation asks) or, where `train.start` says so, from an adapter that was saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file

from student.errors import StudentError
from student.fused import fuse
from student.packed import FUSED_FROM
from student.settings import Lora


class Student:
    """A base model that carries a single, replaceable adapter."""

    fused_from = FUSED_FROM
    """See `student.models.Machine`."""

    def __init__(self, base: Any, tokenizer: Any, lora: Lora) -> None:
        self.tokenizer, self.lora = tokenizer, lora
        self.layer_count: int = base.config.num_hidden_layers
        self.first_layer = self.layer_count - max(1, round(lora.layers * self.layer_count))
        config = LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, use_rslora=lora.rslora, target_modules=linear_names(base), task_type="CAUSAL_LM",
            layers_to_transform=list(range(self.first_layer, self.layer_count)),
        )  # fmt: skip
        self.model: Any = get_peft_model(base, config, autocast_adapter_dtype=False)
        self.model.eval()
        fuse(self.model)

    @property
    def causal(self) -> Any:
        """The plain transformers model, with the adapter's layers inside it."""
        return self.model.get_base_model()

    @property
    def backbone(self) -> Any:
        """The transformers model without its output head."""
        return self.causal.base_model

    @property
    def layers(self) -> torch.nn.ModuleList:
        """The model's layers, whatever it calls them."""
        lists = (part for part in self.backbone.modules() if isinstance(part, torch.nn.ModuleList))
        return next(part for part in lists if len(part) == self.layer_count)

    @property
    def device(self) -> torch.device:
        return self.causal.device

    def reset(self, seed: int) -> None:
        """Draw a fresh adapter: A random, B zero, so that training starts exactly at the base model."""
        torch.manual_seed(seed)
        for module in self.model.modules():
            if isinstance(module, LoraLayer):
                module.reset_lora_parameters("default", True)

    def trainable(self) -> list[torch.nn.Parameter]:
        """The adapter's weights."""
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    def clear_gradients(self) -> None:
        """Forget what a backward pass has left."""
        for weight in self.trainable():
            weight.grad = None

    def save(self, folder: Path) -> None:
        """Write adapter_model.safetensors and adapter_config.json, as PEFT and its users expect them."""
        try:
            self.model.save_pretrained(folder)
        except SafetensorError as error:  # a full disk, in the library's own words
            raise OSError(f"The adapter could not be written to {folder}: {error}. Free some disk space.") from error
        config = folder / "adapter_config.json"
        values = json.loads(config.read_text())
        values["target_modules"].sort()  # PEFT writes a set: its order changes from process to process
        config.write_text(json.dumps(values, indent=2, sort_keys=True))

    def restore(self, folder: Path) -> None:
        """Load an adapter that `save` wrote."""
        found = load_file(folder / "adapter_model.safetensors")
        if (
            found.keys() != get_peft_model_state_dict(self.model).keys()
        ):  # PEFT would skip what does not fit, in silence
            raise StudentError(
                f"The adapter {folder} belongs to another model or another student.lora. Name the one it was made with."
            )
        set_peft_model_state_dict(self.model, found)

    def merged(self) -> Any:
        """The plain model with the update added to its weights; of the student nothing is left. Raises ValueError for weights that are
        no numbers."""
        return self.model.merge_and_unload(safe_merge=True)

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter's weights by name."""
        return {name: weight.clone() for name, weight in get_peft_model_state_dict(self.model).items()}

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Vocabulary logits in float32 for hidden states [n, width]; the head runs only where it is asked for."""
        logits = self.causal.get_output_embeddings()(hidden).float()
        cap = getattr(self.causal.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits

    @contextmanager
    def using(self, adapter: Path | None) -> Iterator[None]:
        """Answer with this adapter, or as the untouched base model when it is None."""
        if adapter is None:
            with self.model.disable_adapter():
                yield
        else:
            self.restore(adapter)
            yield


def linear_names(model: Any) -> list[str]:
    """The names of every linear layer but the output head: what "all-linear" means, spelled out."""
    head = model.get_output_embeddings()
    named = ((name, part) for name, part in model.named_modules() if isinstance(part, torch.nn.Linear))
    return sorted({name.rpartition(".")[2] for name, part in named if part is not head})
