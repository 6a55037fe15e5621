"""What this machine can do at best: matrix products of a small model's size in both precisions, and memory copies.

Prints one JSON line and one sentence. Every share of peak elsewhere is a share of these numbers, taken in the same run.
"""

from __future__ import annotations

import json
import time

import torch

from student.models import gemm_gflops, probe


def copy_rate() -> float:
    """GB/s read and written by a large copy, best of five."""
    source = torch.randn(25_000_000)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        best = min(best, time.perf_counter() - start)
    return 2 * source.numel() * 4 / best / 1e9


if __name__ == "__main__":
    machine = probe()
    speeds = {name: round(gemm_gflops(getattr(torch, name), 60, machine.device), 1) for name in ("float32", "bfloat16")}
    found = {
        "bench": "peak",
        **speeds,
        "copy_gb_per_s": round(copy_rate(), 1),
        "threads": machine.threads,
        "device": torch.cuda.get_device_name() if machine.device == "cuda" else "cpu",
        "chosen": machine.dtype,
    }
    print(json.dumps(found))
    print(
        f"GEMM peak {speeds['float32']} GFLOP/s in float32, {speeds['bfloat16']} in bfloat16; the student runs in {machine.dtype}."
    )
