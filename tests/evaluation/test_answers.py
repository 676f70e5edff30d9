"""The predictive number of an answer: z is fitted to the prompt alone, and the answer is scored."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from bag_decoder import BagDecoder
from toys import autoregressive_with

from ltm_pyro import (
    ELBO,
    CategoricalGuide,
    CodebookPrior,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    LatentThoughtModel,
    MeanFieldGuide,
    ScoreFunction,
)
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import Evaluator

VOCABULARY, LENGTH, PROMPT = 3, 5, 3


def batch(x, prompts, score_prompts=True):
    places = torch.arange(x.shape[1])
    scored = torch.ones_like(x, dtype=torch.bool) if score_prompts else places >= prompts[:, None]
    return Batch(x, scored, torch.zeros(len(x), dtype=torch.long), torch.arange(len(x)), scored.long(), prompts)


def answer_costs(decoder, whole):
    nats = -decoder.token_log_prob(whole.x, None, whole.previous).detach()
    return nats.masked_fill(torch.arange(whole.x.shape[1]) < whole.prompts[:, None], 0).sum(-1).numpy()


@pytest.mark.parametrize("score_prompts", [True, False], ids=["evidence", "context"])
def test_an_answer_without_latents_has_its_exact_cost(score_prompts):
    model = autoregressive_with()
    whole = batch(torch.randint(30, (6, 20)), torch.tensor([1, 5, 19, 3, 10, 2]), score_prompts)
    evaluator = Evaluator(model, EmptyGuide(), FastLoop(ELBO(), steps=1), 2)
    scores = evaluator.evaluate([whole]).scores
    np.testing.assert_allclose(scores["predictive"].nats, answer_costs(model.decoder, whole), rtol=1e-9)
    assert scores["predictive"].label == "answer, after the prompt"
    assert scores["predictive"].tokens.tolist() == [19, 15, 1, 17, 10, 18]
    if not score_prompts:
        np.testing.assert_allclose(scores["exact"].nats, scores["predictive"].nats)


@pytest.fixture(scope="module")
def codes():
    """A model with one thought of four kinds, whose answers' probabilities are finite sums."""
    torch.manual_seed(0)
    decoder = BagDecoder(VOCABULARY, LENGTH, size=4, thoughts=1).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(std=1.5)
    prior = CodebookPrior(decoder.z_shape, codes=4).double()
    model = LatentThoughtModel(prior, decoder).double()
    with torch.no_grad():
        model.projection.weight.normal_(std=3.0)
    return model


def exact(model, whole):
    """log p(answer | prompt) by summing over the four thoughts, (B,)."""
    states = torch.eye(4, dtype=torch.float64)[:, None, None]
    thoughts = model.thoughts(states)[:, None].expand(-1, len(whole.x), -1, -1, -1)
    nats = model.decoder.token_log_prob(whole.x.expand(4, -1, -1), thoughts, whole.previous)
    log_prior = model.prior().log_prob(states)[:, None]
    return ((log_prior + nats.sum(-1)).logsumexp(0) - (log_prior + nats[..., :PROMPT].sum(-1)).logsumexp(0)).detach()


def test_many_draws_come_to_the_exact_answer_and_a_fit_on_the_answer_goes_beyond(codes):
    x = torch.tensor(list(product(range(VOCABULARY), repeat=LENGTH)))[::31]
    whole = batch(x, torch.full((len(x),), PROMPT))
    fast = FastLoop(ELBO(16, gradient=ScoreFunction()), 200, 0.1)
    evaluator = Evaluator(codes, CategoricalGuide(codes.prior.z_shape), fast, draws=2000, at_once=2000)
    true = -exact(codes, whole).numpy()
    score = evaluator.evaluate([whole]).scores["predictive"]
    assert score.label.startswith("predictive: answer, q fitted on the prompt")
    np.testing.assert_allclose(score.nats, true, atol=0.15)  # a categorical q fits this posterior exactly
    assert abs(score.nats.mean() - true.mean()) < 0.02
    evaluator.fast.fit(codes, evaluator.guide, x=whole.x, mask=whole.mask, previous=whole.previous)
    with torch.no_grad():
        z = evaluator.guide.posterior().sample((2000,))
        nats = codes.decoder.token_log_prob(x.expand(2000, -1, -1), codes.thoughts(z), whole.previous)
    leaked = -(nats[..., PROMPT:].sum(-1).logsumexp(0) - math.log(2000)).numpy()
    assert leaked.mean() < true.mean() - 0.05  # better than the truth: the answer was read


def test_a_prompt_that_is_context_tells_z_nothing(codes):
    torch.manual_seed(1)
    decoder = BagDecoder(VOCABULARY, LENGTH, size=4, thoughts=1).double()
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape).double(), decoder)
    x = torch.randint(VOCABULARY, (4, LENGTH))
    seen = {}
    for score_prompts in (True, False):
        guide = MeanFieldGuide(decoder.z_shape)
        evaluator = Evaluator(model, guide, FastLoop(ELBO(), 60, 0.1), 4)
        evaluator.evaluate([batch(x, torch.full((4,), PROMPT), score_prompts)])
        prior = model.prior()
        seen[score_prompts] = torch.distributions.kl_divergence(guide.posterior().base_dist, prior.base_dist).sum()
    assert seen[False] < 1e-3 < seen[True]
