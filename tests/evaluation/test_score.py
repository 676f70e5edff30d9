"""A score says what it costs, in its units, and how sure that is."""

import json
import math

import numpy as np
import pytest

from ltm_pyro.evaluation import Score


def some(count=400, seed=0, rate=1.5):
    """Sequences of very different lengths, the long ones cheaper per token."""
    random = np.random.default_rng(seed)
    tokens = random.integers(1, 60, count).astype(float)
    nats = tokens * (rate + 20 / (10 + tokens)) + random.normal(size=count)
    return Score("some", nats, tokens, 3 * tokens)


def test_a_corpus_costs_what_its_parts_cost():
    first, second = some(seed=1), some(count=100, seed=2)
    joined = Score("", *(np.append(*pair) for pair in zip(numbers(first), numbers(second), strict=True)))
    total = first.nats_per_token * first.tokens.sum() + second.nats_per_token * second.tokens.sum()
    assert joined.nats_per_token == pytest.approx(total / joined.tokens.sum(), rel=1e-12)


def numbers(score):
    return score.nats, score.tokens, score.bytes


def test_perplexity_is_of_the_corpus():
    score = some()
    assert score.perplexity == pytest.approx(math.exp(score.nats.sum() / score.tokens.sum()), rel=1e-12)
    assert score.mean_sequence_perplexity == pytest.approx(np.exp(score.nats / score.tokens).mean(), rel=1e-12)
    assert score.mean_sequence_perplexity > score.perplexity  # another definition, as different as that


def test_a_uniform_model_costs_the_logarithm_of_its_vocabulary():
    tokens, vocabulary = np.array([3.0, 10.0]), 300
    score = Score("", tokens * math.log(vocabulary), tokens, np.array([7.0, 20.0]))
    assert score.bits_per_byte == pytest.approx(math.log2(vocabulary) * 13 / 27, rel=1e-12)
    assert score.perplexity == pytest.approx(vocabulary)
    assert score.standard_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "error"), [("nats_per_token", "standard_error"), ("bits_per_byte", "bits_per_byte_error")]
)
def test_the_standard_error_is_that_of_a_bootstrap(value, error):
    score, random = some(), np.random.default_rng(0)
    rows = random.integers(0, 400, (2000, 400))
    again = [getattr(Score("", *(column[row] for column in numbers(score))), value) for row in rows]
    assert getattr(score, error) == pytest.approx(np.std(again), rel=0.1)
    fixed_length = np.std(score.nats / (1 if value == "nats_per_token" else math.log(2))) / math.sqrt(400)
    below = score.tokens if value == "nats_per_token" else score.bytes
    assert fixed_length / below.mean() > 2 * np.std(again)  # what would come out if lengths were not taken into account


def test_a_paired_difference_is_surer_than_two_errors():
    score = some()
    worse = Score("", score.nats + 0.1 * score.tokens, score.tokens, score.bytes)
    difference, error = worse.minus(score)
    assert difference == pytest.approx(0.1)
    assert error == pytest.approx(0, abs=1e-12)
    assert score.standard_error > 0.005


def test_one_sequence_has_no_error():
    score = Score("", np.array([3.0]), np.array([2.0]), np.array([4.0]))
    assert math.isnan(score.standard_error)
    assert math.isnan(score.perplexity_error)


def test_it_becomes_plain_numbers():
    plain = some().to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["sequences"] == 400
    assert {"nats_per_token", "bits_per_byte", "perplexity", "standard_error", "tokens", "bytes"} <= plain.keys()


def test_a_hopeless_model_has_an_infinite_perplexity():
    assert Score("", np.array([1e6]), np.array([10.0]), np.array([10.0])).perplexity == math.inf
    assert math.isnan(Score("", np.array([1.0]), np.array([1.0]), np.array([0.0])).bits_per_byte)
