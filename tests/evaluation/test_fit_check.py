"""A table says whether its q has converged, by what a longer fit still closes."""

import json

import numpy as np
import pytest
import torch
from toys import TinyModel, autoregressive_with

from ltm_pyro import ELBO, AmortisedGuide, EmptyGuide, FastLoop, LowRankGuide, MAPGuide, MeanFieldGuide
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import Evaluator, markdown
from ltm_pyro.evaluation.fit_check import TOLERANCE, FitCheck, gain_of_longer, longer_than, note_on_gains
from ltm_pyro.inference import TableFit

TRAINING = FastLoop(ELBO(), steps=4, learning_rate=0.1)


def batch(tiny):
    one = torch.ones(len(tiny.x), dtype=torch.long)
    return Batch(tiny.x, None, one, torch.arange(len(tiny.x)), torch.ones_like(tiny.x))


@pytest.fixture(scope="module")
def six():
    torch.manual_seed(0)
    return TinyModel(batch=6)


def evaluation(six, guide, steps, check_fit=6, **options):
    fast = TableFit().loop(guide, TRAINING, steps)
    numbers = Evaluator(six.model, guide, fast, 8, check_fit=check_fit, halves=False, **options)
    return numbers.evaluate([batch(six)])


@pytest.mark.parametrize("make", [MeanFieldGuide, LowRankGuide])
@pytest.mark.parametrize("steps", [0, 1])
def test_too_few_steps_are_not_converged_and_the_table_says_what_to_give(six, make, steps):
    found = evaluation(six, make(six.decoder.z_shape), steps)
    assert found.fit.converged is False
    assert found.fit.gain > TOLERANCE
    (line,) = (line for line in markdown(found).splitlines() if "not converged" in line)
    assert line.startswith(f"q has not converged: fitted in {steps} fast steps of ")
    assert f"{found.fit.gain:+.4f} ± {found.fit.gain_error:.4f} nats/token" in line
    assert "--fast_steps 48" in line


def test_the_gain_is_what_two_tables_differ_by(six):
    guide = MeanFieldGuide(six.decoder.z_shape)
    short, longer = evaluation(six, guide, 1), evaluation(six, guide, 48)
    difference, error = short.scores["elbo"].minus(longer.scores["elbo"])
    assert short.fit.gain == pytest.approx(difference, abs=4 * error + 0.02)
    assert short.fit.gain > 0.1


def test_the_check_changes_no_number(six):
    guide = MeanFieldGuide(six.decoder.z_shape)
    with_it, without = (evaluation(six, guide, 3, check_fit=rows, fixed_noise=True) for rows in (2, 0))
    assert with_it.fit.sequences == 2
    assert without.fit.converged is None
    for name, score in with_it.scores.items():
        assert np.array_equal(score.nats, without.scores[name].nats)
    assert "the gain of a longer fit was not measured" in markdown(without)


def test_texts_are_checked_over_batches(six):
    guide = MeanFieldGuide(six.decoder.z_shape)
    rows = [Batch(*(None if part is None else part[i : i + 2] for part in batch(six))) for i in (0, 2, 4)]
    numbers = Evaluator(six.model, guide, TableFit().loop(guide, TRAINING, 2), 4, check_fit=5, halves=False)
    assert numbers.evaluate(rows).fit.sequences == 5


def test_what_is_not_fitted_says_so(six):
    amortised = AmortisedGuide(six.decoder.z_shape, vocabulary=30, width=8, blocks=1, heads=2).double()
    found = evaluation(six, amortised, 3)
    assert (found.fit.steps, found.fit.longer) == (0, None)
    assert "No fast step fits q to a text" in markdown(found)
    exact = Evaluator(autoregressive_with(), EmptyGuide(), TRAINING, 2).evaluate([batch(six)])
    assert exact.fit is None


def test_without_a_density_there_is_no_bound_to_close(six):
    found = evaluation(six, MAPGuide(six.decoder.z_shape), 2)
    assert found.fit.longer is None
    assert "2 fast steps of Adam; the gain of a longer fit was not measured" in markdown(found)


def test_it_becomes_plain_numbers(six):
    plain = evaluation(six, MeanFieldGuide(six.decoder.z_shape), 1).to_dict()["fit"]
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["converged"], plain["tolerance"], plain["longer"]) == (False, 0.003, 48)
    json.dumps(FitCheck(3, "Adam").to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("gain", "error", "converged", "words"),
    [
        (0.001, 0.0002, True, "q has converged: fitted in 16 fast steps of Adam, and 48 steps take +0.0010 ± 0.0002"),
        (-0.2, 0.01, True, "q has converged"),
        (0.001, 0.004, None, "Whether q has converged cannot be told from so few sequences: fitted in 16 fast steps"),
        (-0.001, float("nan"), None, "cannot be told"),
        (0.004, 0.0005, False, "q has not converged"),
        (0.3, float("nan"), False, "q has not converged"),
        (0.004, 0.01, False, "or more sequences, since the error is as large"),
    ],
)
def test_the_words_follow_the_tolerance(gain, error, converged, words):
    fit = FitCheck(16, "Adam", 48, gain, error, 8)
    assert fit.converged is converged
    assert words in fit.note
    assert ("--fast_steps 48" in fit.note) is (converged is False)
    assert (["not converged" in line for line in note_on_gains({"a": (gain, error)})]) == [converged is False]


def test_the_longer_fit_is_at_least_one_that_usually_suffices():
    assert [longer_than(steps) for steps in (0, 2, 30, 64)] == [48, 48, 60, 128]
    assert note_on_gains({}) == []


def test_random_numbers_outside_stay_as_they_were(six):
    state = torch.get_rng_state()
    gain_of_longer(six.model, MeanFieldGuide(six.decoder.z_shape), TRAINING, 2, x=six.x)
    assert torch.equal(torch.get_rng_state(), state)
