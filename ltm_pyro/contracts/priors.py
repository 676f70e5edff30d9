"""Quick checks of a prior."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Distribution

from ltm_pyro.contracts.broken import a, asking, require


def check_distribution(prior: Any) -> None:
    """Assert that `forward()` returns a Pyro distribution with batch shape () and event shape (L, K, D)."""
    with asking("forward()"):
        p = prior()
    require(
        isinstance(p, Distribution),
        f"forward() returns {a(p)}: return the distribution p(z), and leave drawing from it to the model",
    )
    require(
        callable(p),
        f"forward() returns torch's {type(p).__name__}: take the same class from pyro.distributions, since Pyro's "
        "plates need it",
    )
    event, batch, expected = tuple(p.event_shape), tuple(p.batch_shape), tuple(prior.z_shape)
    require(
        event == expected,
        f"p(z) has event shape {event}, expected {expected}: one event is all of (L, K, D), .to_event(3)",
    )
    require(batch == (), f"p(z) has batch shape {batch}, expected (): it is the same for every sequence")


def check_expansion(prior: Any, dtype: torch.dtype | None = None) -> dict[str, Any]:
    """Assert that p(z) expands over particles and sequences, with separate, differentiable densities.

    Args:
        prior: a prior that has passed `check_distribution`.
        dtype: of the model's weights, which samples must have; None skips the check.

    Returns:
        The site `z` of 3 particles of 4 sequences.
    """

    def model() -> None:
        with pyro.plate("particles", 3, dim=-2), pyro.plate("sequences", 4, dim=-1):
            pyro.sample("z", prior())

    with asking("drawing 3 particles of 4 sequences from p(z)"):
        trace = poutine.trace(model).get_trace()
    site = trace.nodes["z"]
    z, shape = site["value"], (3, 4, *prior.z_shape)
    drawn = tuple(z.shape)
    require(drawn == shape, f"3 particles of 4 sequences are drawn as {drawn}, not {shape}: see expand()")
    require(dtype in (None, z.dtype), f"p(z) draws {z.dtype} beside weights of {dtype}: {DTYPE}")
    with asking("log_prob of p(z)"):
        trace.compute_log_prob()
        alone = tuple(prior().expand((3, 4)).log_prob(z[0, 0]).shape)
    scored = tuple(site["log_prob"].shape)
    require(
        site["fn"].batch_shape == scored == (3, 4), f"3 particles of 4 sequences are scored as {scored}, not (3, 4)"
    )
    require(site["fn"].support.event_dim == 3, "the support of p(z) must have 3 event dimensions")
    require(
        alone == (3, 4), f"expanded to (3, 4), p(z) gives a log_prob of shape {alone}: it must broadcast over the batch"
    )
    require(bool(site["log_prob"].isfinite().all()), "log p(z) is not finite at samples of p(z)")
    if not getattr(prior, "discrete", False):
        _check_slope(prior, z[0].detach())
    return site


DTYPE = "make its tensors as parameters or buffers, or in their dtype, so that they move with the model"


def _check_slope(prior: Any, z: Tensor) -> None:
    """Check that every sequence's density has a gradient in its own z, and in no other."""
    z = z.clone().requires_grad_()
    with torch.enable_grad(), asking("log_prob of p(z)"):
        log_prob = prior().expand(z.shape[:1]).log_prob(z)
    require(log_prob.requires_grad, "log p(z) is detached from z: the fast loop follows its gradient")
    (slope,) = torch.autograd.grad(log_prob[0], z, allow_unused=True)
    require(slope is not None, "log p(z) does not depend on z: its gradient in z is None")
    require(bool(slope.isfinite().all()), "the gradient of log p(z) along z is not finite")
    require(not slope[1:].any(), "a sequence's log p(z) changes with its batch mates: never mix sequences")


def check_repetition(prior: Any) -> None:
    """Assert that a prior takes all randomness from torch, and none in `forward`."""
    draws = [_seeded(seed, prior().sample, (3,)) for seed in (1, 1, 2)]
    same = torch.equal(draws[0], draws[1])
    require(same, "it draws another z under the same seed: take all noise from torch, and none in forward()")
    require(not torch.equal(draws[0], draws[2]), "it draws the same z under another seed")
    densities = [_seeded(seed, prior().log_prob, draws[0]) for seed in (1, 1)]
    require(torch.equal(*densities), "log p(z) of the same z changes from call to call, at the same seed")


def _seeded(seed: int, function: Any, *arguments: Any) -> Any:
    pyro.set_rng_seed(seed)
    with asking("p(z)"), torch.no_grad():
        return function(*arguments)
