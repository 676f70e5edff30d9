"""Ranks are uniform at the posterior, and nowhere else."""

import json

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.distributions.transforms import ReshapeTransform
from toys import decoder_with

from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    CategoricalGuide,
    FastLoop,
    InputError,
    LangevinGuide,
    LaplaceGuide,
    MAPGuide,
    MeanFieldGuide,
    SVGDGuide,
)
from ltm_pyro.evaluation import Calibration, simulation_based_calibration
from ltm_pyro.models.exact import FiniteMixture

AT_REST = FastLoop(ELBO(), steps=0)


class Skewed(nn.Module):
    """The posterior of a `LinearGaussian`, stretched and moved."""

    def __init__(self, toy, scale=1.0, shift=0.0):
        super().__init__()
        self.toy, self.scale, self.shift = [toy], scale, shift

    def start(self, x, mask=None, prior=None):
        pass

    def local_parameters(self):
        return []

    def forward(self, x, mask=None, batch_size=None, previous=None):
        (toy,) = self.toy
        flat = dist.MultivariateNormal(
            toy.posterior_mean(x) + self.shift, precision_matrix=toy.precision() / self.scale**2
        )
        with pyro.plate("sequences", len(x), dim=-1):
            reshape = ReshapeTransform(torch.Size((toy.size,)), torch.Size(toy.z_shape))
            return pyro.sample("z", dist.TransformedDistribution(flat, [reshape]))


def calibrate(toy, guide, fast=AT_REST, simulations=400, **options):
    return simulation_based_calibration(toy, guide, fast, simulations, batch=200, at_once=64, **options)


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_posterior_passes(seed, toy):
    assert calibrate(toy, toy.exact_guide(), seed=seed).p_value > 0.01


@pytest.mark.parametrize(
    ("change", "spread"), [({"scale": 0.8}, (1.1, 2)), ({"scale": 1.25}, (0.5, 0.9)), ({"shift": 0.3}, (0, 2))]
)
def test_another_posterior_does_not(change, spread, toy):
    found = calibrate(toy, Skewed(toy, **change))
    assert found.p_value < 1e-4
    worst = int(np.argmin(found.p_values))
    assert spread[0] < found.spread[worst] < spread[1]


def test_the_best_mean_field_posterior_is_too_narrow(toy):
    """Correlated thoughts make the mean field too narrow, which costs it nats."""
    found = calibrate(toy, MeanFieldGuide(toy.z_shape), FastLoop(ELBO(8), 150, 0.1, 0.0))
    assert found.p_value < 1e-6
    coordinates = [found.spread[i] for i, name in enumerate(found.names) if name.startswith("z[")]
    assert min(coordinates) > 1.2


def test_the_prior_is_found_out_by_the_likelihood_alone(toy):
    """On the average over texts it is right: only what knows the text can tell."""
    found = calibrate(toy, MeanFieldGuide(toy.z_shape))
    by_name = dict(zip(found.names, found.corrected, strict=True))
    assert by_name.pop("log p(x|z)") < 1e-6
    assert min(by_name.values()) > 0.01


@pytest.mark.parametrize(
    ("make", "fast"),
    [
        (lambda z_shape: LaplaceGuide(z_shape, "full"), FastLoop(ELBO(), 300, 0.2, 0.0)),
        (lambda z_shape: LangevinGuide(z_shape, 31), FastLoop(ELBO(), 200, 0.02, 0.1)),
        (lambda z_shape: LangevinGuide(z_shape, 31, adjusted_steps=100), FastLoop(ELBO(), 50, 0.05, 1.0)),
    ],
    ids=["laplace", "langevin", "langevin, adjusted"],
)
def test_guides_that_reach_the_posterior_pass(make, fast, toy):
    assert calibrate(toy, make(toy.z_shape), fast).p_value > 0.01


@pytest.mark.parametrize(
    ("make", "fast"),
    [
        (lambda z_shape: LaplaceGuide(z_shape, "diagonal"), FastLoop(ELBO(), 300, 0.2, 0.0)),
        (lambda z_shape: LangevinGuide(z_shape, 31), FastLoop(ELBO(), 5, 0.02, 0.1)),
        (lambda z_shape: LangevinGuide(z_shape, 31, temperature=0.5), FastLoop(ELBO(), 200, 0.02, 0.1)),
        (lambda z_shape: SVGDGuide(z_shape, 31), FastLoop(ELBO(), 200, 0.1, 0.1)),
    ],
    ids=["laplace, diagonal", "langevin, short", "langevin, half the noise", "svgd, few particles"],
)
def test_guides_that_do_not_reach_it_do_not(make, fast, toy):
    assert calibrate(toy, make(toy.z_shape), fast).p_value < 1e-4


class ExactCodes(CategoricalGuide):
    """The posterior of a `FiniteMixture` of one thought."""

    def __init__(self, mixture):
        super().__init__(mixture.z_shape)
        self.mixture = [mixture]

    def start(self, x, mask=None, prior=None):
        super().start(x, mask, prior)
        (mixture,) = self.mixture
        marginal = torch.einsum("nb,nlkc->blkc", mixture.posterior(x), mixture.states())
        self.logits = marginal.log().requires_grad_()


@pytest.mark.parametrize("exact", [True, False])
def test_codes_that_are_equal_take_ranks_at_random(exact):
    mixture = FiniteMixture((1, 1, 3))
    guide = ExactCodes(mixture) if exact else CategoricalGuide(mixture.z_shape)
    found = calibrate(mixture, guide)
    assert (found.p_value > 0.01) == exact


def test_it_works_on_texts(tiny):
    told = []
    found = simulation_based_calibration(
        tiny.model, MeanFieldGuide(tiny.decoder.z_shape), FastLoop(ELBO(), 2), 25, 7, batch=10, listener=told.append
    )
    assert told == [10, 20, 25]
    assert found.ranks.shape == (14, 25)
    assert found.ranks.min() >= 0
    assert found.ranks.max() <= 7
    assert json.loads(json.dumps(found.to_dict()))["draws"] == 7
    assert found.markdown().count("\n") == 17


def test_it_ranks_what_it_is_asked_to(toy):
    found = calibrate(toy, toy.exact_guide(), statistics=lambda z: {"first": z[..., 0, 0, 0]})
    assert found.names == ["first", "log p(x|z)"]


def test_it_touches_nothing_else(toy):
    toy.train()
    state = torch.get_rng_state()
    first, again = (calibrate(toy, toy.exact_guide(), seed=3).ranks for _ in range(2))
    assert np.array_equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)
    assert toy.training
    assert not np.array_equal(first, calibrate(toy, toy.exact_guide(), seed=4).ranks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulations": 5}, "simulations=5: expected 20 or more"),
        ({"draws": 1}, "draws=1: expected 3 or more"),
        ({"draws": 12, "simulations": 60}, "13 ranks do not divide into bins .*: give draws=31"),
        ({"guide": SVGDGuide((2, 1, 2), 8)}, "SVGDGuide holds 8 points a sequence"),
        ({"guide": MAPGuide((2, 1, 2))}, "MAPGuide holds 1 point a sequence"),
    ],
    ids=["simulations", "draws", "ranks", "particles", "a point"],
)
def test_what_makes_no_sense_is_refused(options, message, toy):
    with pytest.raises(InputError, match=message):
        calibrate(toy, **{"guide": toy.exact_guide(), **options})


def test_a_model_without_thoughts_is_refused():
    with pytest.raises(InputError, match="AutoregressiveModel has no thoughts"):
        calibrate(AutoregressiveModel(decoder_with(thoughts=0)), MeanFieldGuide((1, 1, 1)))


# ---- the test of uniformity


def uniform(count, draws=31, statistics=1, seed=0):
    return np.random.default_rng(seed).integers(draws + 1, size=(statistics, count))


def test_its_p_values_are_uniform_where_ranks_are():
    """As many below any level as the level says."""
    p = Calibration(["f"] * 4000, uniform(200, statistics=4000), 31).p_values
    for level in (0.01, 0.05, 0.5):
        assert abs((p < level).mean() - level) < 4 * (level * (1 - level) / 4000) ** 0.5


@pytest.mark.parametrize("statistics", [1, 13])
def test_the_least_corrected_one_is_seldom_small(statistics):
    least = [Calibration(["f"] * statistics, uniform(200, 31, statistics, seed), 31).p_value for seed in range(400)]
    below = np.mean(np.array(least) < 0.05)
    assert below < 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5
    assert below > 0.01


def test_the_correction_is_holms():
    ranks = np.concatenate((uniform(400, statistics=3), uniform(400, draws=20)))
    found = Calibration(list("abcd"), ranks, 31)
    p = found.p_values
    order = np.argsort(p)
    assert order[0] == 3
    steps = [min(1, p[order[i]] * (4 - i)) for i in range(4)]
    np.testing.assert_allclose(found.corrected[order], np.maximum.accumulate(steps))


@pytest.mark.parametrize(
    ("draws", "count", "bins"), [(31, 400, 16), (31, 40, 8), (99, 400, 20), (9, 400, 10), (12, 400, 13)]
)
def test_bins_divide_the_ranks(draws, count, bins):
    """Evenly, and so that no bin expects too few."""
    found = Calibration(["f"], uniform(count, draws), draws)
    assert found.bins == bins
    assert found.histograms.sum() == count


def test_spread_and_shift_say_what_is_wrong():
    ends = np.array([[0, 31] * 50, [15, 16] * 50, [31] * 100])
    found = Calibration(["narrow", "wide", "low"], ends, 31)
    assert found.spread[0] > 2
    assert found.spread[1] < 0.1
    assert found.shift.tolist() == [0, 0, 1]
