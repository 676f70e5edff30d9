"""Reference of a gradient: the exact gradient, or draws of an unbiased estimator for the same bound and S."""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from ltm_pyro.bounds import (
    VIMCO,
    AbstractGradient,
    AbstractObjective,
    Claim,
    DoublyReparameterised,
    Reparameterised,
    ScoreFunction,
    StickingTheLanding,
)
from ltm_pyro.models.exact import FiniteMixture, LinearGaussian
from ltm_pyro.studies.bounds.problem import Problem


def reference_objective(objective: AbstractObjective, reparameterised: bool) -> AbstractObjective | None:
    """Copy of the objective with the unbiased gradient of least variance; None if there is none."""
    candidates: tuple[AbstractGradient, ...] = (VIMCO(), ScoreFunction())
    if reparameterised:
        candidates = (StickingTheLanding(), DoublyReparameterised(), Reparameterised())
    for gradient in candidates:
        if gradient.refusal(objective) is None:
            variant = copy(objective)
            variant.gradient = gradient
            return variant
    return None


def exact_gradient(problem: Problem, objective: AbstractObjective) -> Tensor | None:
    """Exact gradient by γ, shape (1, B, G), of a bound whose mean is the ELBO, for the models with a known ELBO."""
    bounds_elbo = objective.claim is Claim.LOWER and (objective.linear or objective.particles == 1)
    if not bounds_elbo:
        return None
    inputs = problem.place()
    rows = problem.guide.local_parameters()
    value = _exact_elbo(problem, inputs["x"], rows)
    if value is None:
        return None
    gradients = torch.autograd.grad(value.sum(), rows)
    return torch.cat([gradient.flatten(1) for gradient in gradients], 1)[None]


def _exact_elbo(problem: Problem, x: Tensor, rows: list[Tensor]) -> Tensor | None:
    """ELBO as a differentiable function of q, shape (B,)."""
    model, guide = problem.model, problem.guide
    if isinstance(model, LinearGaussian) and hasattr(guide, "log_sigma"):
        return model.elbo(x, guide.mu, guide.log_sigma.exp())
    if isinstance(model, FiniteMixture) and hasattr(guide, "logits"):
        log_q = (model.states()[:, None] * guide.logits.log_softmax(-1)).flatten(2).sum(-1)  # (states, B)
        return (log_q.exp() * (model.log_joint(x).detach() - log_q)).sum(0)
    return None
