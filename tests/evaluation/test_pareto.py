"""k-hat finds the shape of known tails."""

import math

import numpy as np
import pytest

from ltm_pyro.evaluation.pareto import fit_generalised_pareto, pareto_k


def pareto_weights(shape, count, columns=1, seed=0):
    """Log-weights whose tail is Pareto with this shape: w = u^(-k)."""
    uniform = np.random.default_rng(seed).uniform(size=(count, columns))
    return -shape * np.log(uniform)


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.7, 1.0, 1.5])
def test_the_shape_of_a_pareto_tail_is_found(shape):
    found = pareto_k(pareto_weights(shape, 20_000, columns=20))
    assert found.mean() == pytest.approx(shape, abs=0.05)


def test_the_fit_finds_shape_and_scale():
    uniform = np.random.default_rng(0).uniform(size=20_000)
    for shape, scale in ((0.4, 2.0), (0.9, 0.3)):
        found = fit_generalised_pareto(scale * (uniform**-shape - 1) / shape)
        assert found == (pytest.approx(shape, abs=0.03), pytest.approx(scale, rel=0.05))


def test_bounded_weights_have_no_heavy_tail():
    uniform = np.random.default_rng(0).uniform(size=(4000, 1))
    assert pareto_k(np.log(uniform))[0] < 0


def test_it_does_not_depend_on_the_scale_of_the_weights():
    log_w = pareto_weights(0.6, 1000)
    assert pareto_k(log_w - 5000) == pytest.approx(pareto_k(log_w), abs=1e-9)


def test_every_sequence_has_its_own():
    columns = np.hstack([pareto_weights(0.3, 5000, seed=1), pareto_weights(1.0, 5000, seed=2)])
    assert pareto_k(columns) == pytest.approx([pareto_k(columns[:, :1])[0], pareto_k(columns[:, 1:])[0]])


def test_what_cannot_be_fitted_is_said():
    assert pareto_k(np.full((100, 1), 3.0))[0] == -math.inf  # q is the posterior
    assert math.isnan(pareto_k(pareto_weights(0.5, 15))[0])  # three draws are no tail
    one = np.full((100, 1), -2000.0)
    one[0] = 0.0
    assert pareto_k(one)[0] == math.inf
    assert math.isnan(pareto_k(np.repeat([[0.0], [1.0]], 100, axis=0))[0])  # two kinds of draws


@pytest.mark.parametrize("shape", [0.3, 0.8])
def test_it_agrees_with_arviz(shape):
    array_stats = pytest.importorskip("arviz_stats.base").array_stats
    log_w = pareto_weights(shape, 4000)
    _, k = array_stats.psislw(-log_w[:, 0])  # it takes the log-likelihoods that weights are the inverse of
    assert pareto_k(log_w)[0] == pytest.approx(float(k), abs=0.02)  # one draw more or less in the tail


@pytest.mark.parametrize("count", range(100, 140))
def test_equal_exceedances_have_a_light_tail(count):
    """Draws of discrete thoughts have tied weights; of some counts a point of the grid is exactly 0."""
    assert fit_generalised_pareto(np.full(count, 0.0267))[0] < 0.1
