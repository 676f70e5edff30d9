"""Peak memory of a training step, against a plain loop's, which fills the weights' gradients and forms all logits."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.gpu.finding import Finding
from benchmarks.gpu.setting import Setting
from benchmarks.memory.step import LOOPS, peak_of, training_loop
from benchmarks.timing.measures import Measure

STEPS = 2  # in the second the optimizer has its state


def measure(setting: Setting) -> Finding:
    """Megabytes beyond the weights: what torch reserved on CUDA, else what a process of its own occupied."""
    most = {loop: _bytes(setting, loop) / 1e6 for loop in LOOPS}
    peaks = [Measure(loop, (megabytes,), unit="MB") for loop, megabytes in most.items()]
    return Finding([*peaks, *(Measure(f"{loop} / plain", (most[loop] / most["plain"],)) for loop in LOOPS[1:])])


def _bytes(setting: Setting, loop: str) -> int:
    if not setting.on_cuda:
        return peak_of(loop, setting.sizes, STEPS, torch.get_num_threads(), setting.seed).step
    return peak_on_cuda(setting, loop, torch.cuda)


def peak_on_cuda(setting: Setting, loop: str, cuda: Any) -> int:
    """The most bytes that tensors occupied within training steps, beyond those of weights and texts.

    Args:
        setting: where and how large.
        loop: one of `LOOPS`.
        cuda: `torch.cuda`, or what stands in for it.
    """
    training, texts = training_loop(loop, setting.sizes, setting.device), setting.texts()
    cuda.reset_peak_memory_stats(setting.device)
    before = cuda.memory_allocated(setting.device)
    for _ in range(STEPS):
        training.step(texts)
    return cuda.max_memory_allocated(setting.device) - before
