"""Quick checks of a bound or another objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.bounds import Claim
from ltm_pyro.contracts.broken import a, asking, require
from ltm_pyro.guides import MeanFieldGuide
from ltm_pyro.models.exact import LinearGaussian

SEQUENCES = 4


def check_value(bound: Any) -> None:
    """Assert that `value` has shape (B,), and that each entry depends on its own sequence's log-weights alone."""
    if not bound.is_function_of_weights:
        return
    names = ["value"] if not bound.splits else ["value", "inference_value"]
    for name in names:
        log_w = torch.randn(bound.particles, SEQUENCES, dtype=torch.float64)
        _check_function(getattr(bound, name), log_w, f"{name}(log_w)")


def check_terms(bound: Any) -> None:
    """Assert that the objective of a model and a guide has shape (B,), and each entry its own sequence's gradient."""
    toy = LinearGaussian(z_shape=(1, 1, 2), batch=SEQUENCES)
    guide = MeanFieldGuide(toy.z_shape).double()
    guide.start(toy.x, prior=toy.prior())

    def objective(mu: Tensor) -> Any:
        guide.mu = mu
        return bound.terms(toy, guide, toy.x).objective

    claims = bound.claim is not Claim.NONE  # objectives without a claim may compare the sequences of a batch
    _check_function(objective, guide.mu, "terms(model, guide, x).objective", sequences_at=0, by_itself=claims)


def _check_function(
    function: Callable[[Tensor], Any], point: Tensor, name: str, sequences_at: int = 1, by_itself: bool = True
) -> None:
    """Check a function's shape (B,), finiteness and gradient; `by_itself`: that sequences are independent."""
    point = point.detach().clone().requires_grad_()
    with torch.enable_grad(), asking(name):
        value = function(point)
    require(
        isinstance(value, Tensor) and tuple(value.shape) == (SEQUENCES,),
        f"{name} returns {a(value)}, expected ({SEQUENCES},): one value for each of {SEQUENCES} sequences; reduce over "
        "the particles, dim 0, alone",
    )
    require(bool(value.isfinite().all()), f"{name} is not finite")
    require(
        value.requires_grad,
        f"{name} is detached: no gradient leads from it to its log-weights, so that nothing would be learned; use no "
        "detach(), no_grad() or item()",
    )
    (gradient,) = torch.autograd.grad(value.sum(), point, retain_graph=True, allow_unused=True)
    require(
        gradient is not None and bool(gradient.any()),
        f"{name} does not change with its log-weights: nothing would be learned",
    )
    if not by_itself:
        return
    (alone,) = torch.autograd.grad(value[0], point, allow_unused=True)
    others = None if alone is None else alone.index_select(sequences_at, torch.arange(1, SEQUENCES))
    require(others is None or not others.any(), "a sequence's value changes with its batch mates: never mix sequences")
