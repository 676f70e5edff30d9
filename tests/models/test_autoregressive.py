"""The reference: its bound is its exact log-likelihood."""

import pytest
import torch
from pyro import poutine
from pyro.infer import Predictive
from toys import autoregressive_with, decoder_with

from ltm_pyro import (
    ELBO,
    AutoregressiveModel,
    DualRateSVI,
    EmptyGuide,
    FastLoop,
    ImportanceWeighted,
    InputError,
    SlowStep,
)

TIGHT = {"atol": 1e-10, "rtol": 0}


@pytest.mark.parametrize("bound", [ELBO(), ELBO(3), ImportanceWeighted(1), ImportanceWeighted(3)])
def test_its_bound_is_its_log_likelihood(bound):
    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    mask = torch.rand(3, 20) < 0.5
    logits = model.decoder.logits(model.decoder.inputs(x)).log_softmax(-1)
    expected = (logits.gather(-1, x[..., None]).squeeze(-1) * mask).sum(-1)
    terms = bound.terms(model, EmptyGuide(), x, mask)
    torch.testing.assert_close(terms.bound, expected, **TIGHT)
    torch.testing.assert_close(terms.log_likelihood, expected, **TIGHT)
    torch.testing.assert_close(terms.kl, torch.zeros_like(expected))
    assert terms.kl_closed_form


def test_it_learns_by_the_same_two_steps():
    model, x = autoregressive_with(), torch.randint(30, (3, 20))
    svi = DualRateSVI(model, EmptyGuide(), FastLoop(ELBO(), steps=3), SlowStep(ELBO(), learning_rate=1e-2))
    values = [svi.step(x).bound.sum() for _ in range(5)]
    assert values[-1] > values[0] + 1


def test_it_writes_and_is_a_pyro_model():
    model = autoregressive_with()
    assert model().shape == (1, 20)
    assert model(batch_size=4).shape == (4, 20)
    assert Predictive(model, num_samples=2, parallel=True)(batch_size=3)["x"].shape == (2, 3, 20)
    assert poutine.trace(model).get_trace(torch.zeros(3, 9, dtype=torch.long)).nodes["x"]["fn"].event_shape == (9,)


def test_a_decoder_with_thoughts_is_refused():
    with pytest.raises(InputError, match="thoughts=0"):
        AutoregressiveModel(decoder_with())
