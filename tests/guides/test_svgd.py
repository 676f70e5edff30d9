"""Particles that keep one another apart."""

import math

import pytest
import torch

from ltm_pyro import ELBO, FastLoop, KLWeighted, SVGDGuide
from ltm_pyro.guides.svgd import stein_direction
from ltm_pyro.models.exact import LinearGaussian


@pytest.fixture
def plane():
    """A model whose z has two dimensions, in which 100 particles are many."""
    return LinearGaussian(z_shape=(1, 1, 2), batch=2)


def particles(model, count=100, steps=250, rate=0.1, direction=None):
    guide = SVGDGuide(model.z_shape, particles=count)
    if direction is not None:
        guide.start = lambda x, mask=None, prior=None: begin(guide, x, prior, direction)
    FastLoop(ELBO(), steps, rate, 0.02).fit(model, guide, model.x)
    return guide.z.detach().flatten(2)  # (B, N, 2)


def begin(guide, x, prior, direction):
    """Start without the hook of its own, with another direction in its place."""
    guide.rows, guide.z = len(x), guide.begin(len(x), prior, x.device).requires_grad_()
    points = guide.z
    points.register_hook(lambda slope: -direction(points.detach(), -slope))


def assert_moments(model, z):
    """Deterministic, so that there is no standard error: means within 5 % of a deviation, covariances within 10 %."""
    covariance = torch.linalg.inv(model.precision())
    scale = covariance.diag().sqrt()
    off = (z.mean(1) - model.posterior_mean(model.x)) / scale
    found = torch.stack([one.T.cov() for one in z]) / (scale[:, None] * scale)
    assert off.abs().max() < 0.05, f"mean off by {off.abs().max():.3f}"
    away = (found - covariance / (scale[:, None] * scale)).abs().max()
    assert away < 0.1, f"covariance off by {away:.3f}"


def test_its_moments_are_the_posteriors(plane):
    assert_moments(plane, particles(plane))


def repelled_half(z, slope):
    """The kernel's part at half its size."""
    drawn = stein_direction(z, torch.zeros_like(z))
    return stein_direction(z, slope) - 0.5 * drawn


def attracted_alone(z, slope):
    return slope


@pytest.mark.parametrize("direction", [repelled_half, attracted_alone])
def test_another_direction_does_not_have_them(direction, plane):
    with pytest.raises(AssertionError, match="covariance off"):
        assert_moments(plane, particles(plane, direction=direction))


def test_few_particles_have_the_mean_and_less_than_the_spread(toy):
    z = particles(toy, count=8)
    scale = torch.linalg.inv(toy.precision()).diag().sqrt()
    assert ((z.mean(1) - toy.posterior_mean(toy.x)) / scale).abs().max() < 0.15
    assert (z.var(1) < 0.8 * scale**2).all()


def test_the_direction_is_the_papers():
    """Against the sum written out, with the median of the squared distances between different particles."""
    z, slope = torch.randn(2, 2, 5, 1, 2, 2, dtype=torch.float64)
    found = stein_direction(z, slope)
    for row in range(2):
        points, slopes = z[row].flatten(1), slope[row].flatten(1)
        square = torch.pdist(points).square()
        width = square.sort().values[(len(square) - 1) // 2] / math.log(6)
        for i in range(5):
            total = torch.zeros(4, dtype=torch.float64)
            for j in range(5):
                near = (-(points[j] - points[i]).square().sum() / width).exp()
                total += near * slopes[j] + near * -2 / width * (points[j] - points[i])
            torch.testing.assert_close(found[row, i].flatten(), total / 5)


def test_particles_at_one_place_stay_finite():
    z = torch.zeros(1, 4, 1, 1, 2)
    assert stein_direction(z, torch.ones_like(z)).isfinite().all()


@pytest.mark.parametrize("at_once", [None, 3])
def test_the_direction_stands_in_place_of_the_gradient(at_once, toy):
    guide = SVGDGuide(toy.z_shape, particles=6)
    guide.start(toy.x, prior=toy.prior())
    z = guide.z.detach().clone().requires_grad_()
    mean = z.flatten(2) @ toy.weight.T + toy.bias
    log_joint = -((toy.x[:, None] - mean) ** 2).sum() / (2 * toy.noise**2) - z.square().sum() / 2
    (slope,) = torch.autograd.grad(log_joint, z)
    objective = KLWeighted(particles=6, at_once=at_once).without_claim()
    (-objective.terms(toy, guide, toy.x).objective.sum() * 6).backward()
    torch.testing.assert_close(-guide.z.grad, stein_direction(guide.z.detach(), slope))


def test_one_particle_climbs_to_the_mode(toy):
    z = particles(toy, count=1, steps=500, rate=0.2)
    torch.testing.assert_close(z[:, 0], toy.posterior_mean(toy.x).detach(), atol=1e-3, rtol=0)
