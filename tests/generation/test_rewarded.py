"""Thoughts given a label: moments by quadrature, a fit that is exact where it can be, and the same draw where n = 1."""

import pytest
import torch
from toys import TinyModel, decoder_with, large_weights, z_test

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    CategoricalGuide,
    CodebookPrior,
    FastLoop,
    FullCovarianceGuide,
    GaussianPrior,
    LatentThoughtModel,
    MeanFieldGuide,
)
from ltm_pyro.errors import InputError
from ltm_pyro.generation import thoughts_from_prompts
from ltm_pyro.generation.rewarded import candidate_thoughts, langevin_thoughts, tilted_thoughts
from ltm_pyro.generation.rewarded.batch import prompt_batch
from ltm_pyro.models import CategoricalReward, GaussianReward

SHAPE = (1, 1, 2)
FAST = FastLoop(ELBO(16), steps=40, learning_rate=0.1)
NO_PROMPT = torch.zeros(400, 0, dtype=torch.long)


def on_the_plane(reward):
    """A model whose thoughts are two numbers, p(z) = N(0, I)."""
    decoder = decoder_with(layers=1, thoughts=1, length=6)
    return LatentThoughtModel(GaussianPrior(SHAPE).double(), decoder, reward=reward).double()


def planted():
    """A head on the plane whose p(r = 1 | z) rises along (1, 1/2) and bends."""
    head = CategoricalReward(SHAPE, hidden=3).double()
    with torch.no_grad():
        head.read.weight.copy_(torch.tensor([[1.5, 0.5], [-0.5, 1.0], [0.3, 0.3]]))
        head.out.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.5, -1.0]]))
        head.out.bias.copy_(torch.tensor([0.0, -1.0]))
    return on_the_plane(head)


def quadrature(head, r=1):
    """log p(r), and moments E[z_1], E[z_2], E[z_1²], E[z_1 z_2], E[z_2²] of p(z | r), on a grid."""
    axis = torch.linspace(-7, 7, 281, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    log_p = -0.5 * z.square().sum(-1) - torch.log(torch.tensor(2 * torch.pi)) + 2 * (axis[1] - axis[0]).log()
    with torch.no_grad():
        log_p = log_p + head(z.view(-1, *SHAPE)).log_prob(torch.full((len(z),), r))
    evidence = log_p.logsumexp(0)
    return evidence, (log_p - evidence).exp() @ features(z)


def features(z):
    z = z.reshape(len(z), 2)
    return torch.cat((z, z[:, :1] ** 2, z[:, :1] * z[:, 1:], z[:, 1:] ** 2), -1)


def drawn(by, model, **options):
    guide = MeanFieldGuide(SHAPE)
    return by(model, guide, FAST, NO_PROMPT, torch.ones(len(NO_PROMPT), dtype=torch.long), **options)


def test_weights_and_langevin_have_the_moments_of_the_tilted_posterior_and_the_prior_has_not():
    model = planted()
    _, moments = quadrature(model.reward)
    z_test(features(drawn(candidate_thoughts, model, candidates=128, rule="weights")), moments)
    z_test(features(drawn(langevin_thoughts, model, steps=60, size=0.3)), moments)
    with pytest.raises(AssertionError, match="standard errors"):  # the untilted twin
        z_test(features(model.prior().sample((len(NO_PROMPT),))), moments)
    with pytest.raises(AssertionError, match="standard errors"):  # a maximum is no sample
        z_test(features(drawn(candidate_thoughts, model, candidates=128, rule="best")), moments)


def test_the_fit_bounds_the_evidence_of_the_label_and_follows_it():
    model = planted()
    evidence, moments = quadrature(model.reward)
    guide, r = FullCovarianceGuide(SHAPE), torch.ones(2, dtype=torch.long)
    prompts = NO_PROMPT[:2]
    z = tilted_thoughts(model, guide, FAST, prompts, r)
    assert z.shape == (2, *SHAPE)
    with torch.no_grad():
        elbo = ELBO(4000).terms(model, guide, **prompt_batch(model, prompts), r=r).elbo
    assert elbo.max() < evidence
    assert elbo.min() > evidence - 0.1
    torch.testing.assert_close(guide.posterior().mean[0].flatten(), moments[:2], atol=0.15, rtol=0)
    guide.start(NO_PROMPT.new_zeros(2, 1), prior=model.prior())  # the untilted twin
    with torch.no_grad():
        untilted = ELBO(4000).terms(model, guide, **prompt_batch(model, prompts), r=r).elbo
    assert untilted.max() < elbo.min() - 0.2


def test_the_fit_is_exact_for_a_linear_gaussian_head():
    head = GaussianReward(SHAPE, hidden=0).double()
    slope = torch.tensor([1.5, -0.5]).double()
    with torch.no_grad():
        head.out.weight.copy_(slope)
        head.out.bias.fill_(0.3)
        head.log_sigma.fill_(-0.5)
    model, r = on_the_plane(head), torch.tensor([2.0, -1.0]).double()
    variance = head.log_sigma.exp().item() ** 2
    evidence = torch.distributions.Normal(0.3, (slope.square().sum() + variance).sqrt()).log_prob(r)
    covariance = torch.linalg.inv(torch.eye(2).double() + slope.outer(slope) / variance)
    guide = FullCovarianceGuide(SHAPE)
    fast = FastLoop(ELBO(64), steps=80, learning_rate=0.2, final_fraction=0.0)
    tilted_thoughts(model, guide, fast, NO_PROMPT[:2], r)
    q = guide.posterior()
    mean = (r - 0.3)[:, None] * (covariance @ slope) / variance
    torch.testing.assert_close(q.mean.flatten(1), mean, atol=0.02, rtol=0)
    with torch.no_grad():
        elbo = ELBO(4000).terms(model, guide, **prompt_batch(model, NO_PROMPT[:2]), r=r).elbo
    torch.testing.assert_close(elbo, evidence, atol=0.03, rtol=0)


def with_head(**options):
    tiny = TinyModel(length=8)
    head = CategoricalReward(tiny.decoder.z_shape, **options)
    head.prepare(tiny.decoder.vocabulary)
    tiny.model = LatentThoughtModel(tiny.model.prior, tiny.decoder, reward=large_weights(head))
    return tiny


@pytest.mark.parametrize("rule", ["best", "weights"])
@pytest.mark.parametrize("length", [0, 5])
def test_one_candidate_is_a_draw_from_q(rule, length):
    tiny, fast, r = with_head(), FastLoop(ELBO(), steps=2), torch.ones(3, dtype=torch.long)
    prompts = tiny.x[:, :length]
    torch.manual_seed(1)
    z = candidate_thoughts(tiny.model, tiny.guide, fast, prompts, r, candidates=1, rule=rule)
    torch.manual_seed(1)
    if length:
        expected = thoughts_from_prompts(tiny.model, tiny.guide, fast, prompts)
    else:
        expected = tiny.model.prior().sample((3,))
    torch.testing.assert_close(z, expected)


def test_the_best_candidate_is_the_one_that_the_head_prefers():
    tiny, fast, r = with_head(), FastLoop(ELBO(), steps=2), torch.tensor([0, 1, 1])
    prompts = tiny.x[:, :5]
    scores = []
    for candidates in (1, 4, 32):
        torch.manual_seed(1)
        z = candidate_thoughts(tiny.model, tiny.guide, fast, prompts, r, candidates)
        scores.append(tiny.model.reward.log_prob(z, r, prompts, None))
    assert (scores[2] > scores[0]).all()
    assert scores[0].sum() < scores[1].sum() < scores[2].sum()


@pytest.mark.parametrize("prompt", [False, True])
def test_every_way_reads_the_prompt_and_the_label(prompt):
    tiny, fast = with_head(prompt=prompt), FastLoop(ELBO(), steps=4, learning_rate=0.3)
    for by, options in ((tilted_thoughts, {}), (langevin_thoughts, {"steps": 4}), (candidate_thoughts, {})):
        found = []
        for prompts, label in ((tiny.x[:, :4], 0), (tiny.x[:, :4], 1), (tiny.x[:, 4:], 1)):
            torch.manual_seed(2)
            r = torch.full((3,), label)
            found.append(by(tiny.model, tiny.guide, fast, prompts, r, **options))
        assert not torch.equal(found[0], found[1])
        assert not torch.equal(found[1], found[2])
        assert all(weight.grad is None for weight in tiny.model.parameters())
        assert all(weight.requires_grad for weight in tiny.model.parameters())


def test_what_cannot_be_done_is_refused():
    tiny, fast, r = with_head(), FastLoop(ELBO(), steps=1), torch.ones(3, dtype=torch.long)
    plain = LatentThoughtModel(tiny.model.prior, tiny.decoder)
    for by in (tilted_thoughts, candidate_thoughts, langevin_thoughts):
        with pytest.raises(InputError, match="has no reward head"):
            by(plain, tiny.guide, fast, tiny.x, r)
    amortised = AmortisedGuide(tiny.decoder.z_shape)
    amortised.prepare(tiny.decoder.vocabulary)
    with pytest.raises(InputError, match="AmortisedGuide has no local parameters"):
        tilted_thoughts(tiny.model, amortised.double(), fast, tiny.x, r)
    with pytest.raises(InputError, match="candidates=0"):
        candidate_thoughts(tiny.model, tiny.guide, fast, tiny.x, r, candidates=0)
    with pytest.raises(InputError, match="rule='worst'"):
        candidate_thoughts(tiny.model, tiny.guide, fast, tiny.x, r, rule="worst")
    with pytest.raises(InputError, match="two or more steps"):
        langevin_thoughts(tiny.model, tiny.guide, fast, tiny.x, r, steps=1)
    codes = CodebookPrior(tiny.decoder.z_shape, codes=3)
    model = LatentThoughtModel(codes, tiny.decoder, reward=CategoricalReward(codes.z_shape)).double()
    with pytest.raises(InputError, match="one-hot thoughts, which Langevin dynamics cannot move"):
        langevin_thoughts(model, CategoricalGuide(codes.z_shape), fast, tiny.x, r)
