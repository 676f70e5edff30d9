"""Objectives that are no bounds: their equations, their schedules, and that their type says what they are."""

from itertools import product

import pytest
import torch
from runs import TINY, arguments
from toys import FixedGuide

from ltm_pyro import (
    ELBO,
    AbstractBound,
    AbstractNonBound,
    Claim,
    CyclicalSchedule,
    DualRateSVI,
    FastLoop,
    FixedNoise,
    FreeBits,
    InfoVAE,
    InputError,
    KLWeighted,
    LinearSchedule,
    MeanFieldGuide,
    SlowStep,
    TargetCapacity,
)
from ltm_pyro.bounds.info_vae import squared_mmd
from ltm_pyro.models.exact import LinearGaussian
from ltm_pyro.training.build import build
from ltm_pyro.training.run import run_parser
from ltm_pyro.training.stand_in_tokenizer import StandInTokenizer

OBJECTIVES = [KLWeighted(0.5), FreeBits(), TargetCapacity(), InfoVAE(), FixedNoise()]
every_objective = pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)


@pytest.fixture
def fitted():
    toy = LinearGaussian()
    mu = torch.randn(len(toy.x), *toy.z_shape, dtype=torch.float64, requires_grad=True)
    return toy, FixedGuide(mu, torch.rand_like(mu) + 0.5), toy.x


def both(objective, fitted, particles=3):
    """The objective's terms, and the ELBO's on the same draws."""
    toy, guide, x = fitted
    found = []
    for one in (objective, ELBO(particles)):
        torch.manual_seed(0)
        found.append(one.terms(toy, guide, x=x))
    return found


@every_objective
def test_their_type_says_that_they_are_no_bounds(objective, fitted):
    assert isinstance(objective, AbstractNonBound)
    assert not isinstance(objective, AbstractBound)
    assert objective.claim is Claim.NONE
    assert "NOT A BOUND" in objective.claim.value
    terms = objective.terms(fitted[0], fitted[1], fitted[2])
    assert terms.bound is None
    assert terms.objective.shape == (4,)
    assert torch.autograd.grad(terms.objective.sum(), fitted[1].mu)[0].abs().max() > 0


@every_objective
def test_tables_fit_the_posterior_to_a_bound_instead(objective):
    parser = run_parser()
    name = type(objective).__name__
    components = build(parser, parser.parse_args([*arguments(TINY), "--fast.bound", name]), StandInTokenizer(270))
    assert type(components.fast.bound) is type(objective)
    assert isinstance(components.with_fast_steps(5).fast.bound, ELBO)


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0, 3.0])
def test_the_kl_weighted_elbo(fitted, weight):
    terms, elbo = both(KLWeighted(weight, particles=3), fitted)
    torch.testing.assert_close(terms.objective, elbo.objective + (1 - weight) * elbo.kl)
    torch.testing.assert_close(terms.elbo, elbo.elbo)


def dimensions(fitted):
    mu, sigma = fitted[1].mu, fitted[1].sigma
    return 0.5 * (mu**2 + sigma**2 - 1 - 2 * sigma.log())  # (B, L, K, D)


@pytest.mark.parametrize(("per", "nats"), [("dimension", 0.4), ("layer", 1.0), ("dimension", 0.0)])
def test_free_bits(fitted, per, nats):
    terms, elbo = both(FreeBits(nats, per, particles=3), fitted)
    groups = dimensions(fitted) if per == "dimension" else dimensions(fitted).flatten(2).sum(-1)
    assert nats == 0 or ((groups < nats).any() and (groups > nats).any())
    expected = elbo.log_likelihood - groups.clamp(min=nats).flatten(1).sum(-1)
    torch.testing.assert_close(terms.objective, expected)
    assert (terms.objective <= elbo.objective + 1e-12).all()


def test_what_is_free_has_no_gradient(fitted):
    toy, guide, x = fitted
    torch.manual_seed(0)
    free = torch.autograd.grad(FreeBits(1e6).terms(toy, guide, x).objective.sum(), guide.mu)[0]
    torch.manual_seed(0)
    alone = torch.autograd.grad(KLWeighted(0.0).terms(toy, guide, x).objective.sum(), guide.mu)[0]
    torch.testing.assert_close(free, alone)


@pytest.mark.parametrize("capacity", [0.0, 1.0, 50.0])
def test_target_capacity(fitted, capacity):
    terms, elbo = both(TargetCapacity(capacity, strength=2.0, particles=3), fitted)
    torch.testing.assert_close(terms.objective, elbo.log_likelihood - 2 * (elbo.kl - capacity).abs())


def test_a_target_is_met():
    toy = LinearGaussian(noise=0.1)
    guide = MeanFieldGuide(toy.z_shape)
    FastLoop(TargetCapacity(2.0, strength=1000.0, particles=8), steps=400, learning_rate=0.05).fit(toy, guide, toy.x)
    kl = ELBO().terms(toy, guide, toy.x).kl
    torch.testing.assert_close(kl, torch.full_like(kl, 2.0), atol=0.1, rtol=0)


def test_info_vae(fitted):
    terms, elbo = both(InfoVAE(alpha=1.0, scale=0.0, particles=3), fitted)
    torch.testing.assert_close(terms.objective, elbo.log_likelihood)
    terms, elbo = both(InfoVAE(alpha=0.0, scale=1.0, particles=3), fitted)
    torch.testing.assert_close(terms.objective, elbo.objective)
    terms, elbo = both(InfoVAE(alpha=0.3, scale=5.0, particles=3), fitted)
    apart = elbo.log_likelihood - 0.7 * elbo.kl - terms.objective
    torch.testing.assert_close(apart, apart[0].expand(4))  # one discrepancy for all


def test_mmd_is_zero_for_one_distribution_and_positive_for_two():
    normal, other = torch.randn(2000, 3, dtype=torch.float64), torch.randn(2000, 3, dtype=torch.float64)
    assert abs(squared_mmd(normal, other)) < 2e-3
    assert squared_mmd(normal, other + 0.5) > 0.01
    assert squared_mmd(normal, 0.5 * other) > 0.01
    a, b = normal[:5], other[:5]
    within, across = torch.zeros(()).double(), torch.zeros(()).double()
    for i, j in product(range(5), repeat=2):
        within += (
            0 if i == j else (6 / (6 + (a[i] - a[j]).square().sum()) + 6 / (6 + (b[i] - b[j]).square().sum())) / 20
        )
        across += 6 / (6 + (a[i] - b[j]).square().sum()) / 25
    torch.testing.assert_close(squared_mmd(a, b), within - 2 * across)


def test_a_single_sample_has_no_discrepancy():
    toy = LinearGaussian(batch=1)
    guide = FixedGuide(torch.zeros(1, *toy.z_shape).double(), torch.ones(1, *toy.z_shape).double())
    with pytest.raises(InputError, match="2 or more"):
        InfoVAE().terms(toy, guide, toy.x)
    assert InfoVAE(particles=2).terms(toy, guide, toy.x).objective.isfinite().all()


def test_a_kl_that_does_not_split_has_no_free_bits(toy):
    with pytest.raises(InputError, match="does not split by dimension"):
        FreeBits().terms(toy, toy.exact_guide(), toy.x)


def test_fixed_noise_is_the_same_at_every_step_and_another_for_every_batch(tiny):
    protocol = FixedNoise(seed=3)
    state = torch.get_rng_state()

    def value():
        return protocol.terms(tiny.model, tiny.guide, tiny.x).objective.detach()

    first = value()
    assert torch.equal(first, value())
    assert torch.equal(torch.get_rng_state(), state)
    protocol.begin(1)
    assert not torch.equal(first, value())
    protocol.begin(0)
    assert torch.equal(first, value())
    assert not torch.equal(first, FixedNoise(seed=4).terms(tiny.model, tiny.guide, tiny.x).objective)


# ---- schedules


def test_a_linear_schedule():
    schedule = LinearSchedule(0.2, 1.0, steps=8, delay=2)
    assert [schedule.at(step) for step in (0, 2, 4, 10, 99)] == pytest.approx([0.2, 0.2, 0.4, 1.0, 1.0])


def test_a_cyclical_schedule():
    schedule = CyclicalSchedule(0.0, 1.0, period=10, rise=0.5, cycles=2)
    steps = (0, 1, 5, 9, 10, 12, 19, 20, 21, 99)
    assert [schedule.at(step) for step in steps] == pytest.approx([0, 0.2, 1, 1, 0, 0.4, 1, 1, 1, 1])


@pytest.mark.parametrize("steps", [10, 1000, 4321])
def test_shares_of_the_run_are_the_same_place_in_every_run(steps):
    linear = LinearSchedule(0.2, 1.0, begin=0.3, over=0.4)
    cyclical = CyclicalSchedule(0.0, 1.0, cycles=2, over=0.8)
    for schedule, ends in ((linear, (0.2, 0.2, 0.6, 1.0, 1.0)), (cyclical, (0.0, 1.0, 0.5, 1.0, 1.0))):
        assert schedule.at(0) == ends[0]
        schedule.spread_over(steps)
        found = [schedule.at(round(share * steps)) for share in (0, 0.3, 0.5, 0.7, 1)]
        assert found == pytest.approx(ends, abs=0.01)


def test_shares_of_a_thousand_steps_are_the_steps_that_they_stand_for():
    shares, absolute = LinearSchedule(0.05, 1.0, begin=0.3, over=0.4), LinearSchedule(0.05, 1.0, delay=300, steps=400)
    shares.spread_over(1000)
    assert [shares.at(step) for step in range(1001)] == [absolute.at(step) for step in range(1001)]


def test_learning_tells_schedules_how_long_it_lasts(tiny):
    weight = KLWeighted(LinearSchedule(begin=0.5, over=0.25))
    svi = DualRateSVI(tiny.model, tiny.guide, FastLoop(weight, steps=1), SlowStep(weight, 1e-4, steps=8))
    seen = []
    for _ in range(7):
        svi.step(tiny.x)
        seen.append(weight.kl_weight)
    assert seen == [0, 0, 0, 0, 0, 0.5, 1]
    with pytest.raises(InputError, match=r"needs the length of the run: give SlowStep\(steps=...\)"):
        DualRateSVI(tiny.model, tiny.guide, FastLoop(weight, steps=1), SlowStep(weight, 1e-4))


@pytest.mark.parametrize(
    ("schedule", "ends"),
    [
        (LinearSchedule(0.05, 1.0, delay=300, steps=400), "0.285"),
        (CyclicalSchedule(period=300, cycles=2), "0.66"),
        (LinearSchedule(begin=0.3, over=0.7), ""),
        (LinearSchedule(steps=400), ""),
        (0.5, ""),
    ],
)
def test_an_end_that_is_not_reached_is_said(schedule, ends):
    bound = FixedNoise(KLWeighted(schedule))
    bound.spread_over(400)
    assert f"the run has 400 and ends at {ends}" in bound.unreached(400) if ends else bound.unreached(400) == ""


def test_learning_moves_a_schedule_on(tiny):
    weight, capacity = KLWeighted(LinearSchedule(0.0, 1.0, steps=4)), TargetCapacity(LinearSchedule(0.0, 8.0, steps=4))
    svi = DualRateSVI(tiny.model, tiny.guide, FastLoop(weight, steps=1), SlowStep(capacity, learning_rate=1e-4))
    seen = []
    for _ in range(6):
        svi.step(tiny.x)
        seen.append((weight.kl_weight, capacity.capacity))
    assert seen == [(0.0, 0.0), (0.25, 2.0), (0.5, 4.0), (0.75, 6.0), (1.0, 8.0), (1.0, 8.0)]
    svi.slow.taken = 1  # as a resumed run sets it
    svi.step(tiny.x)
    assert weight.kl_weight == 0.25


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KLWeighted(-1), "kl_weight=-1"),
        (lambda: KLWeighted(LinearSchedule(-1.0, 1.0)), "kl_weight="),
        (lambda: FreeBits(-0.1), "nats=-0.1"),
        (lambda: FreeBits(per="token"), "per='token'"),
        (lambda: TargetCapacity(-1.0), "capacity=-1.0"),
        (lambda: TargetCapacity(strength=-1.0), "strength=-1.0"),
        (lambda: InfoVAE(alpha=0.5, scale=0.1), "scale=0.1"),
        (lambda: LinearSchedule(steps=0), "steps=0"),
        (lambda: KLWeighted(LinearSchedule(1.0, -1.0)), "kl_weight="),
        (lambda: KLWeighted(float("nan")), "kl_weight=nan"),
        (lambda: TargetCapacity(LinearSchedule(5.0, -1.0)), "capacity="),
        (lambda: LinearSchedule(end=float("inf")), "end=inf"),
        (lambda: LinearSchedule(delay=-1), "delay=-1"),
        (lambda: LinearSchedule(begin=0.3), "over=None"),
        (lambda: LinearSchedule(over=1.5), "over=1.5"),
        (lambda: LinearSchedule(begin=0.7, over=0.4), "sum is at most 1"),
        (lambda: LinearSchedule(begin=float("nan"), over=0.4), "begin=nan"),
        (lambda: LinearSchedule(steps=10, over=0.4), "slow steps .* or shares of the run"),
        (lambda: CyclicalSchedule(period=10, over=0.4), "expected one of them"),
        (lambda: CyclicalSchedule(over=0.0), "over=0.0"),
        (lambda: CyclicalSchedule(rest=0.6, rise=0.5), "whose sum is at most 1"),
        (lambda: FreeBits(kl_weight=-1.0), "kl_weight=-1.0"),
        (lambda: CyclicalSchedule(rise=0.0), "rise=0.0"),
        (lambda: CyclicalSchedule(period=0), "period=0"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_cycle_may_rest_before_it_rises():
    """Optimus' cycle: half of it 0, a quarter rising, a quarter 1."""
    schedule = CyclicalSchedule(period=8, rest=0.5, rise=0.25, cycles=1)
    assert [schedule.at(step) for step in range(10)] == [0, 0, 0, 0, 0, 0.5, 1, 1, 1, 1]
    assert schedule.duration() == 6


def test_free_bits_count_their_kl_with_a_weight(fitted):
    toy, guide, x = fitted
    terms = {}
    for weight in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        terms[weight] = FreeBits(0.1, kl_weight=weight).terms(toy, guide, x).objective
    torch.testing.assert_close(terms[0.5], (terms[0.0] + terms[1.0]) / 2)
    assert (terms[0.0] > terms[1.0]).all()
    risen = FreeBits(kl_weight=CyclicalSchedule(period=4, rise=0.5))
    risen.begin(1)
    assert risen.kl_weight == 0.5
