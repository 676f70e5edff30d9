"""Tables fit q as well as is known to be possible, whatever training does."""

import pytest
import torch

import ltm_pyro
from ltm_pyro import (
    ELBO,
    FastLoop,
    FlowGuide,
    ImportanceWeighted,
    KLWeighted,
    LangevinGuide,
    LowRankGuide,
    MeanFieldGuide,
    MemoryGuide,
    NaturalGradient,
)
from ltm_pyro.inference import TableFit
from ltm_pyro.models.exact import LinearGaussian

Z_SHAPE = (1, 2, 4)
TRAINING = FastLoop(KLWeighted(0.1), steps=8, learning_rate=0.3, final_fraction=0.1, tokens=0.5, tolerance=0.1)


def made_by(loop, guide):
    guide.start(torch.zeros(2, 5, dtype=torch.long))
    return type(loop.make_optimizer(guide))


@pytest.mark.parametrize(
    "name", ["MeanFieldGuide", "FullCovarianceGuide", "FixedVarianceGuide", "MemoryGuide", "FlowGuide"]
)
def test_families_with_natural_steps_take_them(name):
    guide = getattr(ltm_pyro, name)(Z_SHAPE)
    loop = TableFit().loop(guide, TRAINING)
    assert made_by(loop, guide) is NaturalGradient
    assert loop.make_optimizer(guide).max_kl == TableFit().max_kl
    assert (loop.steps, loop.learning_rate, loop.rate(loop.steps - 1)) == (96, 0.3, pytest.approx(0.3 * 0.02))


@pytest.mark.parametrize(
    "make", [LowRankGuide, lambda shape: FlowGuide(shape, base="LowRankGuide")], ids=["plain", "flow"]
)
def test_other_families_take_more_of_their_own_steps(make):
    guide = make(Z_SHAPE)
    loop = TableFit().loop(guide, TRAINING)
    assert made_by(loop, guide) is torch.optim.Adam
    assert (loop.steps, loop.learning_rate, loop.final_fraction) == (96, 0.3, 0.02)


def test_a_sampler_stays_as_it_is_in_training():
    for guide in (LangevinGuide(Z_SHAPE), MemoryGuide(Z_SHAPE, LangevinGuide)):
        loop = TableFit().loop(guide, TRAINING)
        assert (loop.steps, loop.learning_rate, loop.final_fraction) == (8, 0.3, 0.1)


@pytest.mark.parametrize("guide", [MeanFieldGuide(Z_SHAPE), LowRankGuide(Z_SHAPE), LangevinGuide(Z_SHAPE)], ids=repr)
def test_tables_score_all_tokens_towards_a_bound_and_training_is_left_alone(guide):
    loop = TableFit().loop(guide, TRAINING)
    assert (repr(loop.bound), loop.tokens, loop.tolerance) == ("ELBO(particles=1)", 1.0, None)
    assert repr(TableFit().loop(guide, FastLoop(ImportanceWeighted(3))).bound) == "ImportanceWeighted(particles=3)"
    assert (TRAINING.steps, TRAINING.final_fraction, TRAINING.tokens, TRAINING.tolerance) == (8, 0.1, 0.5, 0.1)
    assert isinstance(TRAINING.bound, KLWeighted)


@pytest.mark.parametrize("steps", [0, 1, 200])
@pytest.mark.parametrize("make", [MeanFieldGuide, LowRankGuide, LangevinGuide])
def test_the_users_number_of_steps_is_obeyed(make, steps):
    guide = make(Z_SHAPE)
    once = TableFit().loop(guide, TRAINING, steps)
    again = TableFit().loop(guide, once, steps)
    assert once.steps == again.steps == steps
    assert [once.rate(step) for step in range(5)] == [again.rate(step) for step in range(5)]


def test_training_with_more_steps_than_usual_means_as_many_in_tables():
    assert TableFit().loop(MeanFieldGuide(Z_SHAPE), FastLoop(ELBO(), steps=128)).steps == 128
    assert TableFit().loop(LowRankGuide(Z_SHAPE), FastLoop(ELBO(), steps=128)).steps == 128


def left_of_the_mean_field(fit):
    """Distance of a fit to the best diagonal Gaussian, which has the posterior's mean and precisions, nats a text."""
    toy = LinearGaussian(z_shape=(2, 2, 8), observed=10, noise=4.0, batch=16)
    guide = MeanFieldGuide(toy.z_shape)
    fit(guide).fit(toy, guide, toy.x)
    away, variance = (guide.mu.detach().flatten(1) - toy.posterior_mean(toy.x)), (2 * guide.log_sigma).detach().exp()
    precision, relative = toy.precision(), variance.flatten(1) * toy.precision().diagonal()
    return 0.5 * ((away @ precision * away).sum(1) + (relative - 1 - relative.log()).sum(1)).mean().item()


def test_it_comes_to_the_best_of_a_family_where_sixteen_steps_of_adam_do_not():
    converged = left_of_the_mean_field(lambda guide: TableFit().loop(guide, FastLoop(ELBO(), 16, 0.3)))
    assert 0 < converged < 0.5
    assert left_of_the_mean_field(lambda guide: FastLoop(ELBO(), 16, 0.3)) > 5 * converged


def test_a_guide_knows_whether_it_has_natural_steps():
    class Half(MeanFieldGuide):
        natural_norm = ltm_pyro.AbstractGuide.natural_norm

    assert MeanFieldGuide(Z_SHAPE).has_natural_step
    assert not LowRankGuide(Z_SHAPE).has_natural_step
    assert not Half(Z_SHAPE).has_natural_step  # a step whose length it cannot tell has no limit
