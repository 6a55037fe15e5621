"""AdamW on one flat float32 copy of the trained weights, with a linear warm-up and cosine decay."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from student.settings import TrainSettings


class Optimiser:
    """Keeps the weights in float32 whatever the model's own precision, so that small updates are not rounded away."""

    def __init__(self, weights: Sequence[torch.nn.Parameter], settings: TrainSettings, steps: int) -> None:
        self.weights, self.steps, self.done = list(weights), steps, 0
        sizes = [weight.numel() for weight in self.weights]
        device = self.weights[0].device
        self.flat = torch.nn.Parameter(torch.empty(sum(sizes), device=device))
        """[trained weights] all of them, end to end."""
        self.flat.grad = torch.zeros_like(self.flat)
        self._masters, self._grads = self.flat.detach().split(sizes), self.flat.grad.split(sizes)
        for master, weight in zip(self._masters, self.weights, strict=True):
            master.copy_(weight.detach().reshape(-1))
        self.peak, self._warm = settings.learning_rate, max(1, round(settings.warmup * steps))
        self._inner = torch.optim.AdamW([self.flat], lr=self.peak, weight_decay=settings.weight_decay, fused=True)

    @torch.no_grad()
    def gather(self) -> torch.Tensor:
        """Take the model's gradients over, flat and in float32, and clear them; returns [trained weights]."""
        for grad, weight in zip(self._grads, self.weights, strict=True):
            if weight.grad is None:
                grad.zero_()
            else:
                grad.copy_(weight.grad.reshape(-1))
            weight.grad = None
        assert self.flat.grad is not None
        return self.flat.grad

    @torch.no_grad()
    def step(self) -> None:
        """Apply what was gathered, clipped to norm 1, and put the new weights into the model."""
        torch.nn.utils.clip_grad_norm_([self.flat], 1.0)
        self._inner.param_groups[0]["lr"] = self.peak * rate(self.done, self._warm, self.steps)
        self._inner.step()
        self.done += 1
        self.put(self.flat)

    @torch.no_grad()
    def put(self, flat: torch.Tensor) -> None:
        """Give the model these weights, [trained weights]."""
        for part, weight in zip(flat.split([weight.numel() for weight in self.weights]), self.weights, strict=True):
            weight.copy_(part.view_as(weight))

    def state(self) -> dict[str, torch.Tensor]:
        """All that is needed to go on from here, by name."""
        inner = self._inner.state[self.flat]
        kept = {"weights": self.flat.detach(), "mean": inner["exp_avg"], "square": inner["exp_avg_sq"]}
        return {name: values.cpu() for name, values in kept.items()}

    @torch.no_grad()
    def restore(self, kept: dict[str, torch.Tensor], done: int) -> None:
        """Go on from `state`, after so many steps."""
        self.flat.copy_(kept["weights"])
        device = self.flat.device
        self._inner.state[self.flat] = {
            "step": torch.tensor(float(done), device=device), "exp_avg": kept["mean"].to(device),
            "exp_avg_sq": kept["square"].to(device),
        }  # fmt: skip
        self.done = done
        self.put(self.flat)


def rate(step: int, warm: int, steps: int) -> float:
    """The learning rate at a step (counted from 0), as a share of its peak."""
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
