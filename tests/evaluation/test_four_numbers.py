"""The numbers are exact where the answer is known, and bounds where it is not; nothing else is touched."""

import json
import math

import numpy as np
import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, EmptyGuide, FastLoop, FixedNoise, MeanFieldGuide
from ltm_pyro.bounds.importance_weighted import log_mean_exp
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import Evaluator, markdown
from ltm_pyro.evaluation.fixed_noise import fixed_noise_cost
from ltm_pyro.evaluation.log_weights import under_posterior, under_prior
from ltm_pyro.models.exact import LinearGaussian

NARROW = math.exp(-2.5)
LENGTHS = torch.tensor([20, 13, 7, 2, 16, 1])


def batch(x, lengths=None, previous=1):
    """A batch of texts, of which the first `lengths` tokens count; token t stands for 1 + t % 3 bytes."""
    mask = None if lengths is None else torch.arange(x.shape[1]) < lengths[:, None]
    bytes_ = (1 + x % 3).masked_fill(torch.zeros_like(x, dtype=torch.bool) if mask is None else ~mask, 0)
    return Batch(x, mask, torch.full((len(x),), previous), torch.arange(len(x)), bytes_)


def rows(whole, chosen):
    return Batch(*(None if part is None else part[chosen] for part in whole))


def evaluate(model, guide, batches, steps=2, draws=4, **options):
    return Evaluator(model, guide, FastLoop(ELBO(), steps=steps), draws, **options).evaluate(batches)


def evaluate_tiny(tiny, batches=None, **options):
    return evaluate(tiny.model, tiny.guide, batches or [batch(tiny.x)], **options)


def costs(decoder, whole, z=None):
    """Exact nats of every sequence, all of it and its second half, where z does not matter."""
    scored = torch.ones_like(whole.x, dtype=torch.bool) if whole.mask is None else whole.mask
    nats = -decoder.token_log_prob(whole.x, z, whole.previous).detach().masked_fill(~scored, 0)
    prefix = scored.cumsum(-1) <= scored.sum(-1, keepdim=True) // 2
    return nats.sum(-1).numpy(), nats.masked_fill(prefix, 0).sum(-1).numpy()


def nats(evaluation):
    return {name: score.nats for name, score in evaluation.scores.items()}


@pytest.fixture
def deaf():
    """A model whose decoder does not listen to its thoughts: its log-likelihood is exact, whatever z."""
    tiny = TinyModel(batch=6)
    with torch.no_grad():
        for block in tiny.decoder.blocks:
            block.cross_attention.output.weight.zero_()
    return tiny


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["windows", "ragged"])
def test_all_numbers_are_exact_where_thoughts_do_not_matter(deaf, lengths):
    whole = batch(deaf.x, lengths)
    found = evaluate_tiny(deaf, [whole], steps=0, fixed_noise=True)
    exact, second_half = costs(deaf.decoder, whole, deaf.z)
    for name in ("elbo", "importance_weighted", "prior"):
        np.testing.assert_allclose(found.scores[name].nats, exact, rtol=1e-9)
    for name in ("predictive", "prior_predictive"):
        np.testing.assert_allclose(found.scores[name].nats, second_half, rtol=1e-9)
    assert found.kl_per_token == pytest.approx(0, abs=1e-12)
    assert found.effective_sample_size == pytest.approx(4)


def test_the_elbo_is_the_exact_cost_plus_the_kl(deaf):
    whole = batch(deaf.x)
    found = evaluate(deaf.model, MeanFieldGuide(deaf.decoder.z_shape, sigma=0.3), [whole], steps=3)
    exact, second_half = costs(deaf.decoder, whole, deaf.z)
    paid = found.scores["elbo"].nats - exact
    assert paid.min() > 1  # q starts away from the prior, for nothing
    assert paid.sum() / whole.x.numel() == pytest.approx(found.kl_per_token, rel=1e-9)
    assert sum(found.kl_per_layer) == pytest.approx(found.kl_per_token, rel=1e-9)
    assert len(found.kl_per_layer) == 2
    np.testing.assert_allclose(found.scores["prior"].nats, exact, rtol=1e-9)
    np.testing.assert_allclose(found.scores["predictive"].nats, second_half, rtol=1e-9)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["windows", "ragged"])
def test_a_model_without_latents_has_exact_numbers(lengths):
    model = autoregressive_with()
    whole = batch(torch.randint(30, (6, 20)), lengths)
    found = evaluate(model, EmptyGuide(), [whole], fixed_noise=True)
    exact, second_half = costs(model.decoder, whole)
    assert list(found.scores) == ["exact", "predictive"]
    np.testing.assert_allclose(found.scores["exact"].nats, exact, rtol=1e-9)
    np.testing.assert_allclose(found.scores["predictive"].nats, second_half, rtol=1e-9)
    assert found.scores["exact"].tokens.sum() == (whole.x.numel() if lengths is None else lengths.sum())
    assert found.scores["exact"].bytes.sum() == whole.byte_counts.sum()


def test_an_exact_number_does_not_depend_on_the_batch():
    model = autoregressive_with()
    whole = batch(torch.randint(30, (6, 20)), LENGTHS)
    together = nats(evaluate(model, EmptyGuide(), [whole]))
    apart = nats(evaluate(model, EmptyGuide(), [rows(whole, [0, 1]), rows(whole, [2]), rows(whole, [3, 4, 5])]))
    for name, values in together.items():
        np.testing.assert_allclose(apart[name], values, rtol=1e-9)


def test_the_importance_weighted_bound_is_the_tighter_one(tiny):
    tiny.guide.start(tiny.x, prior=tiny.model.prior())
    found = under_posterior(tiny.model, tiny.guide, draws=6, at_once=4, x=tiny.x)
    assert found.log_weight.shape == (6, 3)
    assert (log_mean_exp(found.log_weight) >= found.log_weight.mean(0)).all()  # Jensen, on the same draws
    scores = evaluate_tiny(tiny, steps=20, draws=64).scores
    assert (scores["elbo"].nats > scores["importance_weighted"].nats).all()


def test_the_weights_of_the_exact_posterior_are_the_evidence(toy):
    found = under_posterior(toy, toy.exact_guide(), draws=5, at_once=2, x=toy.x)
    torch.testing.assert_close(found.log_weight, toy.evidence(toy.x).expand(5, -1))


def test_many_draws_from_the_prior_come_to_the_evidence():
    toy = LinearGaussian(z_shape=(1, 1, 2), noise=2.0)
    drawn = under_prior(toy, draws=4000, at_once=4000, x=toy.x)
    assert drawn.shape == (4000, 4)
    weights = (drawn - toy.evidence(toy.x)).exp()  # mean one
    z = (weights.mean(0) - 1) / (weights.std(0) / math.sqrt(4000))
    assert z.abs().max() < 4


def test_a_number_with_the_noise_it_was_fitted_to_is_no_bound():
    toy = LinearGaussian(noise=0.1)
    fixed = fixed_noise_cost(toy, toy.z_shape, steps=300, seed=0, x=toy.x)
    guide = MeanFieldGuide(toy.z_shape, sigma=NARROW)
    FastLoop(FixedNoise(seed=0), 300, 0.3, 0.1, optimizer=torch.optim.AdamW).fit(toy, guide, toy.x)
    with torch.no_grad():
        honest = -ELBO(200).terms(toy, guide, toy.x).bound  # the same mu and sigma, fresh noise
    true = -toy.evidence(toy.x)
    assert (fixed < true).all()  # cheaper than the truth: impossible for a bound
    assert (honest > true).all()


def test_the_released_protocol_looks_better_than_the_same_posterior_with_fresh_noise(tiny):
    guide, protocol = MeanFieldGuide(tiny.decoder.z_shape, sigma=NARROW), FixedNoise(seed=5)
    FastLoop(protocol, 60, 0.3).fit(tiny.model, guide, tiny.x)
    with torch.no_grad():
        fitted = protocol.terms(tiny.model, guide, tiny.x).objective.sum()
        fresh = ELBO(64).terms(tiny.model, guide, tiny.x).bound.sum()
    assert fitted > fresh + 1


def test_evaluation_touches_nothing_else(tiny):
    tiny.model.train()
    weights = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    state = torch.get_rng_state()
    evaluate_tiny(tiny, fixed_noise=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert tiny.model.training
    assert all(torch.equal(value, weights[name]) for name, value in tiny.model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in tiny.model.parameters())
    assert torch.is_grad_enabled()


def test_the_training_mode_comes_back_after_a_fault(tiny):
    tiny.model.train()
    with pytest.raises(AttributeError):
        evaluate_tiny(tiny, [None])
    assert tiny.model.training


def test_equal_seeds_give_equal_numbers_and_others_do_not(tiny):
    def found(seed):
        torch.randn(3)  # wherever the global state may stand
        return nats(evaluate_tiny(tiny, seed=seed, fixed_noise=True))

    first, again, other = found(0), found(0), found(1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


def fitted_on_the_prefix(tiny, x):
    evaluate_tiny(tiny, [batch(x)], steps=5)  # the fit for the predictive number is the last one made
    return [row.clone() for row in tiny.guide.local_parameters()]


def test_the_predictive_posterior_never_sees_the_second_half(tiny):
    other_end, other_beginning = tiny.x.clone(), tiny.x.clone()
    other_end[:, 10:] = (other_end[:, 10:] + 7) % 30
    other_beginning[:, 9] = (other_beginning[:, 9] + 7) % 30
    fitted = fitted_on_the_prefix(tiny, tiny.x)
    assert all(map(torch.equal, fitted, fitted_on_the_prefix(tiny, other_end)))
    assert not any(map(torch.equal, fitted, fitted_on_the_prefix(tiny, other_beginning)))


class Onlooker(MeanFieldGuide):
    """A guide that remembers every text it was started on, as one with an encoder would read it."""

    def __init__(self, z_shape):
        super().__init__(z_shape)
        self.seen = []

    def start(self, x, mask=None, prior=None):
        self.seen.append((x, mask))
        super().start(x, mask, prior)


def test_a_guide_that_reads_the_text_is_shown_the_first_half_alone(tiny):
    guide = Onlooker(tiny.decoder.z_shape)
    evaluate(tiny.model, guide, [batch(tiny.x)], steps=0)
    (whole, _), (prefix, mask) = guide.seen
    assert torch.equal(whole, tiny.x)
    assert torch.equal(prefix[:, :10], tiny.x[:, :10])
    assert (prefix[:, 10:] == tiny.decoder.bos_id).all()
    assert mask.sum(-1).tolist() == [10, 10, 10]


def test_padding_counts_for_nothing():
    tiny = TinyModel(batch=6)
    padded = batch(tiny.x, LENGTHS)
    other = batch(torch.where(padded.mask, tiny.x, (tiny.x + 11) % 30), LENGTHS)
    first, second = (evaluate_tiny(tiny, [whole], fixed_noise=True) for whole in (padded, other))
    for name, score in first.scores.items():
        np.testing.assert_allclose(score.nats, second.scores[name].nats, rtol=1e-9)
    assert first.scores["elbo"].tokens.tolist() == LENGTHS.tolist()
    assert first.scores["predictive"].tokens.tolist() == (LENGTHS - LENGTHS // 2).tolist()


def test_only_the_released_protocol_is_marked_as_no_bound(tiny):
    scores = evaluate_tiny(tiny, fixed_noise=True).scores
    assert [name for name, score in scores.items() if not score.is_bound] == ["fixed_noise"]
    assert "fixed_noise" not in evaluate_tiny(tiny).scores


def test_it_becomes_plain_numbers(tiny):
    plain = evaluate_tiny(tiny).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert set(plain["scores"]) == {"elbo", "importance_weighted", "prior", "predictive", "prior_predictive"}
    assert plain["kl_closed_form"] is True


def test_progress_is_told(tiny):
    told = []
    whole = batch(tiny.x)
    numbers = Evaluator(tiny.model, tiny.guide, FastLoop(ELBO(), steps=0), draws=1)
    numbers.evaluate([rows(whole, [0, 1]), rows(whole, [2])], told.append)
    assert told == [2, 3]


def test_a_prior_that_is_drawn_from_approximately_says_so(tiny):
    exact = evaluate_tiny(tiny).scores["prior"].label
    tiny.model.prior.approximate_sampler = "a short run"
    numbers = Evaluator(tiny.model, tiny.guide, FastLoop(ELBO(), 0), 2).evaluate([batch(tiny.x)])
    assert exact == "z from the prior, nothing fitted"
    assert numbers.scores["prior"].label == "z from the prior (a short run), nothing fitted"


def test_a_guide_without_a_density_gives_no_bound(tiny):
    tiny.guide.has_density = False
    numbers = evaluate_tiny(tiny)
    assert set(numbers.scores) == {"reconstruction", "prior", "prior_predictive", "predictive"}
    assert not numbers.scores["reconstruction"].is_bound
    assert "there is no bound on log p(x)" in markdown(numbers)
