"""A pass in two parts, some positions of it, and a pass that forgets and computes again, are the pass."""

import subprocess
import sys

import pytest
import torch
from toys import autoregressive_with, decoder_with

from ltm_pyro.freezing import frozen
from ltm_pyro.models import Decoder

B, S = 3, 2


def texts(decoder):
    return torch.randint(decoder.vocabulary, (B, decoder.length))


def thoughts(decoder, *leading):
    return torch.randn(*leading, B, *decoder.z_shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("leading", [(), (S,)])
@pytest.mark.parametrize("length", [20, 150])
def test_a_reading_serves_every_z(layers, leading, length):
    decoder = decoder_with(layers=layers, length=length)
    x, previous = texts(decoder), torch.tensor([2, 3, 4])
    with torch.no_grad():
        prefix = decoder.prefix_states(decoder.inputs(x, previous))
    for _ in range(2):
        z = thoughts(decoder, *leading)
        whole, parted = decoder.token_log_prob(x, z, previous), decoder.token_log_prob(x, z, prefix=prefix)
        torch.testing.assert_close(parted, whole)
        slopes = [torch.autograd.grad(nats.square().sum(), z)[0] for nats in (whole, parted)]
        torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("leading", [(), (S,)])
def test_at_places_there_is_what_the_whole_pass_has_there(layers, leading):
    decoder, places = decoder_with(layers=layers), torch.tensor([0, 3, 3, 17])
    x, z = texts(decoder), thoughts(decoder, *leading)
    whole, part = decoder.token_log_prob(x, z)[..., places], decoder.token_log_prob(x, z, positions=places)
    torch.testing.assert_close(part, whole)
    weights = torch.randn_like(whole)
    learn = [z, *decoder.parameters()]
    for one, other in zip(*(torch.autograd.grad((weights * n).sum(), learn) for n in (whole, part)), strict=True):
        torch.testing.assert_close(one, other)


def test_a_decoder_without_thoughts_reads_too():
    decoder = autoregressive_with().decoder
    x = texts(decoder)
    prefix = decoder.prefix_states(decoder.inputs(x))
    torch.testing.assert_close(decoder.token_log_prob(x, prefix=prefix), decoder.token_log_prob(x))


@pytest.mark.parametrize("held", [True, False])
def test_what_is_computed_again_is_the_same(held):
    decoder = decoder_with(layers=3)
    x, z = texts(decoder), thoughts(decoder)
    learn = [z, *([] if held else decoder.parameters())]
    results = []
    with frozen(decoder.parameters() if held else []):
        for decoder.recompute in (False, True):
            nats = decoder.token_log_prob(x, z)
            results.append([nats, *torch.autograd.grad(nats.square().sum(), learn)])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_less_is_kept_where_it_is_computed_again():
    kept = {}
    for recompute in (False, True):
        decoder = Decoder(20, width=16, layers=4, heads=2, thoughts=2, window=4, length=64, recompute=recompute)
        sizes = []

        def note(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            decoder.hidden_states(
                decoder.prefix_states(torch.zeros(2, 64, dtype=torch.long)), torch.randn(2, *decoder.z_shape)
            )
        kept[recompute] = sum(sizes)
    assert kept[True] < kept[False] / 3


COMPILED = """
import sys
from functools import partial

import torch
from torch._dynamo.utils import counters
from ltm_pyro.freezing import frozen
from ltm_pyro.models import Decoder

if sys.argv[1] != "inductor":
    torch.compile = partial(torch.compile, backend=sys.argv[1])
torch.manual_seed(0)
decoder = Decoder(20, width=16, layers=1, heads=2, thoughts=2, window=4, length=16).double()
x = torch.randint(20, (3, 16))

def results(x):
    z = torch.ones(len(x), *decoder.z_shape, dtype=torch.float64, requires_grad=True)
    learning = decoder.token_log_prob(x, z)
    found = [learning, torch.autograd.grad(learning.sum(), decoder.embedding.weight)[0]]
    with frozen(decoder.parameters()):
        with torch.no_grad():
            prefix = decoder.prefix_states(decoder.inputs(x))
        held = decoder.token_log_prob(x, z, prefix=prefix)
        return [*found, held, torch.autograd.grad(held.sum(), z)[0]]

batches = [x, x[:2], x.flip(0)]
plain = [results(batch) for batch in batches]
decoder.compile_passes()
graphs = []
for batch, expected in zip(batches, plain):
    for ours, theirs in zip(results(batch), expected):
        torch.testing.assert_close(ours, theirs)
    graphs.append(counters["stats"]["unique_graphs"])
assert graphs[0] > 0
assert graphs[1] == graphs[2], graphs  # one size more, and then no more
"""


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_passes_are_the_same_and_compiled_once(backend):
    """In a process of its own, where no shapes are checked: compilers do not look through such checks.

    Graphs are captured and differentiated alike with both backends; the second also compiles C++.
    """
    done = subprocess.run([sys.executable, "-c", COMPILED, backend], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match="compile='fast': expected one of default, "):
        decoder_with().compile_passes("fast")
