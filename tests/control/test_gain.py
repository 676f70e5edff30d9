"""The gain of a condition: near the information that the value has about z, zero without any, negative if wrong."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from ltm_pyro.control import (
    FlowFit,
    PosteriorDraws,
    Texts,
    ThoughtCondition,
    ValueCondition,
    fit_control,
    measure_gain,
)
from ltm_pyro.control.gain import ControlGain, verdict
from ltm_pyro.models.priors import ConditionalFlow

MEANS = torch.tensor([-2.0, 2.0], dtype=torch.float64)
SPREAD, SIGMA, SHAPE = 0.6, 0.5, (1, 1, 2)
QUICK = FlowFit(epochs=40, patience=8, batch_size=64, learning_rate=5e-3)


def texts(count, tells=True, draws=6):
    """Values of texts, and draws of their posteriors, whose first dimension depends on the value if it `tells`."""
    values = torch.randint(2, (count,))
    means = SPREAD * torch.randn(count, *SHAPE, dtype=torch.float64)
    means[..., 0] += MEANS[values if tells else torch.randint(2, (count,))][:, None, None]
    q = Normal(means, SIGMA)
    z = q.sample((draws,))
    log_q, log_prior = (p.log_prob(z).flatten(2).sum(-1) for p in (q, Normal(0.0, 1.0)))
    return values, PosteriorDraws(z, log_q, log_prior, means)


def fitted(condition, fitting, calibration, seed=0):
    torch.manual_seed(seed)
    flow = ConditionalFlow(SHAPE, 4, transforms=2, hidden=16).double()
    return fit_control(condition.double(), flow, fitting, calibration, QUICK)


def known(values, draws):
    """Gain of a condition by the densities that the draws come from, nats a text: E log p(z|c) - log p(z), (M,)."""
    z, scale = draws.z[..., 0].flatten(2).squeeze(-1), math.hypot(SPREAD, SIGMA)
    given = Normal(MEANS[values], scale).log_prob(z)
    without = torch.stack([Normal(mean, scale).log_prob(z) for mean in MEANS]).logsumexp(0) - math.log(2)
    return (given - without).mean(0)


@pytest.fixture(scope="module", params=[True, False], ids=["telling", "silent"])
def measured(request):
    torch.manual_seed(0)
    (values, draws), (more, others), (unseen, held_out) = (texts(n, request.param) for n in (300, 100, 200))
    fit = fitted(ValueCondition(2, 4), Texts(draws.z, values), Texts(others.z, more))
    gain = measure_gain(held_out, range(200), (fit.given, unseen), fit.without, [str(v) for v in unseen.tolist()])
    return request.param, fit, gain, known(unseen, held_out)


def test_the_gain_is_the_information_that_a_value_has(measured):
    tells, fit, gain, exact = measured
    value, error = gain.of_condition
    if tells:
        assert value > 10 * error
        assert value == pytest.approx(exact.mean().item(), abs=0.08)
        assert value < gain.entropy + 3 * error
    else:
        assert abs(value) < 3 * error + 0.02
        assert fit.parts["affine"].epoch == fit.parts["all"].epoch == 0 or abs(value) < 0.02


def test_shuffled_values_lose(measured):
    tells, _, gain, _ = measured
    value, error = gain.of_wrong_values
    assert value < -10 * error if tells else abs(value) < 3 * error + 0.02


def test_the_best_prior_without_a_condition_gains_on_the_runs_prior(measured):
    _, _, gain, _ = measured
    without, error = gain.mean(gain.without)
    assert without > 5 * error  # N(0, 1) against two modes
    kl, _ = gain.mean(gain.kl)
    assert without < gain.mean(gain.given)[0] + 3 * error < kl + 6 * error


def test_the_flow_is_selected_by_the_calibration_texts_alone(measured):
    _, fit, _, _ = measured
    for part in fit.parts.values():
        assert part.best >= part.start
        assert 0 <= part.epoch <= part.epochs <= QUICK.epochs
    assert ("again" in fit.parts) is bool(fit.parts["all"].epoch)
    if "again" in fit.parts:
        assert fit.parts["again"].start == pytest.approx(fit.parts["without"].best, abs=1e-9)
    assert fit.parts["affine"].start == pytest.approx(fit.parts["without"].best, abs=1e-9)
    assert fit.parts["all"].start == pytest.approx(fit.parts["affine"].best, abs=1e-9)


@pytest.mark.slow
def test_a_condition_of_thoughts_serves_values_that_were_never_seen():
    """The context of a value is a point on a line, z follows it, and held-out values lie between those of training."""
    torch.manual_seed(0)

    def along(count, values):
        at = values[torch.randint(len(values), (count,))].double()
        means = torch.zeros(count, *SHAPE, dtype=torch.float64)
        means[..., 0] = at[:, None, None]
        q = Normal(means + 0.3 * torch.randn_like(means), 0.3)
        z = q.sample((6,))
        log_q, log_prior = (p.log_prob(z).flatten(2).sum(-1) for p in (q, Normal(0.0, 1.0)))
        return at.view(-1, 1, 1, 1).expand(-1, *SHAPE), PosteriorDraws(z, log_q, log_prior, means)

    (values, draws), (more, others) = (along(n, torch.tensor([-3, -1, 1, 3])) for n in (300, 100))
    unseen, held_out = along(100, torch.tensor([-2, 0, 2]))
    condition = ThoughtCondition(SHAPE, 4)
    condition.double().start_at(values)
    fit = fitted(condition, Texts(draws.z, values), Texts(others.z, more))
    names = [str(value) for value in unseen[:, 0, 0, 0].tolist()]
    gain = measure_gain(held_out, range(100), (fit.given, unseen), fit.without, names)
    assert gain.of_condition[0] > 0.5 + 3 * gain.of_condition[1]
    assert gain.of_wrong_values[0] < 0


def test_dimensions_that_tell_nothing_do_not_drown_one_that_tells():
    """Of 32 dimensions 31 have posteriors at the prior, as in a run whose thoughts hardly know their text."""
    torch.manual_seed(0)

    def wide(count):
        values = torch.randint(2, (count,))
        means, sigma = torch.zeros(count, 1, 4, 8), torch.ones(1, 4, 8)
        means[:, 0, 0, 0], sigma[0, 0, 0] = MEANS[values].float() / 2, 0.6
        q = Normal(means, sigma)
        z = q.sample((6,))
        log_q, log_prior = (p.log_prob(z).flatten(2).sum(-1) for p in (q, Normal(0.0, 1.0)))
        return values, PosteriorDraws(z, log_q, log_prior, means)

    (values, draws), (more, others), (unseen, held_out) = (wide(count) for count in (300, 100, 200))
    flow = ConditionalFlow((1, 4, 8), 4, transforms=1, hidden=8, bins=4)
    sides = Texts(draws.z, values), Texts(others.z, more)
    fit = fit_control(ValueCondition(2, 4), flow, *sides, FlowFit(epochs=60, batch_size=64, patience=15))
    gain = measure_gain(held_out, range(200), (fit.given, unseen), fit.without, [str(v) for v in unseen.tolist()])
    assert gain.of_condition[0] > 0.4  # of the entropy, 0.69, at most
    assert gain.of_condition[0] > 8 * gain.of_condition[1]
    assert gain.of_wrong_values[0] < -0.4


def test_windows_of_one_text_are_no_independent_texts():
    """Each text counted four times has the same numbers a window, and the same error over texts."""
    torch.manual_seed(0)
    values, draws = texts(30)
    fit = fitted(ValueCondition(2, 4), Texts(draws.z, values), Texts(draws.z, values))
    names = [str(value) for value in values.tolist()]
    once = measure_gain(draws, range(30), (fit.given, values), fit.without, names)
    rows = torch.arange(30).repeat_interleave(4)
    four = measure_gain(draws.of(rows), rows.numpy(), (fit.given, values), fit.without, names)
    assert four.of_condition == pytest.approx(once.of_condition)
    apart = measure_gain(draws.of(rows), range(120), (fit.given, values[rows]), fit.without, [names[i] for i in rows])
    assert apart.of_condition[1] < 0.6 * once.of_condition[1]  # wrong: windows as texts
    assert "30 held-out texts in 120 windows" in four.table("label", "window")


def test_a_fit_is_repeated_by_its_seed():
    values, draws = texts(60)
    sides = Texts(draws.z[:, :40], values[:40]), Texts(draws.z[:, 40:], values[40:])
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(fitted(ValueCondition(2, 4), *sides).given.state_dict())
    same, other = (
        all(torch.equal(a, b) for a, b in zip(states[0].values(), s.values(), strict=True)) for s in states[1:]
    )
    assert same
    assert not other


def numbers(given, without=0.0, texts=4):
    ones = np.ones(texts)
    noise = np.array([0.1, -0.1] * (texts // 2))
    return ControlGain(ones, 9 * ones, given * ones + noise, without * ones, -3 * ones, math.log(2))


def test_the_table_says_what_was_gained_and_what_a_wrong_value_costs():
    table = numbers(2.0, 0.5).table("label")
    assert "| the same flow without a condition |    8.5000 ± 0.0000 |" in table
    assert r"| p(z\|label)" in table
    assert "p(z|label) - the same flow without it: +1.5000 ± 0.0577 nats/text: above zero" in table
    assert "The same with shuffled values: -3.5000" in table
    assert "Entropy of the values: 0.6931 nats" in table


@pytest.mark.parametrize(
    ("gain", "error", "words"),
    [
        (1.0, 0.1, "above zero"),
        (-1.0, 0.1, "below zero"),
        (0.1, 0.1, "within two standard errors"),
        (0.0, 0.0, "within two standard errors"),
        (1.0, math.nan, "one text alone"),
    ],
)
def test_the_verdict_goes_by_two_standard_errors(gain, error, words):
    assert words in verdict(gain, error)
