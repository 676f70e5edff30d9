"""Diagnosis of a NaN or an infinity: the first weight, layer or gradient that is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyro
import torch
from torch import Tensor, nn

from ltm_pyro.bounds import Terms


class DivergedError(RuntimeError):
    """Training reached a NaN or an infinity. The message names its origin and the last checkpoint."""


def offending_rows(terms: Terms) -> list[int]:
    """Indices of the sequences whose objective is not finite; all, if the fault is in the gradient alone."""
    bad = (~torch.isfinite(terms.objective)).nonzero().flatten().tolist()
    return bad or list(range(len(terms.objective)))


def first_non_finite(model: nn.Module, guide: Any, **batch: Any) -> str:
    """Name of the first weight, layer or gradient, in the order of computation, with a value that is not finite."""
    for name, parameter in [*model.named_parameters(), *guide.named_parameters()]:
        if not torch.isfinite(parameter).all():
            return f"weight {name}"
    if any(not torch.isfinite(local).all() for local in guide.local_parameters()):
        prior = getattr(model, "prior", None)
        guide.start(batch["x"], batch.get("mask"), prior=None if prior is None else prior())  # the start of the fit
        return _first_output(model, guide, batch) or _first_backward(model, guide, batch) or "the posterior's fast loop"
    return _first_output(model, guide, batch) or _first_gradient(model) or "no single layer"


@torch.no_grad()
def _first_output(model: nn.Module, guide: Any, batch: dict[str, Any]) -> str:
    layers: list[str] = []

    def watch(name: str) -> Any:
        return lambda module, inputs, output: layers.append(name) if _is_bad(output) else None

    _run(model, guide, batch, [module.register_forward_hook(watch(name)) for name, module in _layers(model)])
    return f"layer {layers[0]}" if layers else ""


def _first_backward(model: Any, guide: Any, batch: dict[str, Any]) -> str:
    layers: list[str] = []

    def watch(name: str) -> Any:
        return lambda module, inputs, outputs: layers.append(name) if any(map(_is_bad, inputs)) else None

    hooks = [module.register_full_backward_hook(watch(name)) for name, module in _layers(model.decoder)]
    _run(model, guide, batch, hooks, backward=True)
    return f"the gradient through layer decoder.{layers[0]} (fast loop)" if layers else ""


def _run(model: nn.Module, guide: Any, batch: dict[str, Any], hooks: list[Any], backward: bool = False) -> None:
    """Run one pass through guide and model with hooks; with `backward`, also the fast loop's backward pass."""
    try:
        drawn = pyro.poutine.trace(guide).get_trace(**batch)
        trace = pyro.poutine.trace(pyro.poutine.replay(model, trace=drawn)).get_trace(**batch)
        log_prob = trace.log_prob_sum()
        if backward:
            torch.autograd.grad(log_prob, guide.local_parameters(), allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module) for name, module in model.named_modules() if name)


def _is_bad(value: Any) -> bool:
    return isinstance(value, Tensor) and not bool(torch.isfinite(value).all())


def _first_gradient(model: nn.Module) -> str:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return f"gradient of {name}"
    return ""
