"""A closer look at thoughts, where the truth is known."""

import math

import pytest
import torch
from toys import TinyModel

from ltm_pyro import ELBO, FastLoop
from ltm_pyro.data import Batch
from ltm_pyro.evaluation.inspection import Details, look_closer
from ltm_pyro.evaluation.inspection.attribution import attribute
from ltm_pyro.evaluation.inspection.checks import (
    burstiness,
    check_rows,
    commonest,
    entropy,
    predictive_checks,
    repetition,
    tokens_used,
)
from ltm_pyro.evaluation.inspection.dial import bound_by_steps
from ltm_pyro.evaluation.inspection.path import interpolate

FAST = FastLoop(ELBO(), steps=4, learning_rate=0.3)


def batch_of(x, mask=None):
    return Batch(x, mask, torch.ones(len(x), dtype=torch.long), torch.arange(len(x)), torch.ones_like(x))


def inputs(x):
    return {"x": x, "mask": None, "previous": None}


def deafen(tiny, *layers):
    with torch.no_grad():
        for layer in layers:
            for parameter in tiny.decoder.blocks[layer].cross_attention.parameters():
                parameter.zero_()
    return tiny


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return TinyModel()


def test_more_fast_steps_find_a_better_bound_and_none_is_the_prior(tiny):
    gentle = FastLoop(ELBO(), steps=4, learning_rate=0.05)
    dial = bound_by_steps(tiny.model, tiny.guide, gentle, [batch_of(tiny.x)], steps=(0, 4, 64), draws=200)
    costs = [one.elbo.nats_per_token for one in dial]
    assert [one.steps for one in dial] == [0, 4, 64]
    assert costs[2] < min(costs[:2])
    assert dial[0].kl_per_token == pytest.approx(0, abs=1e-12)
    assert all(one.importance_weighted.nats_per_token <= one.elbo.nats_per_token + 1e-9 for one in dial)


def test_attention_is_that_of_the_decoder(tiny):
    """The shares give the answers that the cross-attention gives."""
    tokens = tiny.decoder.inputs(tiny.x)
    shares = tiny.decoder.attention_on_thoughts(tokens, tiny.z)  # (B, L, K, T)
    assert shares.shape == (3, 2, 2, 20)
    torch.testing.assert_close(shares.sum(2), torch.ones(3, 2, 20, dtype=torch.float64))
    block, thoughts = tiny.decoder.blocks[0], tiny.decoder.latent_keys_values(tiny.z)[0]
    asked = tiny.decoder.prefix_states(tokens).queries
    weights = (asked @ thoughts[0].transpose(-2, -1) / asked.shape[-1] ** 0.5).softmax(-1)
    answer = block.cross_attention.merge(weights @ thoughts[1])
    torch.testing.assert_close(answer, block.cross_attention(asked, thoughts))
    torch.testing.assert_close(weights.mean(1).transpose(-2, -1), shares[:, 0])


def test_a_thought_that_nothing_reads_tells_nothing(tiny):
    found = attribute(deafen(tiny, 0).model, tiny.guide, 3, **inputs(tiny.x))
    assert found.told[:, 0].abs().max() < 1e-12
    assert found.told[:, 1].abs().max() > 0.01
    torch.testing.assert_close(found.attention[:, 0], torch.full((3, 2, 20), 0.5, dtype=torch.float64))


def test_what_a_thought_tells_is_the_difference_that_it_makes():
    """With one thought in all, taking it away is taking all away."""
    torch.manual_seed(0)
    tiny = TinyModel(layers=1, thoughts=1)
    found = attribute(tiny.model, tiny.guide, 5, **inputs(tiny.x))
    torch.testing.assert_close(found.told[:, 0, 0], found.thoughtless - found.cost)


def test_the_way_begins_and_ends_at_the_texts(tiny):
    sharp = FastLoop(ELBO(), steps=60, learning_rate=0.3)
    way = interpolate(tiny.model, tiny.guide, sharp, tiny.x[0], tiny.x[1], tokens=6, shares=(0.0, 0.5, 1.0))
    assert [stage.share for stage in way] == [0.0, 0.5, 1.0]
    assert way[0].first < way[2].first
    assert way[2].second < way[0].second
    assert [len(stage.tokens) for stage in way] == [6, 6, 6]
    deafen(tiny, 0, 1)
    same = interpolate(tiny.model, tiny.guide, sharp, tiny.x[0], tiny.x[1], tokens=6, shares=(0.0, 1.0))
    assert same[0].tokens == same[1].tokens  # one noise: what differs comes from the thoughts


def test_statistics_by_hand():
    x = torch.tensor([1, 2, 1, 2, 1, 2])
    assert tokens_used(x) == pytest.approx(2 / 6)
    assert entropy(x) == pytest.approx(math.log(2))
    assert repetition(x) == pytest.approx(3 / 5)
    assert commonest(x) == pytest.approx(0.5)
    assert burstiness(torch.tensor([1, 1, 2, 2])) == 1
    assert burstiness(torch.tensor([1, 2, 1, 2])) == 0


def test_texts_of_the_model_itself_pass_its_checks_and_others_do_not(tiny):
    """Texts written with the prior's thoughts by a decoder that ignores them: p-values have a mean of a half."""
    deafen(tiny, 0, 1)
    torch.manual_seed(1)
    own = tiny.model(batch_size=24)
    checks = predictive_checks(tiny.model, tiny.guide, FAST, list(own), replicates=40)
    for check in checks:
        assert abs(check.p_value - 0.5) < 4 * math.sqrt(1 / 12 / 24)
        assert abs(check.written - check.prior) < 0.2 * abs(check.written) + 0.05
    constant = [torch.full((20,), 3)] * 3
    for check in predictive_checks(tiny.model, tiny.guide, FAST, constant, replicates=40):
        if check.name != "difference of the halves":
            assert check.extreme == 1
    assert len(check_rows(checks)) == len(checks) + 1


def test_everything_is_looked_at_and_an_interrupt_keeps_what_there_is(tiny):
    mask = torch.ones_like(tiny.x, dtype=torch.bool)
    mask[1, 12:] = False
    details, said = Details(), []
    look_closer(details, tiny.model, tiny.guide, FAST, [batch_of(tiny.x, mask)], 2, 2, listener=said.append)
    every = Details()
    look_closer(every, tiny.model, tiny.guide, FAST, [batch_of(tiny.x, mask)], 9, 2)
    assert [len(text.tokens) for text in every.texts] == [20, 12, 20]  # padding is left out
    assert [len(text.tokens) for text in details.texts] == [20, 20]
    assert details.texts[1].reading.attention.shape == (2, 2, 20)
    assert details.ends == (0, 2)
    assert details.aggregate.sequences == 3
    plain = details.to_dict()
    assert len(plain["dial"]) == len(details.dial) == 8
    assert len(plain["checks"]) == len(details.checks) > 0
    assert said[-1] == "bound by fast steps"

    def stop(what):
        if what == "from one text to another":
            raise KeyboardInterrupt

    part = Details()
    with pytest.raises(KeyboardInterrupt):
        look_closer(part, tiny.model, tiny.guide, FAST, [batch_of(tiny.x)], 2, 2, listener=stop)
    assert part.aggregate is not None
    assert len(part.texts) == 2
    assert not part.dial
