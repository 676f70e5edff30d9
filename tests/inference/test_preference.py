"""Direct preference optimisation: its loss, gradient and minimiser in closed form, and its scores with thoughts."""

import math
from itertools import permutations

import pyro
import pytest
import torch
from bag_decoder import BagDecoder
from pretrained_models import causal_model, save
from torch import nn
from torch.nn.functional import logsigmoid
from toys import autoregressive_with, every_text

from ltm_pyro import CodebookPrior, InputError, LatentThoughtModel, PretrainedDecoder, SlowStep
from ltm_pyro.inference import AnswerScores, Preference, SharedThoughts, reference_of

PAIRS, LENGTH, PROMPT, BETA = 3, 6, 2, 0.7


@pytest.fixture(name="pairs")
def _pairs():
    """Six texts with prompts of two tokens: three chosen answers, then three rejected ones."""
    x = torch.randint(30, (2 * PAIRS, LENGTH))
    x[PAIRS:, :PROMPT] = x[:PAIRS, :PROMPT]
    mask = (torch.arange(LENGTH) >= PROMPT).expand_as(x).clone()
    mask[1, -1] = mask[4, -2:] = False  # shorter answers
    return {"x": x, "mask": mask, "previous": torch.ones(2 * PAIRS, dtype=torch.long)}


@pytest.fixture(name="policy")
def _policy():
    return autoregressive_with()


def answers(model, batch):
    """log p(answer | prompt) of each row, token by token."""
    nats = model.decoder.token_log_prob(batch["x"], None, batch["previous"])
    return torch.stack([row[scored].sum() for row, scored in zip(nats, batch["mask"], strict=True)])


def moved(model, scale=0.1):
    other = reference_of(model)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(scale * torch.randn_like(weight))
    return other


def test_the_loss_is_that_of_a_margin_computed_by_hand(policy, pairs):
    reference = moved(policy)
    terms = Preference(reference, BETA).terms(policy, SharedThoughts(None, 2 * PAIRS), **pairs)
    ratios = answers(policy, pairs) - answers(reference, pairs)
    margin = ratios[:PAIRS] - ratios[PAIRS:]
    torch.testing.assert_close(terms.objective, logsigmoid(BETA * margin))
    torch.testing.assert_close(terms.log_likelihood, answers(policy, pairs)[:PAIRS])
    left_out = logsigmoid(BETA * (answers(policy, pairs)[:PAIRS] - answers(policy, pairs)[PAIRS:]))
    assert (terms.objective - left_out).abs().max() > 0.1  # the reference matters


def test_at_the_reference_it_is_log_two_and_its_gradient_is_the_difference_of_scores(policy, pairs):
    terms = Preference(reference_of(policy), BETA).terms(policy, SharedThoughts(None, 2 * PAIRS), **pairs)
    torch.testing.assert_close(terms.objective, torch.full_like(terms.objective, -math.log(2)))
    weights = list(policy.parameters())
    gradient = torch.autograd.grad(-terms.objective.sum(), weights)
    nats = answers(policy, pairs)
    by_hand = torch.autograd.grad(-BETA / 2 * (nats[:PAIRS] - nats[PAIRS:]).sum(), weights)
    for found, expected in zip(gradient, by_hand, strict=True):
        torch.testing.assert_close(found, expected)


def test_the_chosen_answer_can_be_learned_beside_the_preference(policy, pairs):
    guide, reference = SharedThoughts(None, 2 * PAIRS), moved(policy)
    alone = Preference(reference, BETA).terms(policy, guide, **pairs).objective
    both = Preference(reference, BETA, sft_weight=0.5).terms(policy, guide, **pairs).objective
    lengths = pairs["mask"][:PAIRS].sum(-1)
    torch.testing.assert_close(both - alone, 0.5 * answers(policy, pairs)[:PAIRS] / lengths)


def test_the_margin_does_not_change_with_a_constant_of_the_prompt_or_of_an_answer():
    scores = AnswerScores(*torch.randn(4, PAIRS, dtype=torch.float64))
    constant = torch.randn(PAIRS, dtype=torch.float64)
    of_prompt = scores._replace(chosen=scores.chosen + constant, rejected=scores.rejected + constant)
    of_answer = scores._replace(chosen=scores.chosen + constant, reference_chosen=scores.reference_chosen + constant)
    for changed in (of_prompt, of_answer):
        torch.testing.assert_close(changed.margin, scores.margin)
    without_reference = [one.chosen - one.rejected for one in (scores, of_answer)]
    assert not torch.allclose(*without_reference)


def test_a_step_raises_the_margin_and_leaves_the_reference_alone(policy, pairs):
    reference = reference_of(policy)
    before = {name: weight.clone() for name, weight in reference.state_dict().items()}
    preference = Preference(reference, BETA)
    slow, guide = SlowStep(preference, 0.01), SharedThoughts(None, 2 * PAIRS)
    slow.prepare(policy.parameters())
    for _ in range(5):
        terms = slow.step(policy, guide, tokens=PAIRS, **pairs)
    assert terms.objective.mean() > -math.log(2) + 0.05
    assert all(torch.equal(weight, before[name]) for name, weight in reference.state_dict().items())
    assert preference.scores(policy, guide, **pairs).margin.min() > 0


class TabularText(pyro.distributions.TorchDistribution):
    """All texts of three tokens out of three, with a probability each."""

    def __init__(self, log_p, rows):
        super().__init__(torch.Size([rows]), torch.Size([3]), validate_args=False)
        self.log_p = log_p

    def expand(self, batch_shape, _instance=None):
        return TabularText(self.log_p, batch_shape[-1])

    def log_prob(self, x):
        return self.log_p[(x * torch.tensor([9, 3, 1])).sum(-1)]

    sample = None


class Tabular(nn.Module):
    """A policy with one free number for each text."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x, **_):
        with pyro.plate("sequences", len(x), dim=-1):
            return pyro.sample("x", TabularText(self.logits.log_softmax(0), len(x)), obs=x)


class BetaOnTheReference(Preference):
    """A wrong objective: β weighs the reference alone."""

    def terms(self, model, guide, *args, **kwargs):
        scores = self.scores(model, guide, *args, **kwargs)
        margin = scores.chosen - scores.rejected - self.beta * (scores.reference_chosen - scores.reference_rejected)
        terms = super().terms(model, guide, *args, **kwargs)
        return type(terms)(logsigmoid(margin), terms.log_likelihood, terms.kl)


def minimiser(objective, policy, batch, weights):
    """The policy that maximises the expected objective over all ordered pairs."""
    guide = SharedThoughts(None, len(batch))
    optimizer = torch.optim.LBFGS(policy.parameters(), max_iter=150, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        value = -(weights * objective.terms(policy, guide, x=batch).objective).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return policy.logits.detach().softmax(0)


@pytest.mark.parametrize(("kind", "is_right"), [(Preference, True), (BetaOnTheReference, False)])
def test_the_minimiser_is_the_reference_tilted_by_the_reward(kind, is_right):
    """Rafailov et al., equation 4, for preferences of Bradley and Terry with known rewards."""
    texts, reward, beta = every_text(3, 3), torch.randn(27, dtype=torch.float64), 0.5
    reference = Tabular(torch.randn(27, dtype=torch.float64)).requires_grad_(False)
    ordered = torch.tensor(list(permutations(range(27), 2)))
    weights = torch.sigmoid(reward[ordered[:, 0]] - reward[ordered[:, 1]]) / len(ordered)
    batch = torch.cat((texts[ordered[:, 0]], texts[ordered[:, 1]]))
    policy = Tabular(torch.zeros(27, dtype=torch.float64))
    found = minimiser(kind(reference, beta), policy, batch, weights)
    expected = (reference.logits + reward / beta).softmax(0)
    assert bool((found - expected).abs().max() < 1e-3) is is_right


CODES, ANSWER = 5, 4


@pytest.fixture(scope="module", name="codes")
def _codes():
    """A model with one thought of five kinds."""
    torch.manual_seed(0)
    decoder = BagDecoder(3, ANSWER, size=4, thoughts=1).double()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.normal_(std=1.0)
    model = LatentThoughtModel(CodebookPrior(decoder.z_shape, codes=CODES).double(), decoder).double()
    with torch.no_grad():
        model.projection.weight.normal_(std=1.5)
    return model


def repeated_scores(model, q, text, particles, repeats, mean_of_logs=False):
    """Scores of one text from `particles` draws, many times over."""
    z = nn.functional.one_hot(torch.multinomial(q, particles * repeats, True), CODES).double()
    guide = SharedThoughts(z.view(particles, repeats, 1, 1, CODES))
    preference = Preference(model, particles=particles)
    with torch.no_grad():
        draws = preference.draw(model, guide, x=text.expand(2 * repeats, -1), previous=text.new_zeros(2 * repeats))
        return (draws.log_likelihood.mean(0) if mean_of_logs else preference.estimate(draws))[:repeats]


def test_scores_come_to_the_enumerated_ones_at_the_rate_of_the_draws(codes):
    q = torch.tensor([0.3, 0.25, 0.2, 0.15, 0.1], dtype=torch.float64)
    text = torch.tensor([0, 2, 1, 0])
    each = codes.thoughts(torch.eye(CODES, dtype=torch.float64)[:, None, None, None])
    p = codes.decoder.token_log_prob(text[None], each, text.new_zeros(1)).sum(-1).exp()[:, 0].detach()
    exact = (q @ p).log()
    by_delta = -0.5 * ((q @ p.square()) / (q @ p).square() - 1)  # S times the bias, for large S
    for particles in (16, 64):
        scores = repeated_scores(codes, q, text, particles, 3000)
        error = scores.std() / 3000**0.5
        bias = scores.mean() - exact
        assert abs(bias - by_delta / particles) < 4 * error + 0.3 * abs(by_delta) / particles
        assert bias < -2 * error or particles > 16  # it can be seen at all
    wrong = repeated_scores(codes, q, text, 64, 3000, mean_of_logs=True)
    assert wrong.mean() - exact < 8 * by_delta / 64  # a mean of logs does not come closer


def test_policy_and_reference_see_the_same_draws(codes):
    """At the reference the margin is zero for every draw, which other draws would not give."""
    x = torch.randint(3, (8, ANSWER))
    z = nn.functional.one_hot(torch.randint(CODES, (3, 4, 1, 1)), CODES).double()
    batch = {"x": x, "previous": x.new_zeros(8)}
    scores = Preference(reference_of(codes), particles=3).scores(codes, SharedThoughts(z), **batch)
    assert torch.equal(scores.margin, torch.zeros(4, dtype=torch.float64))
    other = Preference(codes, particles=3).scores(codes, SharedThoughts(z.flip(0).roll(1, 1)), **batch)
    assert (other.chosen - scores.chosen).abs().max() > 1e-3


def test_other_thoughts_for_the_two_answers_and_odd_rows_are_refused(codes, policy, pairs):
    guide = SharedThoughts(nn.functional.one_hot(torch.randint(CODES, (3, 2, 1, 1)), CODES).double())
    guide.z = guide.z.clone()
    guide.z[:, 2:] = guide.z[:, 2:].roll(1, -1)
    batch = {"x": torch.randint(3, (4, ANSWER)), "previous": torch.zeros(4, dtype=torch.long)}
    with pytest.raises(InputError, match="different thoughts: give SharedThoughts"):
        Preference(codes, particles=3).terms(codes, guide, **batch)
    odd = {name: part[:5] for name, part in pairs.items()}
    with pytest.raises(InputError, match="5 rows are no pairs"):
        Preference(policy).terms(policy, SharedThoughts(None, 5), **odd)
    with pytest.raises(InputError, match="beta=0"):
        Preference(policy, beta=0)


def test_a_reference_shares_the_frozen_weights_of_a_pretrained_decoder(tmp_path):
    folder = save(causal_model("Llama", 30), tmp_path / "Llama")
    decoder = PretrainedDecoder(str(folder), length=8, bos_id=0, injection="none", learns="lora", rank=2)
    reference = reference_of(decoder)
    own, other = dict(decoder.named_buffers()), dict(reference.named_buffers())
    frozen = [name for name, weight in own.items() if weight.dim() == 2]
    assert frozen
    assert all(own[name].data_ptr() == other[name].data_ptr() for name in frozen)
    x = torch.randint(30, (2, 8))
    before = decoder.token_log_prob(x)
    assert torch.equal(before, reference.token_log_prob(x))
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.add_(0.1)
    assert torch.equal(before, reference.token_log_prob(x))
    assert not torch.equal(before, decoder.token_log_prob(x))
    assert not any(weight.requires_grad for weight in reference.parameters())
