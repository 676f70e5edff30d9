"""Each bound's equation, written out by hand, and where it comes to another one."""

from itertools import combinations, pairwise

import pytest
import torch

from ltm_pyro import (
    ELBO,
    ChiUpper,
    CombinedImportanceWeighted,
    ImportanceWeighted,
    InputError,
    Jackknife,
    MultiplyImportanceWeighted,
    PartiallyImportanceWeighted,
    Renyi,
    ScoreFunction,
    Thermodynamic,
)

S = 6


@pytest.fixture
def log_w():
    return 2 * torch.randn(S, 4, dtype=torch.float64)


def iwae(log_w):
    return log_w.exp().mean(0).log()


def same(first, second, rtol=1e-10):
    torch.testing.assert_close(first, second, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize("alpha", [-2.0, -0.3, 0.0, 0.4, 0.97, 1.5, 4.0])
def test_renyi(alpha, log_w):
    same(Renyi(alpha, S).value(log_w), (log_w.exp() ** (1 - alpha)).mean(0).log() / (1 - alpha))


def test_renyi_comes_to_the_elbo_and_to_the_importance_weighted_bound(log_w):
    same(Renyi(1.0, S).value(log_w), log_w.mean(0))
    same(Renyi(0.0, S).value(log_w), iwae(log_w))
    for near in (1 - 1e-9, 1 + 1e-9):
        same(Renyi(near, S).value(log_w), log_w.mean(0), rtol=1e-6)
    same(Renyi(500.0, S).value(log_w), log_w.min(0).values, rtol=0.02)
    same(Renyi(-500.0, S).value(log_w), log_w.max(0).values, rtol=0.02)


def test_renyi_keeps_its_digits_in_float32_near_one():
    log_w = torch.randn(S, 4) - 900
    values = [Renyi(alpha, S).value(log_w) for alpha in (0.9999999, 0.995, 0.989, 0.9)]
    for first, second in pairwise(values):
        assert ((second - first).abs() < 0.2).all()


def test_renyi_falls_with_alpha(log_w):
    values = [Renyi(alpha, S).value(log_w) for alpha in (-3.0, -1.0, 0.0, 0.5, 0.9999, 1.0, 2.0)]
    assert all((second <= first).all() for first, second in pairwise(values))


@pytest.mark.parametrize("side", ["left", "right"])
def test_thermodynamic(side, log_w):
    bound = Thermodynamic(S, schedule=[0.0, 0.1, 0.5, 1.0], side=side)
    total = torch.zeros(4, dtype=torch.float64)
    for low, high in pairwise([0.0, 0.1, 0.5, 1.0]):
        beta = low if side == "left" else high
        weights = log_w.exp() ** beta / (log_w.exp() ** beta).sum(0)
        total += (high - low) * (weights * log_w).sum(0)
    same(bound.value(log_w), total)


def test_the_thermodynamic_sums_close_on_the_importance_weighted_bound_from_both_sides(log_w):
    gaps = []
    for intervals in (1, 10, 100, 1000):
        left, right = (Thermodynamic(S, intervals, "uniform", side=side).value(log_w) for side in ("left", "right"))
        assert (left <= iwae(log_w)).all()
        assert (right >= iwae(log_w)).all()
        gaps.append((right - left).max().item())
    assert gaps[-1] < 0.02 < gaps[0]
    assert all(second < first for first, second in pairwise(gaps))
    same(Thermodynamic(S, intervals=1).value(log_w), log_w.mean(0))


def test_the_log_schedule_is_even_in_log_beta():
    points = Thermodynamic(S, intervals=4, first=0.001).points
    assert points[0] == 0
    assert points[-1] == 1
    assert points[1:] == pytest.approx([0.001, 0.01, 0.1, 1.0])


@pytest.mark.parametrize("order", [1, 2])
def test_jackknife(order, log_w):
    means = [torch.stack([iwae(log_w[list(kept)]) for kept in combinations(range(S), S - j)]).mean(0) for j in range(3)]
    expected = {
        1: S * means[0] - (S - 1) * means[1],
        2: S**2 / 2 * means[0] - (S - 1) ** 2 * means[1] + (S - 2) ** 2 / 2 * means[2],
    }
    same(Jackknife(S, order).value(log_w), expected[order])


def test_the_jackknife_takes_the_bias_off():
    """For log-normal weights log E[w] is known: the error is smaller the higher the order."""
    log_w = 0.5 * torch.randn(16, 200_000, dtype=torch.float64)
    true = 0.5**2 / 2
    errors = [abs(bound.value(log_w).mean().item() - true) for bound in (ImportanceWeighted(16), Jackknife(16))]
    assert errors[1] < 0.2 * errors[0]


def test_groups(log_w):
    groups = [log_w[start::3] for start in range(3)]  # any division into groups of one size serves
    assert MultiplyImportanceWeighted(S, 3).value(log_w).shape == (4,)
    found = MultiplyImportanceWeighted(S, 3).value(log_w)
    by_hand = [torch.stack([iwae(group) for group in division]).mean(0) for division in (groups, log_w.split(2))]
    assert any(torch.allclose(found, value) for value in by_hand)
    same(MultiplyImportanceWeighted(S, 1).value(log_w), iwae(log_w))
    same(MultiplyImportanceWeighted(S, S).value(log_w), log_w.mean(0))
    same(PartiallyImportanceWeighted(S, 3).value(log_w), iwae(log_w))
    same(PartiallyImportanceWeighted(S, 3).inference_value(log_w), found)


def test_combined(log_w):
    same(CombinedImportanceWeighted(S, 0.3).value(log_w), 0.3 * log_w.mean(0) + 0.7 * iwae(log_w))


@pytest.mark.parametrize("order", [1.5, 2.0])
def test_chi_upper(order, log_w):
    powers = log_w.exp() ** order
    scale = (powers.sum(0) - powers) / (S - 1)
    same(ChiUpper(S, order).value(log_w), ((powers / scale - 1 + scale.log()) / order).mean(0))


def test_chi_upper_tends_to_cubo():
    """For log-normal weights, (1/n) log E[wⁿ] = n s² / 2; never below it in the mean."""
    spread, order = 0.4, 2.0
    cubo = order * spread**2 / 2
    values = [
        ChiUpper(size, order).value(spread * torch.randn(size, 4_000, dtype=torch.float64)).mean().item()
        for size in (4, 16, 64)
    ]
    assert values[0] > values[1] > values[2] > cubo
    assert values[2] - cubo < 0.02


@pytest.mark.parametrize(
    "bound",
    [ELBO(S), ImportanceWeighted(S), Renyi(0.5, S), Renyi(0.9999, S), Thermodynamic(S), Jackknife(S), ChiUpper(S)],
    ids=repr,
)
def test_a_constant_on_every_log_weight_is_the_same_constant_on_the_bound(bound, log_w):
    same(bound.value(log_w - 3000), bound.value(log_w) - 3000, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jackknife(order=3), "order=3"),
        (lambda: Jackknife(1), "at least 2"),
        (lambda: Jackknife(2, order=2), "at least 3"),
        (lambda: ChiUpper(1), "at least 2"),
        (lambda: ChiUpper(order=1.0), "order=1.0"),
        (lambda: MultiplyImportanceWeighted(6, 4), "groups=4, particles=6"),
        (lambda: PartiallyImportanceWeighted(6, 0), "groups=0"),
        (lambda: CombinedImportanceWeighted(elbo_weight=1.1), "elbo_weight=1.1"),
        (lambda: Thermodynamic(side="up"), "side='up'"),
        (lambda: Thermodynamic(schedule="cubic"), "schedule='cubic'"),
        (lambda: Thermodynamic(schedule=[0.0, 0.5]), "rise from 0 to 1"),
        (lambda: Thermodynamic(schedule=[0.0, 0.6, 0.5, 1.0]), "rise from 0 to 1"),
        (lambda: Thermodynamic(intervals=0), "intervals=0"),
        (lambda: Thermodynamic(first=1.5), "first=1.5"),
        (lambda: ELBO(at_once=0), "at_once=0"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_each_says_what_it_is():
    assert repr(Renyi(0.5, 4)) == "Renyi(alpha=0.5, particles=4)"
    assert repr(ChiUpper(4)) == "ChiUpper(order=2.0, particles=4)"
    assert repr(Thermodynamic(4)) == "Thermodynamic(intervals=10, side=left, particles=4)"
    assert repr(ELBO(2, gradient=ScoreFunction())) == "ELBO(particles=2, gradient=ScoreFunction())"
