"""Two ways to take the same training steps: how fast each is, and how far their ELBOs are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from benchmarks.gpu.finding import Finding, tolerance
from benchmarks.gpu.setting import Setting
from benchmarks.timing.measures import rate, times_as_fast
from ltm_pyro.bounds import Terms

Step = Callable[[Tensor], Terms]
APART = {"compiled": 1e-3, "bf16": 0.02}  # nats/token: other orders of additions; products of three digits
WARMUP = 2  # a fast and a slow pass compile in the first step


def compiled(setting: Setting) -> Finding:
    """Steps through `torch.compile` against eager ones."""
    eager, other = (setting.training(setting.decoder()) for _ in range(2))
    other.model.decoder.compile_passes()
    return contest(setting, {"eager": eager.step, "compiled": other.step})


def in_bf16(setting: Setting) -> Finding:
    """Steps whose products of matrices are in bf16 against those in float32."""
    full, half = (setting.training(setting.decoder()) for _ in range(2))
    return contest(setting, {"float32": full.step, "bf16": setting.in_bf16()(half.step)})


def contest(setting: Setting, steps: Mapping[str, Step]) -> Finding:
    """The second against the first, on one batch, with the same noise."""
    texts = setting.texts()
    elbos: dict[str, list[Tensor]] = {name: [] for name in steps}

    def take(name: str) -> None:
        torch.manual_seed(setting.seed + len(elbos[name]))
        elbos[name].append(steps[name](texts).elbo)

    seconds = setting.alternate({name: partial(take, name) for name in steps}, WARMUP)
    usual, other = steps
    pairs = zip(elbos[other], elbos[usual], strict=True)
    apart = max((one - two).mean().abs().item() for one, two in pairs) / setting.sizes.length
    return Finding(
        [
            *(rate(f"training, {name}", setting.sizes.tokens, column) for name, column in seconds.items()),
            times_as_fast(f"{other} / {usual}", seconds[usual], seconds[other]),
            tolerance(f"{other} against {usual}: largest difference of the ELBO", apart, APART[other], "nats/token"),
        ]
    )
