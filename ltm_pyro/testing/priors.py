"""A check of the contract of a prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro
import torch
from torch import Tensor

from ltm_pyro.contracts import check_distribution, check_expansion, check_repetition
from ltm_pyro.testing.means import z_test

HALF, POINTS = 15.0, 601  # half-width and points of the grid on which a density is integrated


def check_prior(make: Callable[[tuple[int, int, int]], Any], seed: int = 0, draws: int = 50_000) -> None:
    """Assert that a prior with an exact density keeps its contract.

    p(z) has event shape (L, K, D) and expands over particles and sequences; samples are reproducible under a seed; the
    prior moves between dtypes, and its state dict restores it; the density integrates to one, and samples are from it.

    Args:
        make: the constructor of the prior from z_shape (L, K, D), such as its class.
        seed: of all noise; the global random state is restored.
        draws: number of samples that are compared with the density.

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
        assert same, "its density changes with state_dict() and load_state_dict(): register all of its tensors"
        assert_it_moves_as_a_module_does(prior)
        assert_its_samples_have_its_density(scattered(make((1, 1, 2))), draws)


@torch.no_grad()
def assert_its_samples_have_its_density(prior: Any, draws: int) -> None:
    """Compare samples and density in two dimensions, by quadrature: total mass, and means of bounded functions."""
    axis = torch.linspace(-HALF, HALF, POINTS, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = prior().log_prob(z.view(-1, *prior.z_shape)).exp() * (axis[1] - axis[0]) ** 2
    total = mass.sum().item()
    assert abs(total - 1) < 0.02, f"its density integrates to {total:.3f} within ±{HALF:g}, and not to 1"
    samples = _bounded(prior().sample((draws,)).flatten(-3))
    z_test(samples, mass @ _bounded(z) / total, limit=4.5)


def _bounded(z: Tensor) -> Tensor:
    """Bounded functions of two numbers, whose means exist under heavy tails too, (..., 2) -> (..., F)."""
    a, b = z.unbind(-1)
    return torch.stack((a.tanh(), b.tanh(), a.tanh() ** 2, b.tanh() ** 2, (a * b).tanh(), a.sin()), -1)


def scattered(module, scale=1.0):
    """The same module in float64, with random weights far from the initial ones."""
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
    """Assert that p(z) expands, with a separate density for every sequence."""
    check_distribution(prior)
    return check_expansion(prior)


def assert_it_repeats_under_a_seed(prior):
    check_repetition(prior)


def assert_its_state_can_be_restored(prior, other):
    """Assert that a state dict restores density and samples bit by bit, in another prior of the same arguments."""
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
    """Assert that z and every initial parameter have a finite gradient other than zero."""
    leaves = [z.requires_grad_(), *prior.parameters()]
    gradients = torch.autograd.grad(prior().log_prob(z).sum(), leaves)
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)
