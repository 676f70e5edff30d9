"""A NaN is traced to the weight, layer or gradient that it came from, and to the sequences that it hit."""

import math

import pyro
import pytest
import torch
from toys import TinyModel

from ltm_pyro import ELBO, FastLoop, Terms
from ltm_pyro.training.diagnosis import first_non_finite, offending_rows


@pytest.fixture(autouse=True)
def _unchecked():
    pyro.enable_validation(False)  # as in training, where Pyro's own checks do not stand in the way


def found(tiny):
    return first_non_finite(tiny.model, tiny.guide, x=tiny.x, mask=None, previous=None)


def terms(values):
    values = torch.tensor(values)
    return Terms(values, values, values)


def test_the_sequences_are_those_whose_bound_is_not_finite():
    assert offending_rows(terms([1.0, math.nan, 2.0, -math.inf])) == [1, 3]
    assert offending_rows(terms([1.0, 2.0])) == [0, 1]  # the fault is in the gradient: it may be any of them


def test_a_weight_is_named(tiny):
    with torch.no_grad():
        tiny.decoder.norm.weight[3] = math.inf
    assert found(tiny) == "weight decoder.norm.weight"


@pytest.mark.parametrize("name", ["blocks.0.self_attention.value", "blocks.1.feed_forward.down", "norm"])
def test_the_innermost_layer_is_named(tiny, name):
    layer = tiny.decoder.get_submodule(name)
    layer.register_forward_hook(lambda module, inputs, output: output * math.nan)
    assert found(tiny) == f"layer decoder.{name}"


def test_a_gradient_is_named(tiny):
    weight = tiny.decoder.blocks[0].norm_3.weight
    weight.grad = torch.full_like(weight, math.nan)
    assert found(tiny) == "gradient of decoder.blocks.0.norm_3.weight"


def test_a_posterior_that_the_fast_loop_lost_is_traced_to_the_layer(tiny):
    tiny.decoder.blocks[1].norm_2.register_forward_hook(lambda module, inputs, output: output / 0)
    FastLoop(ELBO(), steps=1).fit(tiny.model, tiny.guide, tiny.x)
    assert not torch.isfinite(tiny.guide.mu).all()
    assert found(tiny) == "layer decoder.blocks.1.norm_2"


def test_a_gradient_that_the_fast_loop_lost_is_traced_to_the_layer():
    tiny = TinyModel()

    def root(module, inputs, output):
        return output + (output - output.detach()).abs().sqrt()  # zero, with an infinite slope

    tiny.decoder.blocks[1].cross_attention.register_forward_hook(root)
    FastLoop(ELBO(), steps=2).fit(tiny.model, tiny.guide, tiny.x)
    assert not torch.isfinite(tiny.guide.mu).all()
    assert found(tiny) == "the gradient through layer decoder.blocks.1.cross_attention.output (fast loop)"
    assert all(parameter.grad is None for parameter in tiny.model.parameters())


def test_a_loop_that_ran_away_by_itself_is_named(tiny):
    with torch.no_grad():
        tiny.guide.mu.fill_(math.nan)
    assert found(tiny) == "the posterior's fast loop"


def test_nothing_is_named_where_all_is_well(tiny):
    assert found(tiny) == "no single layer"
