"""LoRA's product in one step: the frozen layer's output with the update added in place, and a backward pass to match.

PEFT's layer makes the update as a tensor of its own, scales it and adds it: at rank 16 those passes over memory cost more than
the arithmetic (a product with inner dimension 16 reached 23 of 150 GFLOP/s; the same added in place, 85). The result is PEFT's own up to
the order of rounding, the weights stay in PEFT's modules, and whatever is out of the ordinary (an adapter that is merged or
switched off, several adapters, a quantised base, dropout, DoRA) goes PEFT's way.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear

ADAPTER = "default"


class _Product(torch.autograd.Function):
    """y = x W' + b + s (x A') B' for x [n, in], W [out, in], A [r, in], B [out, r]; the base (W, b) gets no gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, down: torch.Tensor,
        up: torch.Tensor, scale: float,
    ) -> torch.Tensor:  # fmt: skip
        low = x @ down.T
        y = x @ weight.T if bias is None else torch.addmm(bias, x, weight.T)
        ctx.save_for_backward(x, low, weight, down, up)
        ctx.scale = scale
        return y.addmm_(low, up.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        x, low, weight, down, up = ctx.saved_tensors
        grad = grads[0]
        low_grad = (grad @ up).mul_(ctx.scale)
        x_grad = (grad @ weight).addmm_(low_grad, down) if ctx.needs_input_grad[0] else None
        return x_grad, None, None, low_grad.T @ x, (low.T @ grad).mul_(ctx.scale).T, None


def fuse(model: Any) -> int:
    """Give every plain LoRA layer of a PEFT model the fused product; returns how many there are."""
    layers = [module for module in model.modules() if _plain(module)]
    for module in layers:
        module.forward = MethodType(_forward, module)
    return len(layers)


def _plain(module: Any) -> bool:
    """Whether the layer is nothing but a frozen linear layer in floating point with one low-rank update."""
    return (
        type(module) is LoraLinear
        and type(module.base_layer) is torch.nn.Linear
        and module.base_layer.weight.is_floating_point()
        and list(module.lora_A) == [ADAPTER]
        and isinstance(module.lora_dropout[ADAPTER], torch.nn.Identity)
        and not module.lora_variant
    )


def _forward(self: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    if self.disable_adapters or self.merged or args or kwargs:
        return LoraLinear.forward(self, x, *args, **kwargs)
    base, down, up = self.base_layer, self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
    flat = x.reshape(-1, x.shape[-1])
    y = _Product.apply(flat, base.weight, base.bias, down, up, self.scaling[ADAPTER])
    return y.view(*x.shape[:-1], -1)
