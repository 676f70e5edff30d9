"""Batches of ids of any integer type, and batches that are none, at every door of inference and writing."""

import numpy as np
import pytest
import torch

from ltm_pyro import (
    ELBO,
    AmortisedGuide,
    AutoregressiveModel,
    CategoricalGuide,
    Decoder,
    DualRateSVI,
    EmptyGuide,
    FastLoop,
    GaussianPrior,
    LatentThoughtModel,
    MaskedDiffusionModel,
    MeanFieldGuide,
    SlowStep,
)
from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation import Evaluator
from ltm_pyro.generation import Sampling, thoughts_from_prompt, write, write_by_diffusion, write_speculatively

SIZES = {"vocabulary": 7, "width": 8, "layers": 1, "heads": 2, "length": 6, "window": 3}
TYPES = [torch.int32, torch.int16, torch.uint8, torch.int8, torch.uint16]
X = torch.tensor([[1, 2, 3, 4], [6, 5, 0, 1]])


def made(seed=0):
    torch.manual_seed(seed)
    decoder = Decoder(thoughts=2, **SIZES)
    return LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder)


def stepped(x, make=MeanFieldGuide, **batch):
    model = made()
    guide = make(model.prior.z_shape)
    guide.prepare(7)
    svi = DualRateSVI(model, guide, FastLoop(ELBO(), 2), SlowStep(ELBO()))
    torch.manual_seed(1)
    return svi.step(x, **batch).elbo


@pytest.mark.parametrize("make", [MeanFieldGuide, AmortisedGuide])
@pytest.mark.parametrize("kind", [*TYPES, np.int32, np.uint16], ids=str)
def test_a_step_on_ids_of_any_integer_type_is_the_same(make, kind):
    x = X.to(kind) if isinstance(kind, torch.dtype) else X.numpy().astype(kind)
    assert torch.equal(stepped(x, make), stepped(X, make))


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_so_is_what_models_say_and_write(kind):
    model, x = made(), X.to(kind)
    bare = Decoder(thoughts=0, **SIZES)
    z = torch.zeros(2, *model.prior.z_shape)
    for one in (model, AutoregressiveModel(bare), MaskedDiffusionModel(bare)):
        assert one(x).shape == X.shape
    assert torch.equal(model.decoder.token_log_prob(x, z), model.decoder.token_log_prob(X, z))
    writers = [
        lambda ids: write(model, z, ids, 2, Sampling(0)),
        lambda ids: write_speculatively(model, z, model, z, ids, 2, Sampling(0)),
        lambda ids: write_by_diffusion(MaskedDiffusionModel(bare), ids, 2, Sampling(0)),
    ]
    for writer in writers:
        torch.manual_seed(2)
        expected = list(writer(X))
        torch.manual_seed(2)
        found = list(writer(x))
        assert all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))
    thoughts = thoughts_from_prompt(model, MeanFieldGuide(model.prior.z_shape), FastLoop(ELBO(), 1), x[0], 3)
    assert thoughts.shape == (3, *model.prior.z_shape)


def test_so_are_the_four_numbers():
    tables = []
    for x in (X, X.int()):
        model = made()
        numbers = Evaluator(model, MeanFieldGuide(model.prior.z_shape), FastLoop(ELBO(), 1), draws=2)
        batch = Batch(x, None, torch.zeros(2, dtype=torch.long), torch.arange(2), torch.ones_like(X))
        tables.append({name: score.nats_per_token for name, score in numbers.evaluate([batch]).scores.items()})
    assert tables[0] == tables[1]


REFUSED = {
    "one text": (X[0], None, r"x has shape \(4,\): expected \(B, T\).*x\[None\]"),
    "three dimensions": (X[None], None, r"x has shape \(1, 2, 4\)"),
    "no text": (X[:0], None, r"x has shape \(0, 4\): expected at least one text"),
    "too large": (X + 1, None, "token ids from 0 to 6"),
    "negative": (X - 1, None, "token ids from 0 to 6"),
    "numbers": (X.float(), None, "x is of torch.float32: expected token ids"),
    "truths": (X > 2, None, "x is of torch.bool"),
    "too long": (torch.zeros(2, 7, dtype=torch.long), None, "7 tokens is longer than the decoder's 6"),
    "another mask": (X, torch.ones(2, 3, dtype=torch.bool), r"the mask has shape \(2, 3\), x has \(2, 4\)"),
    "a mask of one text": (X, torch.ones(4, dtype=torch.bool), r"the mask has shape \(4,\)"),
    "a mask of numbers": (X, torch.ones(2, 4), "the mask is of torch.float32: expected booleans"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_is_no_batch_is_refused(case):
    x, mask, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        stepped(x, mask=mask)
    model = made()
    guide, slow = MeanFieldGuide(model.prior.z_shape), SlowStep(ELBO())
    slow.prepare(model.parameters())
    for door in (FastLoop(ELBO(), 1).fit, slow.step):
        with pytest.raises(InputError, match=message):
            door(model, guide, x, mask)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda shape: MeanFieldGuide((1, 2, 4)), r"draws z of shape \(1, 2, 4\), the prior models \(1, 2, 8\)"),
        (lambda shape: MeanFieldGuide((1, 1, 8)), r"draws z of shape \(1, 1, 8\)"),
        (CategoricalGuide, "GaussianPrior has continuous thoughts, CategoricalGuide draws one-hot ones"),
    ],
)
def test_a_guide_over_other_thoughts_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        stepped(X, make)


def test_a_model_without_thoughts_asks_nothing_of_them():
    model = AutoregressiveModel(Decoder(thoughts=0, **SIZES))
    svi = DualRateSVI(model, EmptyGuide(model.decoder.z_shape), FastLoop(ELBO(), 1), SlowStep(ELBO()))
    assert svi.step(X.int()).elbo.shape == (2,)
    with pytest.raises(InputError, match="token ids from 0 to 6"):
        svi.step(X + 1)


@pytest.mark.parametrize(
    ("prompt", "count", "message"),
    [
        (X[0], 1, r"the prompt has shape \(4,\): expected \(N, P\)"),
        (X + 1, 2, "the prompt must hold token ids from 0 to 6"),
        (X.float(), 2, "the prompt is of torch.float32"),
        (X, 3, "3 thoughts for 2 prompts"),
    ],
)
def test_a_prompt_that_is_none_is_refused(prompt, count, message):
    model = made()
    z = torch.zeros(count, *model.prior.z_shape)
    for door in (lambda: write(model, z, prompt, 1), lambda: write_speculatively(model, z, model, z, prompt, 1)):
        with pytest.raises(InputError, match=message):
            door()
