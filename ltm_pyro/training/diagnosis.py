"""Where a NaN or an infinity came from."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from torch import Tensor, nn

from ltm_pyro.bounds import Terms


class DivergedError(RuntimeError):
    """Training met a NaN or an infinity. The message says where it arose, and which checkpoint is the last."""


def offending_rows(terms: Terms) -> list[int]:
    """Which sequences of a batch have a bound that is not finite; all, if the fault is in the gradient alone."""
    bad = (~torch.isfinite(terms.bound)).nonzero().flatten().tolist()
    return bad or list(range(len(terms.bound)))


def first_non_finite(model: nn.Module, guide: Any, **batch: Any) -> str:
    """Names the first place, in the order of computation, that holds or gives a value that is not finite."""
    for name, parameter in [*model.named_parameters(), *guide.named_parameters()]:
        if not torch.isfinite(parameter).all():
            return f"weight {name}"
    if any(not torch.isfinite(local).all() for local in guide.local_parameters()):
        prior = getattr(model, "prior", None)
        guide.start(batch["x"], batch.get("mask"), prior=None if prior is None else prior())  # where its fit began
        return _first_output(model, guide, batch) or "the fitted posterior (fast loop)"
    return _first_output(model, guide, batch) or _first_gradient(model) or "no single layer"


@torch.no_grad()
def _first_output(model: nn.Module, guide: Any, batch: dict[str, Any]) -> str:
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name)

        return hook

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        drawn = pyro.poutine.trace(guide).get_trace(**batch)
        pyro.poutine.replay(model, trace=drawn)(**batch)
    finally:
        for hook_handle in hooks:
            hook_handle.remove()
    return f"layer {found[0]}" if found else ""


def _first_gradient(model: nn.Module) -> str:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"gradient of {name}"
    return ""
