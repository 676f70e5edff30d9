"""The natural gradient: one step on conjugate models, and safety everywhere else."""

from functools import partial

import pyro
import pytest
import torch
from gaussians import covariance, exact_elbo, mean_field_gap, random_precision, with_precision

from ltm_pyro import (
    ELBO,
    FastLoop,
    FixedVarianceGuide,
    FlowGuide,
    FullCovarianceGuide,
    InputError,
    LayerChainedGuide,
    LowRankGuide,
    MatrixNormalGuide,
    MeanFieldGuide,
    NaturalGradient,
)

Z_SHAPE = (2, 2, 2)


def diagonal():
    return with_precision(torch.diag(1.5 + 5 * torch.rand(8, dtype=torch.float64)), Z_SHAPE)


def by_thought():
    return with_precision(torch.block_diag(*(random_precision(2) for _ in range(4))), Z_SHAPE)


def anything():
    return with_precision(random_precision(8), Z_SHAPE)


FAMILIES = {
    "mean field": (MeanFieldGuide, diagonal),
    "full": (FullCovarianceGuide, by_thought),
    "full over z": (partial(FullCovarianceGuide, unit="z"), anything),
}
every_family = pytest.mark.parametrize(("make", "model"), FAMILIES.values(), ids=FAMILIES.keys())


def exact_step(guide, toy, rate, optimizer=NaturalGradient):
    """One step along the exact gradient of the ELBO."""
    for row in guide.local_parameters():
        row.grad = None
    q = guide.posterior()
    (-exact_elbo(toy, q.mean.flatten(1), covariance(q)).sum()).backward()
    step = optimizer(guide.local_parameters(), lr=rate)
    if hasattr(step, "attend"):
        step.attend(guide)
    step.step()


def started(make, toy, moved=0.0):
    guide = make(Z_SHAPE)
    guide.start(toy.x, prior=toy.prior())
    with torch.no_grad():
        for row in guide.local_parameters():
            row.add_(moved * torch.randn_like(row))
    return guide


def lack(guide, toy):
    with torch.no_grad():
        q = guide.posterior()
        return toy.evidence(toy.x) - exact_elbo(toy, q.mean.flatten(1), covariance(q))


# ---- one step


@every_family
def test_one_step_of_size_one_is_the_posterior(make, model):
    toy = model()
    guide = started(make, toy)
    assert lack(guide, toy).min() > 1
    exact_step(guide, toy, 1.0)
    assert lack(guide, toy).abs().max() < 1e-9
    torch.testing.assert_close(guide.mu.detach().flatten(1), toy.posterior_mean(toy.x).detach())
    torch.testing.assert_close(covariance(guide.posterior()).detach()[0], torch.linalg.inv(toy.precision()).detach())


@every_family
@pytest.mark.parametrize("other", [torch.optim.SGD, torch.optim.Adam])
def test_another_optimizer_is_not_there_in_one_step(other, make, model):
    toy = model()
    guide = started(make, toy)
    exact_step(guide, toy, 1.0, other)
    assert lack(guide, toy).min() > 0.5


@every_family
def test_a_smaller_step_goes_that_part_of_the_way_in_natural_parameters(make, model):
    toy = model()
    guide = started(make, toy)
    exact_step(guide, toy, 0.25)
    precision = torch.eye(8, dtype=torch.float64) * 0.75 + 0.25 * toy.precision().detach()
    torch.testing.assert_close(torch.linalg.inv(covariance(guide.posterior())).detach()[0], precision)
    shift = 0.25 * (toy.precision() @ toy.posterior_mean(toy.x).T).T
    torch.testing.assert_close((precision @ guide.mu.flatten(1)[..., None]).squeeze(-1), shift)


def test_the_mean_field_finds_its_scales_in_one_step_and_its_means_in_many():
    """Its scales are the best from then on; its means wait for one another where the posterior couples them."""
    toy = anything()
    guide = started(MeanFieldGuide, toy)
    exact_step(guide, toy, 1.0)
    mu, sigma = toy.best_mean_field(toy.x)
    torch.testing.assert_close(guide.log_sigma.exp().detach(), sigma)
    assert (lack(guide, toy) - mean_field_gap(toy)).min() > 0.1
    for _ in range(300):
        exact_step(guide, toy, 0.2)
    torch.testing.assert_close(guide.mu.detach(), mu, atol=1e-6, rtol=0)
    torch.testing.assert_close(lack(guide, toy), mean_field_gap(toy).expand(4))


def test_a_fixed_width_of_the_posteriors_own_needs_one_step():
    toy = with_precision(4 * torch.eye(8, dtype=torch.float64), Z_SHAPE)
    guide = started(partial(FixedVarianceGuide, sigma=0.5), toy)
    exact_step(guide, toy, 1.0)
    assert lack(guide, toy).abs().max() < 1e-9
    guide = started(partial(FixedVarianceGuide, sigma=0.4), toy)
    exact_step(guide, toy, 1.0)
    assert lack(guide, toy).min() > 0.1


def test_it_is_the_steepest_ascent_by_the_fisher_information():
    """Against F, by automatic differentiation, of a full covariance in any place."""
    toy = anything()
    guide = started(partial(FullCovarianceGuide, unit="z"), toy, moved=0.5)
    before = [row.detach().clone() for row in guide.local_parameters()]
    exact_step(guide, toy, 1e-6)
    moved = [(row.detach() - old) / 1e-6 for row, old in zip(guide.local_parameters(), before, strict=True)]
    below = torch.ones(8, 8).tril(-1).bool()

    def flat(mu, log_sigma, lower):
        return torch.cat((mu.flatten(), log_sigma.flatten(), lower[below]))

    def kl_from_here(parameters):
        mu, log_sigma, rest = parameters.split((8, 8, 28))
        lower = torch.zeros(8, 8, dtype=torch.float64).masked_scatter(below, rest)
        probe = started(partial(FullCovarianceGuide, unit="z"), toy)
        probe.mu, probe.log_sigma, probe.lower = mu.view(1, *Z_SHAPE), log_sigma[None], lower[None]
        here = started(partial(FullCovarianceGuide, unit="z"), toy)
        here.mu, here.log_sigma, here.lower = (row[:1] for row in before)
        q, p = (
            torch.distributions.MultivariateNormal(g.mu.flatten(1), scale_tril=g.posterior().parts[0])
            for g in (probe, here)
        )
        return torch.distributions.kl_divergence(p, q).sum()

    first = flat(*(row[0] for row in before))
    fisher = torch.autograd.functional.hessian(kl_from_here, first)
    slope = -flat(*(row.grad[0] for row in guide.local_parameters()))
    expected = torch.linalg.solve(fisher, slope)
    torch.testing.assert_close(flat(*(row[0] for row in moved)), expected, rtol=1e-3, atol=1e-3)


# ---- safety


@every_family
@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_no_step_loses_the_precision(size, make, model):
    """Whatever the gradients say, and no direction keeps less than half of its precision."""
    toy = model()
    guide = started(make, toy, moved=0.3)
    before = torch.linalg.inv(covariance(guide.posterior())).detach()
    for row in guide.local_parameters():
        row.grad = size * torch.randn_like(row)
    guide.natural_step(1.0)
    after = torch.linalg.inv(covariance(guide.posterior())).detach()
    root = torch.linalg.cholesky(torch.linalg.inv(before))
    kept = torch.linalg.eigvalsh(root.mT @ after @ root)
    assert kept.min() > 0.5 - 1e-6
    assert all(row.isfinite().all() for row in guide.local_parameters())
    plain = 1 + guide.local_parameters()[1].grad  # what the plain rule would have left of the mean field's
    assert plain.min() < 0


# ---- steps of a limited length


ALL_FAMILIES = {**FAMILIES, "fixed": (partial(FixedVarianceGuide, sigma=0.5), anything)}
whatever_family = pytest.mark.parametrize(("make", "model"), ALL_FAMILIES.values(), ids=ALL_FAMILIES.keys())


def scale_slopes(guide, factors):
    for row in guide.local_parameters():
        row.grad.mul_(factors.view(-1, *[1] * (row.dim() - 1)))


def with_slopes(make, toy):
    """A guide somewhere, whose sequences hold random slopes of natural norms of 1e-6, 1e-4, 1e-2 and 1."""
    guide = started(make, toy, moved=0.3)
    for row in guide.local_parameters():
        row.grad = torch.randn_like(row)
    scale_slopes(guide, 10.0 ** torch.arange(-3.0, 1.0, dtype=torch.float64) / guide.natural_norm().sqrt())
    return guide


def moved_by(guide, step):
    """KL from before a step to after it, shape (B,)."""
    with torch.no_grad():
        before, root = guide.mu.flatten(1).clone(), torch.linalg.cholesky(covariance(guide.posterior()).detach())
        step()
        after = torch.linalg.cholesky(covariance(guide.posterior()).detach())
        p = torch.distributions.MultivariateNormal(before, scale_tril=root)
        return torch.distributions.kl_divergence(
            p, torch.distributions.MultivariateNormal(guide.mu.flatten(1), scale_tril=after)
        )


@whatever_family
def test_the_norm_says_how_far_a_step_moves_q(make, model):
    guide = with_slopes(make, model())
    norm = guide.natural_norm()
    torch.testing.assert_close(norm, 100.0 ** torch.arange(-3.0, 1.0, dtype=torch.float64))
    moved = moved_by(guide, lambda: guide.natural_step(0.1))
    torch.testing.assert_close(moved, 0.5 * 0.1**2 * norm, rtol=0.1, atol=0)


@whatever_family
def test_no_step_goes_farther_than_the_limit_and_short_ones_are_left_alone(make, model):
    toy = model()
    guide = with_slopes(make, toy)
    state = [(row.detach().clone(), row.grad.clone()) for row in guide.local_parameters()]
    limit = 1e-4  # the first two sequences go less far, the others farther

    def step(**options):
        for row, (value, slope) in zip(guide.local_parameters(), state, strict=True):
            row.data.copy_(value)
            row.grad = slope.clone()
        optimizer = NaturalGradient(guide.local_parameters(), lr=0.7, **options)
        optimizer.attend(guide)
        far = moved_by(guide, optimizer.step)
        return far, [row.detach().clone() for row in guide.local_parameters()]

    free, long = step()
    held, short = step(max_kl=limit)
    assert (free[2:] > 10 * limit).all()
    torch.testing.assert_close(held[2:], torch.full_like(held[2:], limit), rtol=0.1, atol=0)
    for one, other in zip(long, short, strict=True):
        assert torch.equal(one[:2], other[:2])
        assert not torch.equal(one[2:], other[2:])


@pytest.mark.parametrize("max_kl", [2.0, None])
def test_a_limit_brings_q_back_where_noise_would_have_thrown_it_off(max_kl):
    """64 directions, the KL from one draw, a posterior that couples all means."""
    ones = torch.ones(64, 1, dtype=torch.float64)
    toy = with_precision(1.5 * torch.eye(64, dtype=torch.float64) + ones @ ones.T, (2, 2, 16))
    guide = MeanFieldGuide(toy.z_shape)
    loop = FastLoop(ELBO(closed_form_kl=False), 48, 0.5, 0.2, optimizer=partial(NaturalGradient, max_kl=max_kl))
    loop.fit(toy, guide, toy.x)
    missing = lack(guide, toy).max() - mean_field_gap(toy)
    assert missing < 150 if max_kl else missing > 1000


# ---- where it arrives


@every_family
def test_it_arrives_from_a_place_that_is_too_narrow(make, model):
    toy = model()
    guide = started(make, toy)
    with torch.no_grad():
        guide.log_sigma.sub_(2.0)
    for _ in range(12):
        exact_step(guide, toy, 1.0)
    assert lack(guide, toy).abs().max() < 1e-4


def test_in_the_fast_loop_it_follows_samples_to_the_optimum():
    toy = anything()
    guide = partial(FullCovarianceGuide, unit="z")(Z_SHAPE)
    FastLoop(ELBO(32), 200, 0.3, 0.01, optimizer=NaturalGradient).fit(toy, guide, toy.x)
    assert lack(guide, toy).max() < 0.1
    assert lack(started(MeanFieldGuide, toy), toy).min() > 1


@pytest.mark.parametrize("tolerance", [None, 0.01])
def test_a_sequence_does_not_depend_on_its_batch_mates(tolerance):
    toy = anything()
    fitted = []
    for offset in (0.0, 3.0):
        pyro.set_rng_seed(0)
        guide, x = FullCovarianceGuide(Z_SHAPE), torch.cat((toy.x[:1], toy.x[1:] + offset))
        loop = FastLoop(ELBO(4), 30, 0.2, optimizer=NaturalGradient, tolerance=tolerance)
        loop.fit(toy, guide, x)
        fitted.append([row.detach() for row in guide.local_parameters()])
    for one, other in zip(*fitted, strict=True):
        torch.testing.assert_close(one[0], other[0])
        assert not torch.allclose(one[1:], other[1:])


def test_through_a_flow_it_is_the_bases():
    toy = anything()
    pyro.set_rng_seed(0)
    guide = FlowGuide(Z_SHAPE, transforms=2, hidden=8).double()
    guide.start(toy.x, prior=toy.prior())
    start = guide.base.mu.detach().clone()
    FastLoop(ELBO(4), 20, 0.1, optimizer=NaturalGradient).fit(toy, guide, toy.x)
    assert (guide.base.mu - start).abs().max() > 0.1


# ---- what is refused


@pytest.mark.parametrize("make", [LowRankGuide, MatrixNormalGuide, LayerChainedGuide])
def test_families_without_a_closed_form_say_so(make, toy):
    with pytest.raises(InputError, match=f"{make.__name__} has no natural gradient in closed form"):
        FastLoop(ELBO(), 2, optimizer=NaturalGradient).fit(toy, make(toy.z_shape), toy.x)


def test_it_needs_a_guide_and_a_positive_rate():
    row = torch.zeros(2, requires_grad=True)
    with pytest.raises(InputError, match="attend"):
        NaturalGradient([row]).step()
    with pytest.raises(InputError, match="lr=0"):
        NaturalGradient([row], lr=0.0)
    with pytest.raises(InputError, match="max_kl=0"):
        NaturalGradient([row], max_kl=0.0)


def test_without_gradients_nothing_moves_and_a_closure_makes_them(toy):
    guide = started(MeanFieldGuide, diagonal())
    before = guide.mu.detach().clone()
    optimizer = NaturalGradient(guide.local_parameters(), lr=0.5)
    optimizer.attend(guide)
    assert optimizer.step() is None
    assert torch.equal(guide.mu, before)

    def closure():
        loss = (guide.mu**2).sum() - guide.mu.sum() + guide.log_sigma.sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == pytest.approx(0.0)
    assert not torch.equal(guide.mu, before)
