"""The next token is drawn from exactly the tokens that were asked for, in the right proportions."""

import math
from itertools import product

import pytest
import torch
from torch.nn.functional import softmax

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling

SETTINGS = list(product((0.3, 1.0, 2.0), (0, 1, 3, 50), (0.1, 0.5, 0.9, 1.0)))


def naive(logits, temperature, top_k, top_p):
    """The same, one token at a time: a list of probabilities."""
    probabilities = softmax(logits / temperature, -1).tolist()
    order = sorted(range(len(probabilities)), key=lambda token: -probabilities[token])
    kept = order[: top_k or len(order)]
    mass = sum(probabilities[token] for token in kept)
    chosen, reached = [], 0.0
    for token in kept:
        if reached < top_p:
            chosen.append(token)
        reached += probabilities[token] / mass
    total = sum(probabilities[token] for token in chosen)
    return [probabilities[token] / total if token in chosen else 0.0 for token in range(len(probabilities))]


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), SETTINGS)
def test_the_probabilities_are_those_of_a_naive_loop(temperature, top_k, top_p):
    logits = 2 * torch.randn(6, 12, dtype=torch.float64)
    found = Sampling(temperature, top_k, top_p).probabilities(logits)
    expected = torch.tensor([naive(row, temperature, top_k, top_p) for row in logits], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(-1), torch.ones(6, dtype=torch.float64))


def test_temperature_zero_takes_the_likeliest_token():
    logits = torch.randn(20, 30)
    assert torch.equal(Sampling(0).draw(logits), logits.argmax(-1))
    assert torch.equal(Sampling(0).probabilities(logits).sum(-1), torch.ones(20))


def test_the_likeliest_token_always_stays():
    logits = torch.tensor([[0.0, 5.0, 1.0]])
    assert Sampling(top_p=1e-9).probabilities(logits).tolist() == [[0.0, 1.0, 0.0]]


def largest_z(draws, probabilities):
    """By how many standard errors the frequencies miss the probabilities."""
    count = len(draws)
    frequencies = torch.bincount(draws, minlength=len(probabilities)) / count
    return ((frequencies - probabilities) / (probabilities * (1 - probabilities) / count).sqrt()).abs().max().item()


def test_the_frequencies_are_the_probabilities():
    logits = torch.randn(8, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    draws = Sampling().draw(logits.expand(20_000, -1), generator)
    assert largest_z(draws, softmax(logits, -1)) < 4
    warm = Sampling(temperature=1.3).draw(logits.expand(20_000, -1), generator)
    assert largest_z(warm, softmax(logits, -1)) > 4


def test_equal_generators_draw_equal_tokens():
    logits = torch.randn(50, 10)
    first, second = (Sampling().draw(logits, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Sampling().draw(logits, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": "hot"},
        {"top_k": -1},
        {"top_k": 2.5},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
    ],
)
def test_values_out_of_range_are_refused_by_name(values):
    (name,) = values
    with pytest.raises(InputError, match=f"{name}=.*expected"):
        Sampling(**values)


EXTREMES = [{"temperature": 1e-40}, {"temperature": 1e-300}, {"temperature": 5e-324}, {"top_p": 1e-50}, {"top_k": 1}]
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@pytest.mark.parametrize("values", EXTREMES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_in_the_limit_it_is_the_likeliest_token(values, dtype):
    logits = torch.randn(40, 30).mul(30).to(dtype)
    sampling = Sampling(**values)
    found = sampling.probabilities(logits)
    assert torch.equal(found.argmax(-1), logits.argmax(-1))
    assert torch.equal(found.amax(-1), torch.ones(40, dtype=dtype))
    assert torch.equal(sampling.draw(logits), logits.argmax(-1))


@pytest.mark.parametrize("temperature", [1e-29, 1e-6, 1e10, 1e38, 1e300])
def test_no_temperature_makes_a_probability_that_is_none(temperature):
    logits = torch.tensor([[0.0, 3.0, 5.0, 5.0, -torch.inf], [60.0, -60.0, 0.0, 1.0, 2.0]])
    found = Sampling(temperature).probabilities(logits)
    torch.testing.assert_close(found.sum(-1), torch.ones(2))
    assert found[0, 4] == 0
    expected = [0.0, 0.0, 0.5, 0.5, 0.0] if temperature < 1 else [0.25] * 4 + [0.0]
    torch.testing.assert_close(found[0], torch.tensor(expected))


def test_of_tokens_that_are_equally_likely_zero_takes_the_first():
    assert Sampling(0).draw(torch.tensor([[1.0, 2.0, 2.0, 2.0]])).tolist() == [1]


def test_more_than_all_tokens_are_all_of_them():
    logits = torch.randn(3, 5)
    assert torch.equal(Sampling(top_k=7).probabilities(logits), softmax(logits, -1))
