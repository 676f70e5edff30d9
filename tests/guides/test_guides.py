"""The contract of every guide. A new guide is one more entry in `GUIDES`."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from toys import SIZES, decoder_with, z_test

from ltm_pyro import (
    ELBO,
    AbstractGuide,
    AmortisedGuide,
    AutoGuideAdapter,
    Decoder,
    EmptyGuide,
    FastLoop,
    FixedVarianceGuide,
    FlowGuide,
    FullCovarianceGuide,
    GaussianPrior,
    ImportanceWeighted,
    InputError,
    LangevinGuide,
    LaplaceGuide,
    LatentThoughtModel,
    LayerChainedGuide,
    LowRankGuide,
    MAPGuide,
    MatrixNormalGuide,
    MeanFieldGuide,
    MemoryGuide,
    NaturalGradient,
    SemiAmortisedGuide,
    SlowStep,
    SVGDGuide,
)


class Member(NamedTuple):
    """A guide, and what is true of it.

    Args:
        make: from z_shape.
        density: whether log q(z) is known after a fit.
        stochastic: whether two draws of one sequence differ.
        vocabulary: whether it reads token ids, and is told how many there are.
        local: whether it has rows that the fast loop moves.
        natural: whether its natural gradient has a closed form.
        at_prior: whether it starts there, so that the KL is nearly zero.
        within: nats that it may lack on the linear-Gaussian model; None where it is not asked to come close.
    """

    make: Callable[[tuple[int, int, int]], Any]
    density: bool = True
    stochastic: bool = True
    vocabulary: bool = False
    local: bool = True
    natural: bool = False
    at_prior: bool = True
    within: float | None = 1.5


GUIDES = {
    "mean field": Member(MeanFieldGuide, natural=True),
    "mean field, narrow": Member(partial(MeanFieldGuide, sigma=0.1), natural=True, at_prior=False),
    "low rank": Member(partial(LowRankGuide, rank=2)),
    "matrix normal": Member(MatrixNormalGuide),
    "full": Member(FullCovarianceGuide, natural=True),
    "full over z": Member(partial(FullCovarianceGuide, unit="z"), natural=True, within=0.6),
    "layer chained": Member(partial(LayerChainedGuide, rank=2)),
    "fixed": Member(FixedVarianceGuide, natural=True, at_prior=False, within=3.0),
    "flow": Member(partial(FlowGuide, transforms=2, hidden=16), natural=True),
    "flow over low rank": Member(partial(FlowGuide, base="LowRankGuide", options={"rank": 2}, transforms=2, hidden=8)),
    "map": Member(MAPGuide, density=False, stochastic=False, at_prior=False),
    "langevin": Member(partial(LangevinGuide, particles=3), density=False, at_prior=False),
    "svgd": Member(partial(SVGDGuide, particles=3), density=False, at_prior=False),
    "laplace": Member(LaplaceGuide, at_prior=False, within=None),
    "autoguide": Member(AutoGuideAdapter),
    "memory, at rest": Member(lambda z_shape: MemoryGuide(z_shape).eval(), natural=True),
    "amortised": Member(partial(AmortisedGuide, width=16, blocks=1), vocabulary=True, local=False),
    "semi-amortised": Member(partial(SemiAmortisedGuide, width=16, blocks=1), vocabulary=True, natural=True),
}


def those(condition):
    chosen = {name: member for name, member in GUIDES.items() if condition(member)}
    return pytest.mark.parametrize("member", chosen.values(), ids=chosen.keys())


every_guide = those(lambda member: True)
TIGHT = {"atol": 1e-9, "rtol": 0}
V = SIZES["vocabulary"]


def made(member, z_shape, dtype=torch.float64):
    """A guide whose global parameters are anywhere, the same ones each time."""
    torch.manual_seed(3)
    guide = member.make(z_shape)
    guide.prepare(V)
    with torch.no_grad():
        for parameter in guide.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return guide.to(dtype)


def fit(guide, model, x, mask=None, steps=5, seed=0):
    """Fit a guide on a batch, with the seed of the noise."""
    pyro.set_rng_seed(seed)
    FastLoop(ELBO(2), steps).fit(model, guide, x, mask)
    return guide


def fitted(member, tiny, x, mask=None, steps=5):
    return fit(made(member, tiny.decoder.z_shape), tiny.model, x, mask, steps)


def drawn(guide, x, seed=1):
    """Four samples of every sequence, shape (4, B, L, K, D), without history."""
    pyro.set_rng_seed(seed)
    with torch.no_grad(), pyro.plate("particles", 4, dim=-2):
        return guide(x)


def admitted(bound, guide):
    return bound if guide.has_density else bound.without_claim()


def terms(bound, guide, model, x, mask=None, seed=1):
    pyro.set_rng_seed(seed)
    return admitted(bound, guide).terms(model, guide, x=x, mask=mask)


def local_copies(guide):
    return [row.detach().clone() for row in guide.local_parameters()]


def assert_rows_equal(ones, others, row=slice(None)):
    for one, other in zip(ones, others, strict=True):
        torch.testing.assert_close(one[row], other[row], **TIGHT)


# ---- rows and parameters


@every_guide
def test_it_has_a_row_a_sequence_held_apart_from_its_own_parameters(member, tiny):
    guide = made(member, tiny.decoder.z_shape)
    own = dict(guide.state_dict())
    guide.start(tiny.x, prior=tiny.model.prior())
    rows = guide.local_parameters()
    assert isinstance(guide, AbstractGuide)
    assert bool(rows) == member.local
    assert all(len(row) == 3 and row.requires_grad and row.is_leaf for row in rows)
    assert not {id(p) for p in guide.parameters()} & {id(row) for row in rows}
    assert guide.state_dict().keys() == own.keys()
    assert {name for name, _ in guide.named_parameters()} <= own.keys()


@every_guide
def test_the_fast_loop_moves_its_rows_and_nothing_else(member, tiny):
    guide = made(member, tiny.decoder.z_shape)
    own = {name: value.clone() for name, value in guide.state_dict().items()}
    fit(guide, tiny.model, tiny.x, steps=0)
    before = local_copies(guide)
    fit(guide, tiny.model, tiny.x, steps=3)
    for row, old in zip(guide.local_parameters(), before, strict=True):
        assert ((row - old).flatten(1).abs().amax(1) > 1e-6).all()
    assert all(torch.equal(value, own[name]) for name, value in guide.state_dict().items())
    assert all(parameter.grad is None for parameter in guide.parameters())


@every_guide
def test_the_slow_step_moves_its_own_parameters_and_no_row(member, tiny):
    guide = fitted(member, tiny, tiny.x)
    rows, own = local_copies(guide), {name: value.detach().clone() for name, value in guide.named_parameters()}
    slow = SlowStep(ELBO(2), learning_rate=0.01)
    slow.prepare([*tiny.model.parameters(), *guide.parameters()])
    for row in guide.local_parameters():
        row.grad = None
    slow.step(tiny.model, guide, tiny.x)
    assert_rows_equal(rows, local_copies(guide))
    assert all(row.grad is None and row.requires_grad for row in guide.local_parameters())
    for name, value in guide.named_parameters():
        assert not torch.equal(value, own[name]), name


@every_guide
def test_its_own_parameters_are_restored_and_no_row_is(member, tiny):
    guide = fitted(member, tiny, tiny.x)
    other = member.make(tiny.decoder.z_shape)
    other.prepare(V)
    other.double().load_state_dict(guide.state_dict())
    torch.testing.assert_close(drawn(fit(other, tiny.model, tiny.x), tiny.x), drawn(guide, tiny.x), **TIGHT)
    rows = {tuple(row.shape) for row in guide.local_parameters()}
    assert not rows & {tuple(value.shape) for value in guide.state_dict().values()}


@every_guide
def test_a_natural_step_is_taken_or_refused_by_name(member, tiny):
    guide = made(member, tiny.decoder.z_shape)
    if not member.natural:
        guide.start(tiny.x, prior=tiny.model.prior())
        with pytest.raises(InputError, match=r"^\w+ has no natural gradient in closed form"):
            guide.natural_step(0.1)
        with pytest.raises(InputError, match=r"^\w+ has no natural gradient in closed form.*no max_kl"):
            guide.natural_norm()
        return
    fit(guide, tiny.model, tiny.x, steps=0)
    before = local_copies(guide)
    FastLoop(ELBO(4), 2, 0.1, optimizer=NaturalGradient).fit(tiny.model, guide, tiny.x)
    for row, old in zip(guide.local_parameters(), before, strict=True):
        assert row.isfinite().all()
        assert (row - old).abs().max() > 1e-6
    assert guide.natural_norm().shape == (len(tiny.x),)
    assert (guide.natural_norm() > 0).all()


# ---- what it draws


@every_guide
def test_it_samples_the_models_site(member, tiny):
    guide = fitted(member, tiny, tiny.x, steps=2)
    site = poutine.trace(guide).get_trace(tiny.x).nodes["z"]
    assert site["fn"].batch_shape == (3,)
    assert site["fn"].event_shape == tiny.decoder.z_shape
    assert site["fn"].has_rsample
    assert guide(tiny.x).shape == (3, *tiny.decoder.z_shape)
    z = drawn(guide, tiny.x)
    assert z.shape == (4, 3, *tiny.decoder.z_shape)
    assert (z[0] != z[1]).flatten(1).any(1).all() == member.stochastic
    assert len(pyro.get_param_store()) == 0


@every_guide
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_the_precision_of_the_prior(dtype, member, tiny):
    model, guide = tiny.model.to(dtype), made(member, tiny.decoder.z_shape, dtype)
    fit(guide, model, tiny.x, steps=2)
    assert {row.dtype for row in guide.local_parameters()} <= {dtype}
    values = terms(ELBO(2), guide, model, tiny.x)
    assert values.objective.dtype == dtype
    assert values.objective.isfinite().all()
    assert guide(tiny.x).dtype == dtype


@every_guide
def test_particles_may_pass_a_few_at_a_time(member, tiny):
    guide = fitted(member, tiny, tiny.x)
    values, slopes = [], []
    for at_once in (None, 2):
        value = terms(ELBO(5, at_once=at_once), guide, tiny.model, tiny.x).objective
        values.append(value.detach())
        parameters = [*guide.local_parameters(), *guide.parameters()]
        slopes.append(torch.autograd.grad(value.sum(), parameters, allow_unused=True))
    torch.testing.assert_close(*values)
    for one, other in zip(*slopes, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


def integral(log_density, functions, half=10.0, points=501):
    """Of each function times a density over the plane, by a grid, shape (F,)."""
    axis = torch.linspace(-half, half, points, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis).view(-1, 1, 2, 1, 1)
    weight = log_density(z).exp() * (axis[1] - axis[0]) ** 2  # (N, B)
    return torch.einsum("nb,nf->bf", weight, functions(z.flatten(1)))


def some_functions(z):
    """Of z = (z_1, z_2), shape (..., 2) -> (..., F); the first is one, for the whole."""
    one, two = z.unbind(-1)
    return torch.stack((torch.ones_like(one), one, two, one**2, one * two, two**2, torch.sin(one * two)), -1)


@those(lambda member: member.density and not member.vocabulary)
def test_its_samples_have_the_density_that_it_claims(member):
    """By quadrature, for two dimensions; a neighbour's density is another one."""
    guide = made(member, (2, 1, 1))
    guide.start(torch.zeros(2, 5, dtype=torch.long), prior=GaussianPrior((2, 1, 1), 0.8).double()())
    with torch.no_grad():
        for row in guide.local_parameters():
            row.add_(torch.randn(row.shape, dtype=torch.float64) * 0.5)
    target = torch.tensor([[2.0, 0.7], [0.7, 1.5]], dtype=torch.float64), torch.tensor([0.3, -0.4])
    guide.after_fit(lambda z: -0.5 * torch.einsum("...i,ij,...j", z.flatten(-3) - target[1], target[0], z.flatten(-3)))
    q = poutine.trace(guide).get_trace().nodes["z"]["fn"]
    with torch.no_grad():
        expected = integral(q.log_prob, some_functions)
        samples = some_functions(q.sample((100_000,)).flatten(-3))[..., 1:]
    torch.testing.assert_close(expected[:, 0], torch.ones(2, dtype=torch.float64), atol=1e-3, rtol=0)
    z_test(samples, expected[:, 1:], limit=4.5)
    with pytest.raises(AssertionError, match="standard errors"):
        z_test(samples, expected[:, 1:].flip(0), limit=4.5)


@those(lambda member: not member.density)
def test_without_a_density_every_bound_is_refused(member, tiny):
    guide = fitted(member, tiny, tiny.x, steps=1)
    assert not guide.has_density
    with pytest.raises(InputError, match="nothing is bounded"):
        ELBO().terms(tiny.model, guide, tiny.x)


# ---- batches


@those(lambda member: member.local)
def test_a_fresh_batch_starts_fresh(member, tiny):
    guide = fitted(member, tiny, tiny.x)
    first, z = local_copies(guide), drawn(guide, tiny.x)
    fit(guide, tiny.model, tiny.texts(3), seed=2)
    assert not torch.allclose(first[0], guide.local_parameters()[0])
    fit(guide, tiny.model, tiny.x)
    assert_rows_equal(first, local_copies(guide))
    torch.testing.assert_close(z, drawn(guide, tiny.x), **TIGHT)


@every_guide
def test_a_posterior_does_not_depend_on_its_batch_mates(member, tiny):
    other = torch.cat((tiny.x[:1], tiny.texts(2)))
    one, two = fitted(member, tiny, tiny.x), fitted(member, tiny, other)
    assert_rows_equal(local_copies(one), local_copies(two), row=0)
    here, there = drawn(one, tiny.x), drawn(two, other)
    torch.testing.assert_close(here[:, 0], there[:, 0], **TIGHT)
    assert (here - there)[:, 1:].abs().max() > 1e-3
    for bound in (ELBO(4), ImportanceWeighted(4)):
        values = [terms(bound, guide, tiny.model, x).objective.detach() for guide, x in ((one, tiny.x), (two, other))]
        torch.testing.assert_close(values[0][0], values[1][0], **TIGHT)
        assert (values[0] - values[1])[1:].abs().min() > 1e-3


@every_guide
def test_a_batch_may_be_of_any_size(member, tiny):
    guide = made(member, tiny.decoder.z_shape)
    for batch in (1, 5, 2):
        x = tiny.texts(batch)
        fit(guide, tiny.model, x, steps=2)
        assert terms(ELBO(3), guide, tiny.model, x).objective.shape == (batch,)


@every_guide
def test_a_posterior_does_not_depend_on_padding(member, tiny):
    short = tiny.x[:, :12]
    mask = torch.arange(20).expand(3, 20) < 12
    one, two = fitted(member, tiny, short), fitted(member, tiny, tiny.x, mask)
    assert_rows_equal(local_copies(one), local_copies(two))
    torch.testing.assert_close(drawn(one, short), drawn(two, tiny.x), **TIGHT)
    assert (drawn(one, short) - drawn(fitted(member, tiny, tiny.x), tiny.x)).abs().max() > 1e-3


@every_guide
def test_texts_of_a_batch_may_end_at_different_places(member, tiny):
    lengths = torch.tensor([20, 7, 13])
    mask = torch.arange(20) < lengths[:, None]
    noise = tiny.texts(3)
    one, two = fitted(member, tiny, tiny.x, mask), fitted(member, tiny, torch.where(mask, tiny.x, noise), mask)
    assert_rows_equal(local_copies(one), local_copies(two))
    torch.testing.assert_close(
        terms(ELBO(2), one, tiny.model, tiny.x, mask).objective,
        terms(ELBO(2), two, tiny.model, torch.where(mask, tiny.x, noise), mask).objective,
        **TIGHT,
    )
    three = fitted(member, tiny, torch.where(mask, noise, tiny.x), mask)
    assert (drawn(one, tiny.x) - drawn(three, tiny.x)).abs().max() > 1e-3


@every_guide
def test_a_guide_that_has_not_seen_the_batch_says_so(member, tiny):
    guide = made(member, tiny.decoder.z_shape)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x)
    guide.start(tiny.x)
    with pytest.raises(InputError, match=r"guide\.start"):
        guide(tiny.x[:2])


# ---- where it starts, and where it arrives


@those(lambda member: member.at_prior)
def test_it_starts_at_the_prior(member, tiny):
    guide = member.make(tiny.decoder.z_shape)
    guide.prepare(V)
    guide = guide.double()
    prior = GaussianPrior(tiny.decoder.z_shape, 0.3).double()
    model = LatentThoughtModel(prior, tiny.decoder)
    guide.start(tiny.x, prior=prior())
    values = terms(ELBO(2000, at_once=500), guide, model, tiny.x)
    size = prior().event_shape.numel()
    assert values.kl.abs().max() < (1e-3 if values.kl_closed_form else 0.01 * size)


@those(lambda member: member.within is not None and member.density and not member.vocabulary)
def test_the_fast_loop_brings_the_bound_close_to_the_evidence(member, toy):
    """Close: within what the family lacks, here about a nat, where the start lacks several."""
    guide, evidence = made(member, toy.z_shape), toy.evidence(toy.x)
    fit(guide, toy, toy.x, steps=0)
    assert (evidence - ELBO(2000).terms(toy, guide, toy.x).bound).min() > 3
    FastLoop(ELBO(8), steps=100, learning_rate=0.2).fit(toy, guide, toy.x)
    gap = evidence - ELBO(2000).terms(toy, guide, toy.x).bound
    assert gap.max() < member.within
    assert gap.min() > -0.1


# ---- compiled


@pytest.mark.slow  # tests/models/test_reading.py compiles the same passes
@pytest.mark.filterwarnings("ignore")  # of the compiler's own
def test_a_compiled_decoder_scores_the_same():
    """Rows and weights learn through it as through the other."""
    decoder = Decoder(**SIZES)
    model, guide = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder), LowRankGuide(decoder.z_shape)
    x, found, plain = torch.randint(V, (3, 20)), [], decoder.token_log_prob
    for score in (plain, torch.compile(plain, backend="aot_eager")):
        decoder.token_log_prob = score
        fit(guide, model, x, steps=2)
        found.append((terms(ELBO(2), guide, model, x).objective.detach(), *local_copies(guide)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


# ---- the paper's guide, and none


def test_the_mean_field_guide_starts_at_the_prior(tiny):
    guide = MeanFieldGuide((1, 2, 2))
    guide.start(tiny.x, prior=GaussianPrior((1, 2, 2), sigma=0.3)())
    assert torch.equal(guide.mu, torch.zeros(3, 1, 2, 2))
    torch.testing.assert_close(guide.log_sigma.exp(), torch.full((3, 1, 2, 2), 0.3))
    guide = MeanFieldGuide(tiny.decoder.z_shape)
    guide.start(tiny.x, prior=tiny.model.prior())
    torch.testing.assert_close(ELBO().terms(tiny.model, guide, tiny.x).kl, torch.zeros(3, dtype=torch.float64))


def test_the_mean_field_guide_starts_at_zero_and_one_where_the_prior_has_no_moments(tiny):
    guide = MeanFieldGuide((1, 2, 2))
    for prior in (None, dist.Cauchy(torch.ones(1, 2, 2), 2.0).to_event(3)):
        guide.start(tiny.x, prior=prior)
        assert torch.equal(guide.mu, torch.zeros(3, 1, 2, 2))
        assert torch.equal(guide.log_sigma, torch.zeros(3, 1, 2, 2))


def test_the_mean_field_guide_starts_where_it_is_told(tiny):
    guide = MeanFieldGuide((1, 2, 2), sigma=0.1)
    guide.start(tiny.x, prior=GaussianPrior((1, 2, 2), sigma=0.3)())
    torch.testing.assert_close(guide.log_sigma.exp(), torch.full((3, 1, 2, 2), 0.1))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_that_is_not_positive_is_refused(sigma):
    with pytest.raises(InputError, match="sigma="):
        MeanFieldGuide((1, 2, 2), sigma=sigma)


def test_the_empty_guide_has_nothing():
    guide = EmptyGuide()
    guide.start(torch.zeros(2, 3, dtype=torch.long))
    assert guide.local_parameters() == []
    assert list(guide.parameters()) == []
    assert guide(torch.zeros(2, 3, dtype=torch.long)) is None
    assert decoder_with(thoughts=0).z_shape[1] == 0
