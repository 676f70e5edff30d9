"""Thoughts given a wanted label, by Metropolis-adjusted Langevin dynamics."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.freezing import frozen
from ltm_pyro.generation.rewarded.batch import prompt_batch
from ltm_pyro.generation.rewarded.candidates import posterior_thoughts
from ltm_pyro.guides.langevin_dynamics import adjusted_langevin
from ltm_pyro.inference import FastLoop
from ltm_pyro.inference.log_joint import LogJoint
from ltm_pyro.models import AbstractModel

ACCEPTANCE = 0.57  # the best for Langevin proposals (Roberts and Rosenthal, 1998)
RATE = 0.5  # of the adaptation, in units of log η


def langevin_thoughts(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    prompts: Tensor,
    r: Tensor,
    steps: int = 200,
    size: float = 0.1,
) -> Tensor:
    r"""z from chains that leave :math:`p(z)\, p(x_{\text{prompt}} \mid z)\, p(r \mid z)` invariant, (N, L, K, D).

    A chain for each text starts at a draw from q(z | prompt), or from the prior without a prompt. In the first half of
    the steps the size η is adapted to an acceptance of 0.57 in the mean over chains; in the second half it is fixed, so
    that the density is invariant there. (`guides.langevin_dynamics.adjusted_langevin`; the plan of Kong et al., 2024,
    arXiv 2402.04647, is inferred from a return likewise.)

    Args:
        prompts: token ids, shape (N, P); P may be 0.
        r: the wanted labels, shape (N,).
        steps: number of steps of each chain, of one gradient of the log-density each in the second half.
        size: η at the start.

    Raises:
        InputError: for a model without a reward head, or with one-hot thoughts, which have no gradient to follow; for
            fewer than two steps or a size that is not positive.
    """
    if steps < 2 or not size > 0:
        raise InputError(f"steps={steps}, size={size}: expected two or more steps of a positive size")
    batch = prompt_batch(model, prompts)
    assert model.prior is not None
    if model.prior.discrete:
        raise InputError(
            f"{type(model.prior).__name__} has one-hot thoughts, which Langevin dynamics cannot move: choose among "
            "candidates (best or weights), or fit q (fit)"
        )
    z = posterior_thoughts(model, guide, fast, prompts, batch, 1)
    with frozen(chain(model.parameters(), guide.parameters())):
        target = LogJoint(model, **{**batch, "r": r})
        z, size = _adapted(z, target, steps // 2, size)
        return adjusted_langevin(z, target, steps - steps // 2, size)[0]


def _adapted(z: Tensor, target: Callable[[Tensor], Tensor], steps: int, size: float) -> tuple[Tensor, float]:
    """Chains after steps whose size is adapted to the acceptance, and the last size."""
    for _ in range(steps):
        moved = adjusted_langevin(z, target, 1, size)
        accepted = (moved != z).flatten(2).any(-1).double().mean().item()
        size *= 2 ** (RATE * (accepted - ACCEPTANCE))
        z = moved
    return z, size
