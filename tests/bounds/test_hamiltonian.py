"""Transitions that leave a Gaussian as it is, and copies that do not."""

import math

import pytest
import torch
from toys import z_test

from ltm_pyro.bounds.hamiltonian import Hamiltonian, Point

BETA, SHARPNESS, CENTRE = 0.5, 6.0, 1.5
PRECISION = 1 + BETA * SHARPNESS
MEAN, SD = BETA * SHARPNESS * CENTRE / PRECISION, PRECISION**-0.5


def gaussian(z):
    """N(0, 1) in every dimension, tempered towards a sharper Gaussian elsewhere: N(MEAN, SD²) at BETA."""
    away = z - CENTRE
    return Point(z, -0.5 * z.square().sum(-1), -0.5 * SHARPNESS * away.square().sum(-1), -z, -SHARPNESS * away)


def stationary(chains, sequences=2, size=3):
    return gaussian(MEAN + SD * torch.randn(chains, sequences, size, dtype=torch.float64))


class AlwaysAccepting(Hamiltonian):
    """Deliberately wrong: a trajectory's end is taken whatever its energy."""

    def accepts(self, rise):
        return torch.ones_like(rise, dtype=torch.bool)


class AcceptingNeighbours(Hamiltonian):
    """Deliberately wrong: every sequence decides by the energy of another."""

    def accepts(self, rise):
        return super().accepts(rise.roll(1, -1))


def assert_invariant(kind, step, chains=20_000, moves=3):
    transition = kind(gaussian, leapfrog_steps=4, scale=torch.tensor([1.0, 0.7, 1.2], dtype=torch.float64))
    here = stationary(chains)
    for _ in range(moves):
        here, _ = transition.move(here, BETA, torch.tensor(step, dtype=torch.float64))
    away = (here.z - MEAN) / SD
    z_test(here.z, MEAN)
    z_test(away.square(), 1.0)
    z_test(away[..., 0] * away[..., 1], 0.0)
    z_test(away[:, 0, 0] * away[:, 1, 0], 0.0)
    z_test(away.pow(4), 3.0)


@pytest.mark.parametrize("step", [0.2, 0.6, 0.75])
def test_the_density_is_left_as_it_is(step):
    assert_invariant(Hamiltonian, [step, step])


def test_without_rejecting_it_is_not():
    with pytest.raises(AssertionError, match="standard errors"):
        assert_invariant(AlwaysAccepting, [0.6, 0.6])


def test_nor_by_the_energy_of_another_sequence():
    with pytest.raises(AssertionError, match="standard errors"):
        assert_invariant(AcceptingNeighbours, [0.6, 0.6])


def test_chains_that_start_elsewhere_come_to_the_density():
    transition = Hamiltonian(gaussian, leapfrog_steps=5)
    here = gaussian(torch.full((4000, 1, 2), -4.0, dtype=torch.float64))
    for _ in range(30):
        here, _ = transition.move(here, BETA, torch.tensor([0.4], dtype=torch.float64))
    z_test(here.z, MEAN)
    z_test(((here.z - MEAN) / SD).square(), 1.0)


def test_each_sequence_has_its_own_step_and_a_longer_one_accepts_less():
    transition = Hamiltonian(gaussian, leapfrog_steps=4)
    _, acceptance = transition.move(stationary(2000), BETA, torch.tensor([0.1, 0.8], dtype=torch.float64))
    short, long = acceptance.mean(0).tolist()
    assert 0.97 < short <= 1
    assert 0.2 < long < 0.9


def test_the_acceptance_is_the_frequency_of_moves():
    here = stationary(20_000)
    there, acceptance = Hamiltonian(gaussian, 4).move(here, BETA, torch.tensor([0.7, 0.8], dtype=torch.float64))
    moved = (there.z != here.z).any(-1).double()
    z_test(moved - acceptance, 0.0)


def test_what_is_kept_belongs_together():
    there, _ = Hamiltonian(gaussian, 4).move(stationary(50), BETA, torch.tensor([0.7, 0.8], dtype=torch.float64))
    for kept, anew in zip(there, gaussian(there.z), strict=True):
        torch.testing.assert_close(kept, anew)


def test_the_leapfrog_comes_back_when_the_momentum_is_turned_round():
    transition, here = Hamiltonian(gaussian, 20, scale=0.8), stationary(5)
    momentum, step = torch.randn_like(here.z), torch.rand_like(here.log_start)
    there, after = transition.leapfrog(here, momentum, BETA, step)
    back, before = transition.leapfrog(there, -after, BETA, step)
    assert (there.z - here.z).abs().min() > 1e-3
    torch.testing.assert_close(back.z, here.z, atol=1e-9, rtol=0)
    torch.testing.assert_close(-before, momentum, atol=1e-9, rtol=0)


def test_the_leapfrog_keeps_volumes():
    def bent(z):
        """Not a Gaussian, whose trajectories keep volumes for a simpler reason."""
        return Point(
            z, -0.25 * z.pow(4).sum(-1), z.sum(-1).sin(), -z.pow(3), z.sum(-1, keepdim=True).cos().expand_as(z)
        )

    def end(start):
        z, momentum = start.view(2, 1, 1, 2)
        there, after = Hamiltonian(bent, 6).leapfrog(bent(z), momentum, BETA, torch.full((1, 1), 0.2).double())
        return torch.cat((there.z.flatten(), after.flatten()))

    jacobian = torch.autograd.functional.jacobian(end, torch.randn(4, dtype=torch.float64))
    assert jacobian.det().item() == pytest.approx(1, abs=1e-9)
    assert (jacobian - torch.eye(4)).abs().max() > 0.1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_trajectory_that_leaves_the_finite_numbers_is_rejected(bad):
    def broken(z):
        point = gaussian(z)
        return point._replace(log_ratio=torch.where(z[..., 0] > MEAN, bad, point.log_ratio))

    here = gaussian(torch.full((200, 1, 1), MEAN - 1e-3, dtype=torch.float64))
    there, acceptance = Hamiltonian(broken, 1).move(here, BETA, torch.tensor([0.5], dtype=torch.float64))
    assert (there.z <= MEAN).all()
    assert (there.z != here.z).any()
    assert acceptance.isfinite().all()
