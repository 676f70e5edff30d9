"""Tokens dropped from what the decoder reads: while it learns, the same in all passes, and at no other time."""

import pytest
import torch
from toys import SIZES, TinyModel, autoregressive_with, decoder_with, z_test

from ltm_pyro import ELBO, Decoder, DualRateSVI, EmptyGuide, FastLoop, InputError, SlowStep
from ltm_pyro.data import Batch
from ltm_pyro.evaluation import FourNumbers


def test_each_token_that_is_read_is_dropped_with_the_probability_given():
    decoder = decoder_with(token_dropout=0.3)
    x = torch.randint(2, 30, (400, 20))
    read = decoder.drop_tokens(x, torch.full((400,), 5))
    whole = decoder.inputs(x, torch.full((400,), 5))
    dropped = read != whole
    assert (read[dropped] == decoder.begin).all()
    z_test(dropped.double(), torch.full((20,), 0.3, dtype=torch.float64))


def test_what_is_predicted_is_never_dropped():
    decoder = decoder_with(token_dropout=1.0)
    x, z = torch.randint(2, 30, (3, 20)), torch.randn(3, *decoder.z_shape, dtype=torch.float64)
    nats = decoder.token_log_prob(x, z, decoder.drop_tokens(x))
    by_hand = decoder.logits(torch.full_like(x, decoder.begin), z).log_softmax(-1).gather(-1, x[..., None])[..., 0]
    torch.testing.assert_close(nats, by_hand)


@pytest.mark.parametrize(("rate", "learns"), [(0.0, True), (0.5, False)])
def test_off_and_in_evaluation_nothing_is_dropped_and_nothing_drawn(rate, learns):
    decoder = decoder_with(token_dropout=rate).train(learns)
    previous, state = torch.tensor([1, 2, 3]), torch.get_rng_state()
    assert decoder.drop_tokens(torch.randint(30, (3, 20), generator=torch.Generator()), previous) is previous
    assert torch.equal(torch.get_rng_state(), state)


def readings(model, guide, steps, **fast):
    """The tokens that the passes of each of some steps have read, each step's own once each."""
    svi = DualRateSVI(model, guide, FastLoop(ELBO(), 3, **fast), SlowStep(ELBO(), learning_rate=1e-3))
    decoder, look_back, x = model.decoder, model.decoder.look_back, torch.randint(2, 30, (3, 20))
    found = []

    def noted(tokens):
        found[-1].append(tokens)
        return look_back(tokens)

    decoder.look_back = noted
    for _ in range(steps):
        found.append([])
        svi.step(x, previous=torch.tensor([5, 6, 7]))
    return decoder.inputs(x, torch.tensor([5, 6, 7])), found


@pytest.mark.parametrize("fast", [{}, {"tokens": 0.5}])
def test_all_passes_over_a_batch_read_the_same_and_the_next_batch_another(fast):
    tiny = TinyModel(token_dropout=0.5)
    whole, steps = readings(tiny.model, tiny.guide, 2, **fast)
    for passes in steps:
        assert len(passes) == 2  # the fast loop's one reading, and the slow step's
        assert torch.equal(passes[0], passes[1])
        assert (passes[0] != whole).any()
    assert not torch.equal(steps[0][0], steps[1][0])


def test_a_model_without_thoughts_drops_too():
    whole, steps = readings(autoregressive_with(token_dropout=0.5), EmptyGuide(), 1)
    assert (steps[0][0] != whole).any()


def test_no_number_of_a_table_is_of_a_text_with_dropped_tokens():
    x = torch.randint(30, (3, 20))
    batch = Batch(x, None, torch.tensor([1, 2, 3]), torch.arange(3), torch.ones_like(x))
    found = []
    for rate in (0.0, 0.9):
        torch.manual_seed(0)
        tiny = TinyModel(token_dropout=rate)
        assert tiny.model.training
        scores = FourNumbers(tiny.model, tiny.guide, FastLoop(ELBO(), 2), draws=2).evaluate([batch]).scores
        found.append({name: score.nats.tolist() for name, score in scores.items()})
    assert found[0] == found[1]
    assert len(found[0]) == 5


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(rate):
    with pytest.raises(InputError, match=f"token_dropout={rate}: expected a probability"):
        Decoder(**SIZES, token_dropout=rate)
