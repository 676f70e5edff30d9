"""Continuations against enumeration and against the model's own log-probabilities."""

import itertools
import math

import pyro
import pytest
import torch
from toys import SIZES

from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    Decoder,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    InputError,
    LatentThoughtModel,
    MAPGuide,
    MaskedDiffusionModel,
    MeanFieldGuide,
)
from ltm_pyro.suites.harness.continuation import Continuations

FAST = FastLoop(ELBO(), steps=3)


def decoder_of(**changed):
    torch.manual_seed(0)
    return Decoder(**{**SIZES, "vocabulary": 4, "thought_scale": 2.0, "initial_scale": 0.5, **changed}).double()


@pytest.fixture
def thinking():
    decoder = decoder_of()
    return LatentThoughtModel(GaussianPrior(decoder.z_shape).double(), decoder)


def test_without_thoughts_it_is_the_models_own_log_probability():
    model = AutoregressiveModel(decoder_of(thoughts=0))
    found = Continuations(model, EmptyGuide(), FAST).score([1, 2], [[3, 0], [1]])
    x = torch.tensor([[1, 2, 3, 0]])
    logits = model.decoder.logits(model.decoder.inputs(x))[0].log_softmax(-1)
    assert found[0].nats == pytest.approx((logits[2, 3] + logits[3, 0]).item(), abs=1e-12)
    assert found[1].nats == pytest.approx(logits[2, 1].item(), abs=1e-12)
    trace = pyro.poutine.trace(model).get_trace(x=x)
    assert Continuations(model, EmptyGuide(), FAST).whole([1, 2, 3, 0]) == pytest.approx(trace.log_prob_sum().item())


@pytest.mark.parametrize("beginning", [[], [2], [1, 3]])
def test_the_probabilities_of_all_continuations_add_up_to_one(thinking, beginning):
    every = [list(c) for c in itertools.product(range(4), repeat=3)]
    found = Continuations(thinking, MeanFieldGuide(thinking.decoder.z_shape), FAST, draws=3).score(beginning, every)
    assert sum(math.exp(one.nats) for one in found) == pytest.approx(1, abs=1e-9)


def test_greedy_is_the_likeliest_token_at_each_place_of_the_mixture(thinking):
    scorer = Continuations(thinking, MeanFieldGuide(thinking.decoder.z_shape), FAST, draws=5)
    likeliest: list[int] = []
    for _ in range(3):
        found = scorer.score([2], [[*likeliest, token] for token in range(4)])
        likeliest.append(max(range(4), key=lambda token: found[token].nats))
    every = [list(c) for c in itertools.product(range(4), repeat=3)]
    greedy = [c for c, one in zip(every, scorer.score([2], every), strict=True) if one.greedy]
    assert greedy == [likeliest]


def test_what_is_said_hangs_on_the_beginning_and_the_seed_alone(thinking):
    guide = MeanFieldGuide(thinking.decoder.z_shape)
    one, again = (Continuations(thinking, guide, FAST, seed=1).score([1], [[2], [3]]) for _ in range(2))
    assert one == again
    alone = Continuations(thinking, guide, FAST, seed=1).score([1], [[3]])
    assert alone == one[1:]
    assert Continuations(thinking, guide, FAST, seed=2).score([1], [[2]]) != one[:1]


def test_a_long_beginning_loses_its_first_tokens(thinking):
    scorer, length = Continuations(thinking, MeanFieldGuide(thinking.decoder.z_shape), FAST), thinking.decoder.length
    assert scorer.score([0] * 5 + [1] * (length - 2), [[2, 3]]) == scorer.score([1] * (length - 2), [[2, 3]])
    with pytest.raises(InputError, match="longer than this model's texts"):
        scorer.score([1], [[2] * (length + 1)])


def test_a_whole_text_is_bounded_and_cut_where_it_is_too_long(thinking):
    guide, length = MeanFieldGuide(thinking.decoder.z_shape), thinking.decoder.length
    text = [1, 2, 3, 0] * length
    assert Continuations(thinking, guide, FAST, draws=2).whole(text[: 2 * length]) < 0
    with pytest.raises(InputError, match="q of a MAPGuide has no density"):
        Continuations(thinking, MAPGuide(thinking.decoder.z_shape), FAST).whole([1])
    model = AutoregressiveModel(decoder_of(thoughts=0))
    scorer = Continuations(model, EmptyGuide(), FAST)
    first, second = text[:length], text[length : 2 * length]
    logits = model.decoder.logits(model.decoder.inputs(torch.tensor([second]), torch.tensor([first[-1]])))
    told = logits[0].log_softmax(-1).gather(-1, torch.tensor(second)[:, None]).sum().item()
    assert scorer.whole(first + second) == pytest.approx(scorer.whole(first) + told)


def test_masked_diffusion_is_refused():
    with pytest.raises(InputError, match="no log-probability of a continuation"):
        Continuations(MaskedDiffusionModel(decoder_of(thoughts=0)), EmptyGuide(), FAST)
