"""The contract of a prior, as a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro
import torch
from torch import Tensor

from ltm_pyro.contracts import check_distribution, check_expansion, check_repetition
from ltm_pyro.testing.means import z_test

HALF, POINTS = 15.0, 601  # of the grid on which a density is integrated


def check_prior(make: Callable[[tuple[int, int, int]], Any], seed: int = 0, draws: int = 50_000) -> None:
    """Assert that a prior with an exact density keeps its contract.

    p(z) has event shape (L, K, D) and expands over particles and sequences; it draws the same under the same seed; it
    moves and is restored as a module is; its density integrates to one, and its samples are from that density.

    Args:
        make: the prior from z_shape (L, K, D), such as its class.
        seed: of all noise; the global random state is left as it was.
        draws: samples that are compared with the density.

    Raises:
        AssertionError: if one of these does not hold.
    """
    with torch.random.fork_rng(devices=[]):
        pyro.set_rng_seed(seed)
        prior = scattered(make((2, 3, 4)))
        assert_it_expands_over_particles_and_sequences(prior)
        assert_it_repeats_under_a_seed(prior)
        other = make((2, 3, 4)).double()
        other.load_state_dict(prior.state_dict())
        z = prior().sample((5,))
        same = torch.equal(seeded(0, prior().log_prob, z), seeded(0, other().log_prob, z))
        assert same, "its density is another one after state_dict() and load_state_dict(): register what it is made of"
        assert_it_moves_as_a_module_does(prior)
        assert_its_samples_have_its_density(scattered(make((1, 1, 2))), draws)


@torch.no_grad()
def assert_its_samples_have_its_density(prior: Any, draws: int) -> None:
    """Over two dimensions, by quadrature: the whole is one, and bounded functions have the mean of the samples."""
    axis = torch.linspace(-HALF, HALF, POINTS, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = prior().log_prob(z.view(-1, *prior.z_shape)).exp() * (axis[1] - axis[0]) ** 2
    whole = mass.sum().item()
    assert abs(whole - 1) < 0.02, f"its density integrates to {whole:.3f} within ±{HALF:g}, and not to 1"
    samples = _bounded(prior().sample((draws,)).flatten(-3))
    z_test(samples, mass @ _bounded(z) / whole, limit=4.5)


def _bounded(z: Tensor) -> Tensor:
    """Functions of two numbers that heavy tails do not trouble, (..., 2) -> (..., F)."""
    one, two = z.unbind(-1)
    return torch.stack((one.tanh(), two.tanh(), one.tanh() ** 2, two.tanh() ** 2, (one * two).tanh(), one.sin()), -1)


def scattered(module, scale=1.0):
    """The same module in float64, with weights far from where they start."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            fan = parameter.shape[1] if parameter.dim() == 2 else 4
            parameter.add_(scale * torch.randn_like(parameter) / fan**0.5)
    return module


def seeded(seed, function, *args):
    pyro.set_rng_seed(seed)
    return function(*args)


def assert_it_expands_over_particles_and_sequences(prior):
    """And every sequence's density is its own."""
    check_distribution(prior)
    return check_expansion(prior)


def assert_it_repeats_under_a_seed(prior):
    check_repetition(prior)


def assert_its_state_can_be_restored(prior, other):
    """Bit by bit, into another of the same making."""
    z = prior().sample((5,))
    assert not torch.equal(seeded(0, prior().log_prob, z), seeded(0, other().log_prob, z))
    other.load_state_dict(prior.state_dict())
    assert torch.equal(seeded(0, prior().log_prob, z), seeded(0, other().log_prob, z))
    assert torch.equal(seeded(0, prior().sample, (5,)), seeded(0, other().sample, (5,)))


def assert_it_moves_as_a_module_does(prior):
    for dtype in (torch.float32, torch.float64, torch.float32):
        z = prior.to(dtype)().sample((2,))
        moved = z.dtype == prior().log_prob(z).dtype == dtype
        assert moved, f"moved to {dtype} it draws {z.dtype}: hold its tensors as parameters, or by register_buffer"


def assert_it_says_what_it_is(prior, *phrases):
    state = torch.get_rng_state()
    text = repr(prior)
    assert torch.equal(torch.get_rng_state(), state)
    assert text.startswith(type(prior).__name__)
    assert all(phrase in text for phrase in phrases), text


def assert_gradients_reach_everything(prior, z):
    """As it starts: z and every parameter have a finite gradient that is not zero."""
    leaves = [z.requires_grad_(), *prior.parameters()]
    gradients = torch.autograd.grad(prior().log_prob(z).sum(), leaves)
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)
