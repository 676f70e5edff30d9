"""Thoughts behind a gate: what it multiplies, where it starts, and that everything else knows of it."""

import math

import pytest
import torch
from toys import SIZES, TinyModel, decoder_with

from ltm_pyro import ELBO, Decoder, DualRateSVI, FastLoop, InputError, SlowStep
from ltm_pyro.freezing import frozen

TIGHT = {"atol": 1e-10, "rtol": 0}


def gated(*values, **sizes):
    """A decoder of as many layers as there are gates."""
    decoder = decoder_with(layers=len(values), gate=0.0, **sizes)
    with torch.no_grad():
        for block, value in zip(decoder.blocks, values, strict=True):
            block.gate.fill_(value)
    return decoder


def texts(decoder):
    return torch.randint(30, (3, 20)), torch.randn(3, *decoder.z_shape, dtype=torch.float64)


def test_it_multiplies_what_the_thoughts_answer_by_its_tanh():
    decoder, plain = gated(0.7, -1.2), decoder_with()
    plain.load_state_dict(decoder.state_dict(), strict=False)
    with torch.no_grad():
        for block, gate in zip(plain.blocks, (0.7, -1.2), strict=True):
            block.cross_attention.output.weight.mul_(math.tanh(gate))
    x, z = texts(decoder)
    torch.testing.assert_close(decoder.logits(x, z), plain.logits(x, z), **TIGHT)


def test_at_zero_the_decoder_is_one_without_thoughts():
    decoder, plain = gated(0.0, 0.0), decoder_with(thoughts=0)
    plain.load_state_dict({name: decoder.state_dict()[name] for name in plain.state_dict()})
    x, z = texts(decoder)
    torch.testing.assert_close(decoder.token_log_prob(x, z), plain.token_log_prob(x), **TIGHT)


def test_there_is_none_unless_one_is_asked_for():
    assert not any("gate" in name and "feed_forward" not in name for name in decoder_with().state_dict())
    values = [block.gate.item() for block in Decoder(**SIZES, gate=0.25).blocks]
    assert values == [0.25, 0.25]


@pytest.mark.parametrize("window", [1, 4, 20])
def test_writing_and_scoring_agree(window):
    decoder = gated(0.6, -0.3, window=window)
    x, z = texts(decoder)
    logits, cache = decoder.read(x[:, :5], z)
    written = [logits] + [decoder.step(token, cache) for token in x[:, 5:].T]
    torch.testing.assert_close(torch.stack(written, 1), decoder.logits(x, z)[:, 4:], **TIGHT)


@pytest.mark.parametrize("recompute", [False, True])
def test_its_gradient_is_its_slope(recompute):
    decoder = gated(0.0, 0.4, recompute=recompute)
    x, z = texts(decoder)
    gates = [block.gate for block in decoder.blocks]
    slopes = torch.autograd.grad(decoder.token_log_prob(x, z).sum(), gates)
    for gate, slope in zip(gates, slopes, strict=True):
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                gate.add_(step)
                values.append(decoder.token_log_prob(x, z).sum())
                gate.sub_(step)
        torch.testing.assert_close(slope, (values[0] - values[1]) / 2e-6, rtol=1e-5, atol=1e-6)
        assert slope.abs() > 1e-3


def test_a_shut_gate_gives_q_no_slope_and_held_weights_give_the_gate_none():
    decoder = gated(0.0, 0.0)
    x, z = texts(decoder)
    with frozen(decoder.parameters()):
        (slope,) = torch.autograd.grad(decoder.token_log_prob(x, z.requires_grad_()).sum(), z)
    assert slope.abs().max() == 0
    assert all(block.gate.grad is None for block in decoder.blocks)


def test_it_learns_without_weight_decay():
    tiny = TinyModel(gate=0.0)
    with torch.no_grad():
        for block in tiny.decoder.blocks:
            block.gate.zero_()
    svi = DualRateSVI(tiny.model, tiny.guide, FastLoop(ELBO(), 3), SlowStep(ELBO(), learning_rate=0.01))
    svi.step(tiny.x)
    assert all(block.gate != 0 for block in tiny.decoder.blocks)
    free = {id(p) for group in svi.slow.optimizer.param_groups if not group["weight_decay"] for p in group["params"]}
    assert {id(block.gate) for block in tiny.decoder.blocks} <= free


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"gate": 0.0, "thoughts": 0}, "gate=0.0: a decoder with thoughts=0 has nothing to let in"),
        ({"gate": math.nan}, "gate=nan: expected a finite number"),
    ],
)
def test_what_makes_no_sense_is_refused(sizes, reason):
    with pytest.raises(InputError, match=reason):
        Decoder(**{**SIZES, **sizes})
