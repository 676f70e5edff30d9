"""Rethinking: its rounds, scores, costs and refusals, each against a deliberately wrong counterpart."""

import math

import pyro.distributions as dist
import pytest
import torch
from toys import TinyModel, autoregressive_with, decoder_with, z_test

from ltm_pyro import (
    ELBO,
    AbstractDecoder,
    AbstractGuide,
    CodebookPrior,
    FastLoop,
    GaussianPrior,
    LangevinGuide,
    LatentThoughtModel,
    MeanFieldGuide,
    StraightThroughGuide,
)
from ltm_pyro.errors import InputError
from ltm_pyro.generation import (
    Answers,
    Sampling,
    refuse_without_thoughts,
    rethink,
    thoughts_from_prior,
    thoughts_from_prompts,
    write,
    write_at_zero,
)
from ltm_pyro.generation import rethinking as module
from ltm_pyro.models.masked_diffusion import MaskedDiffusionModel

V, P, T, END = 4, 2, 4, 0


class CopyingDecoder(AbstractDecoder):
    """Copies z: the token at place t of the answer is the largest entry of z_t; the prompt is uniform."""

    def __init__(self, scale=100.0):
        super().__init__((1, T, V), V, P + T)
        self.scale = scale

    def features(self, tokens, z=None):  # (B, T') -> (..., B, T', V)
        places = torch.arange(tokens.shape[-1]) - P
        logits = self.scale * z[..., 0, places.clamp_min(0), :]
        return logits * (places >= 0)[:, None]

    def unembed(self, h):
        return h


class DeafDecoder(AbstractDecoder):
    """Ignores z: a table of the next token by the last one."""

    def __init__(self):
        super().__init__((1, 1, 2), V, P + T)
        self.table = torch.nn.Parameter(torch.randn(V, V, dtype=torch.float64))

    def features(self, tokens, z=None):
        h = self.table[tokens]
        return h.expand(*z.shape[:-4], *h.shape) if z is not None else h

    def unembed(self, h):
        return h


def parts(decoder, steps=20):
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape).double(), decoder.double())
    fast = FastLoop(ELBO(4), steps=steps)
    return model, MeanFieldGuide(decoder.z_shape), fast


def prompts(rows):
    return torch.randint(V, (rows, P))


def equal_answers(one, other):
    return (one.answers.tokens == other.answers.tokens).all(-1)


def on_codes(decoder):
    prior = CodebookPrior(decoder.z_shape, codes=5)
    return prior, StraightThroughGuide(prior.z_shape)


def on_numbers(decoder):
    return GaussianPrior(decoder.z_shape), MeanFieldGuide(decoder.z_shape)


@pytest.mark.parametrize(("kind", "length"), [(on_numbers, 0), (on_numbers, 5), (on_codes, 5)])
def test_no_round_is_ordinary_generation_to_the_bit(kind, length):
    decoder = TinyModel().decoder.float()
    prior, guide = kind(decoder)
    model, fast, given = LatentThoughtModel(prior, decoder), FastLoop(ELBO(), steps=2), torch.randint(30, (3, length))
    torch.manual_seed(5)
    z = thoughts_from_prompts(model, guide, fast, given) if length else thoughts_from_prior(model, 3)
    expected = torch.stack(list(write(model, z, given, 6, eos_id=END)), -1)
    after = torch.rand(1)
    for scores in ((), ("elbo", "predictive")):
        torch.manual_seed(5)
        trace = rethink(model, guide, fast, given, 0, 6, eos_id=END, scores=scores, draws=2)
        assert torch.equal(trace.rounds[0].answers.tokens, expected)
        assert torch.equal(torch.rand(1), after)  # scores leave the random numbers of further texts alone
    torch.manual_seed(5)
    longer = rethink(model, guide, fast, given, 2, 6, eos_id=END, keep="elbo", draws=2)
    assert torch.equal(longer.rounds[0].answers.tokens, expected)
    assert all(torch.isfinite(part.elbo).all() for part in longer.rounds)


def test_a_decoder_that_copies_z_converges_in_one_round_and_not_if_z_is_fitted_to_the_prompt_alone(monkeypatch):
    objects, given = parts(CopyingDecoder()), prompts(48)

    def share():
        first, *others = rethink(*objects, given, 2, T, Sampling(0)).rounds
        return torch.stack([equal_answers(first, other) for other in others]).double().mean()

    assert share() > 0.95
    refit = module._Rethinker._thoughts

    def to_the_prompt(self, passes, x, mask):
        return refit(self, passes, x[:, :P], None)

    monkeypatch.setattr(module._Rethinker, "_thoughts", to_the_prompt)
    assert share() < 0.2  # the chance of equal answers is V ** -T


def test_a_decoder_that_ignores_z_writes_the_same_law_in_every_round():
    decoder = DeafDecoder()
    objects, given = parts(decoder, steps=1), torch.zeros(4000, P, dtype=torch.long)
    greedy = rethink(*objects, given[:5], 2, T, Sampling(0)).rounds
    assert all(equal_answers(greedy[0], other).all() for other in greedy)
    with torch.no_grad():
        law = decoder.table[0].softmax(-1)
    for part in rethink(*objects, given, 2, 1).rounds:
        for token in range(V - 1):
            z_test((part.answers.tokens[:, 0] == token).double(), law[token])
    with pytest.raises(AssertionError):
        z_test((part.answers.tokens[:, 0] == 0).double(), law.roll(1)[0])


class CodedDecoder(DeafDecoder):
    """Adds to the table of the next token a learned vector for each code."""

    def features(self, tokens, z=None):
        return self.table[tokens] + z[..., 0, :, :].mean(-2)[..., None, :2].repeat_interleave(2, -1)


class ExactGuide(AbstractGuide):
    """The posterior of one code by enumeration; sharpened, if asked, to the likeliest code."""

    discrete = True

    def __init__(self, model, power=1.0):
        super().__init__(model.prior.z_shape)
        object.__setattr__(self, "joint", model)
        self.power = power

    def start(self, x, mask=None, prior=None):
        self.rows, codes = len(x), torch.eye(self.z_shape[-1], dtype=torch.float64)[:, None, None]
        states = codes[:, None].expand(-1, len(x), -1, -1, -1)
        nats = self.joint.decoder.token_log_prob(x, self.joint.thoughts(states))
        scored = nats if mask is None else nats * mask
        self.logits = self.power * (scored.sum(-1) + self.joint.prior().log_prob(codes)[:, None]).T

    def local_parameters(self):
        return []

    def posterior(self):
        return dist.OneHotCategorical(logits=self.logits[:, None, None]).to_event(2)


def test_with_the_exact_posterior_every_round_has_the_exact_law():
    """Rounds are then Gibbs sampling from p(z, y given c), and none is better than another."""
    decoder = CodedDecoder().double()
    model = LatentThoughtModel(CodebookPrior((1, 1, 2), codes=3), decoder).double()
    given, codes = torch.tensor([[0, V - 1]]).expand(6000, -1), torch.eye(3, dtype=torch.float64)[:, None, None, None]
    with torch.no_grad():
        model.projection.weight.copy_(torch.tensor([[1.5, -1.5, 0.0], [-1.0, 1.0, 0.5]]))
        texts = torch.cat((given[:V], torch.arange(V)[:, None]), -1)
        nats = decoder.token_log_prob(texts, model.thoughts(codes.expand(-1, V, -1, -1, -1)))
        law = (nats.sum(-1) + model.prior().log_prob(codes[:, 0])[:, None]).logsumexp(0).softmax(0)
        states = model.thoughts(codes.expand(-1, 1, -1, -1, -1))
        assert decoder.token_log_prob(texts[:1], states)[..., -1].std() > 0.3  # answers depend on the code

    def last(guide):
        return rethink(model, guide, FastLoop(ELBO()), given, 3, 1).rounds[-1].answers.tokens[:, 0]

    exact, sharpened = last(ExactGuide(model)), last(ExactGuide(model, power=50.0))
    for token in range(V - 1):
        z_test((exact == token).double(), law[token])
    worst = (torch.bincount(sharpened, minlength=V) / len(sharpened) - law).abs().argmax()
    with pytest.raises(AssertionError):
        z_test((sharpened == worst).double(), law[worst])


def test_scores_of_a_decoder_that_ignores_z_are_exact_and_end_with_the_answer():
    decoder = DeafDecoder()
    model, guide, fast = parts(decoder, steps=0)  # q stays at the prior: KL = 0, and the ELBO is log p
    given = prompts(12)
    trace = rethink(model, guide, fast, given, 1, T, eos_id=END, scores=("elbo", "predictive"))
    assert {1, T} <= set(torch.cat([part.answers.lengths for part in trace.rounds]).tolist())  # ragged
    with torch.no_grad():
        for part in trace.rounds:
            x = torch.cat((given, part.answers.tokens), -1)
            nats = decoder.token_log_prob(x)
            ends = torch.arange(x.shape[1]) < P + part.answers.lengths[:, None]
            whole, answer = (nats * ends).sum(-1), (nats * ends)[:, P:].sum(-1)
            torch.testing.assert_close(part.elbo, whole)
            torch.testing.assert_close(part.predictive, answer)
            assert not torch.allclose(nats.sum(-1), whole)  # with the padding


def test_a_predictive_score_with_z_fitted_to_the_answer_would_leak_it():
    model, guide, fast = parts(CopyingDecoder())
    given = prompts(32)
    trace = rethink(model, guide, fast, given, 1, T, keep="elbo", scores=("predictive",), draws=64)
    truth = -T * math.log(V)  # the prompt says nothing of z, and z all of the answer
    z_test(trace.scores("predictive")[0].exp(), math.exp(truth))
    x, _, _ = trace.rounds[-1].answers.after(given)
    with torch.no_grad():
        leaked = model.decoder.token_log_prob(x, guide(x))[:, P:].sum(-1)  # z of the q that is fitted to the answer
    assert leaked.mean() > -0.5  # nearly certain
    with pytest.raises(AssertionError):
        z_test(leaked.exp(), math.exp(truth))


class Counted:
    """Counts the tokens that a decoder reads, forward and, where gradients are on, backward."""

    def __init__(self, decoder, monkeypatch):
        self.tokens = 0
        for name in ("token_log_prob", "prefill", "decode_step"):
            monkeypatch.setattr(decoder, name, self.counting(getattr(decoder, name)))

    def counting(self, method):
        def call(x, *args, **kwargs):
            z = args[0] if args else None
            particles = z.shape[:-4].numel() if isinstance(z, torch.Tensor) else 1
            passes = 2 if torch.is_grad_enabled() and method.__name__ == "token_log_prob" else 1
            self.tokens += passes * particles * x.numel()
            return method(x, *args, **kwargs)

        return call


@pytest.mark.parametrize("keep", ["last", "elbo", "predictive"])
def test_passes_are_those_that_are_made(tiny, keep, monkeypatch):
    guide, fast = MeanFieldGuide(tiny.decoder.z_shape), FastLoop(ELBO(2), steps=3)
    counted = Counted(tiny.decoder, monkeypatch)
    trace = rethink(tiny.model, guide, fast, tiny.x[:, :6], 2, 8, keep=keep, draws=10)  # texts of equal lengths
    assert counted.tokens == int(trace.passes.sum())
    once, again, answers = 2 * 2 * 3 * 6, 2 * 2 * 3 * 14, 3 * 14
    expected = {
        "last": once + 2 * again + answers,
        "elbo": once + 3 * again + answers + 3 * 10 * 14,
        "predictive": once + 2 * again + answers + 3 * 10 * 14,
    }
    assert trace.passes.tolist() == [expected[keep]] * 3
    shorter = rethink(tiny.model, guide, fast, tiny.x[:, :6], 1, 8, keep=keep, draws=10)
    assert trace.until(1).passes.tolist() == shorter.passes.tolist()
    forward_alone = once // 2 + again + answers
    assert forward_alone != expected["last"]


def test_passes_end_with_the_answer():
    objects, given = parts(DeafDecoder(), steps=1), prompts(12)
    trace = rethink(*objects, given, 1, T, eos_id=END)
    first, second = trace.rounds
    assert len(first.answers.lengths.unique()) > 1
    fits = 2 * 4 * (P + P + first.answers.lengths)
    assert torch.equal(trace.passes, fits + 2 * P + first.answers.lengths + second.answers.lengths)


def test_the_kept_answer_is_the_rules_and_rounds_are_those_of_a_shorter_trace():
    objects, given = parts(CopyingDecoder(scale=1.0), steps=3), prompts(20)
    traces = {}
    for keep in ("last", "elbo", "predictive"):
        torch.manual_seed(3)
        traces[keep] = rethink(*objects, given, 3, T, keep=keep, scores=("elbo", "predictive"), draws=4)
    last = traces["last"]
    assert last.kept.tolist() == [3] * 20
    assert last.until(1).kept.tolist() == [1] * 20
    for keep in ("elbo", "predictive"):
        trace = traces[keep]
        assert all(equal_answers(*pair).all() for pair in zip(trace.rounds, last.rounds, strict=True))
        scores = last.scores(keep)  # of the same answers with the same noise
        assert trace.kept.tolist() == scores.argmax(0).tolist()
        assert len(trace.kept.unique()) > 1
        row = int((trace.kept > 0).nonzero()[0])
        assert trace.answer(row) == trace.rounds[int(trace.kept[row])].answers.tokens[row].tolist()
    assert traces["elbo"].kept.tolist() != traces["predictive"].kept.tolist()
    torch.manual_seed(3)
    short = rethink(*objects, given, 1, T)
    assert all(equal_answers(*pair).all() for pair in zip(short.rounds, last.until(1).rounds, strict=True))


def test_answers_end_after_their_end_token():
    answers = Answers.collect([torch.tensor(column) for column in ([5, END, 5], [END, END, 6], [END, END, 7])], END)
    assert answers.lengths.tolist() == [2, 1, 3]
    assert [answers.ids(row) for row in range(3)] == [[5, END], [END], [5, 6, 7]]
    endless = Answers.collect([torch.tensor([5, END])], None)
    assert endless.lengths.tolist() == [1, 1]


def test_thoughts_at_zero_are_those_of_the_decoder_and_no_value_of_z(tiny):
    given, zero = tiny.x[:, :3], torch.zeros_like(tiny.z)
    for sampling in (Sampling(0), None):
        torch.manual_seed(2)
        expected = torch.stack(list(write(tiny.model, zero, given, 8, sampling)), -1)
        torch.manual_seed(2)
        found = torch.stack(list(write_at_zero(tiny.model, given, 8, sampling)), -1)
        assert torch.equal(found, expected)
    other = torch.stack(list(write(tiny.model, tiny.z, given, 8, Sampling(0))), -1)
    assert not torch.equal(other, torch.stack(list(write_at_zero(tiny.model, given, 8, Sampling(0))), -1))
    without = autoregressive_with()
    found, expected = (
        torch.stack(list(w), -1)
        for w in (write_at_zero(without, given, 4, Sampling(0)), write(without, None, given, 4, Sampling(0)))
    )
    assert torch.equal(found, expected)


def test_a_request_that_cannot_be_met_is_refused():
    model, guide, fast = parts(DeafDecoder())
    given = prompts(2)
    with pytest.raises(InputError, match="this model has none"):
        rethink(autoregressive_with(), guide, fast, given, 1, 2)
    with pytest.raises(InputError, match="this model has none"):
        refuse_without_thoughts(MaskedDiffusionModel(decoder_with(thoughts=0)))
    with pytest.raises(InputError, match="--keep best: expected one of last, elbo, predictive"):
        rethink(model, guide, fast, given, 1, 2, keep="best")
    with pytest.raises(InputError, match="rounds=-1"):
        rethink(model, guide, fast, given, -1, 2)
    with pytest.raises(InputError, match="draws=0"):
        rethink(model, guide, fast, given, 1, 2, draws=0)
    with pytest.raises(InputError, match="LangevinGuide has not: keep an answer by `last`"):
        rethink(model, LangevinGuide(model.prior.z_shape), fast, given, 1, 2, keep="elbo")
    with pytest.raises(InputError, match="write at most 4"):
        rethink(model, guide, fast, given, 1, T + 1)
    with pytest.raises(InputError, match="no elbo"):
        rethink(model, guide, fast, given, 0, 2).scores("elbo")


def test_a_guide_without_a_density_rethinks_too():
    model, _, fast = parts(CopyingDecoder(), steps=2)
    trace = rethink(model, LangevinGuide(model.prior.z_shape), fast, prompts(3), 1, T, keep="predictive")
    assert torch.isfinite(trace.scores("predictive")).all()
