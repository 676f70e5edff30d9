"""Blocks whose weights are held: the same numbers as through their modules, and only where modules may be passed by."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from toys import large_weights

from ltm_pyro.freezing import frozen
from ltm_pyro.models import Decoder
from ltm_pyro.models.decoder import block as blocks
from ltm_pyro.models.decoder.held import are_held

SIZES = {
    "a short text": {"width": 16, "heads": 2, "window": 5, "length": 12},
    "blocks": {"width": 16, "heads": 2, "window": 5, "length": 96},
    "a last block that is not full": {"width": 24, "heads": 1, "window": 40, "length": 101},
    "heads of 24 channels": {"width": 48, "heads": 2, "window": 8, "length": 70},
}
CLOSE = {torch.float32: 1e-5, torch.float64: 1e-13}


@pytest.fixture
def modules_called(monkeypatch):
    """Switches the functions of held weights off."""

    def switch():
        monkeypatch.setattr(blocks, "are_held", lambda parts, kinds, h: False)

    return switch


def scored(decoder, x, z, positions=None):
    """Log-probabilities and their gradients by z, from prefix states and without them."""
    results = []
    with frozen(decoder.parameters()):
        for prefix in (None, decoder.prefix_states(decoder.inputs(x))):
            free = z.clone().requires_grad_()
            nats = decoder.token_log_prob(x, free, prefix=prefix, positions=positions)
            weights = torch.linspace(1, 2, nats.shape[-1], dtype=nats.dtype)
            results += [nats.detach(), torch.autograd.grad((nats * weights).sum(), free)[0]]
    return results


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("leading", [(1,), (1, 1), (3, 2)])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_values_and_gradients_are_the_same_to_the_last_digit(sizes, leading, dtype):
    torch.manual_seed(0)
    decoder = Decoder(vocabulary=20, layers=3, thoughts=2, **sizes).to(dtype)
    x = torch.randint(20, (leading[-1], decoder.length))
    z = torch.randn(*leading, *decoder.z_shape, dtype=dtype)
    for positions in (None, torch.arange(0, decoder.length, 3)):
        held = scored(decoder, x, z, positions)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "are_held", lambda parts, kinds, h: False)
            called = scored(decoder, x, z, positions)
        for mine, exact in zip(held, called, strict=True):
            if leading == (3, 2):  # particles share their products: some processors add these up in another order
                torch.testing.assert_close(mine, exact, rtol=CLOSE[dtype], atol=CLOSE[dtype])
            else:
                assert torch.equal(mine, exact)


def test_the_functions_are_taken_where_weights_are_held(monkeypatch):
    def refuse(*inputs):
        raise AssertionError

    decoder = Decoder(vocabulary=20, width=16, layers=2, heads=2, thoughts=2, length=12)
    for name in ("HeldLookBack", "HeldQueries", "HeldThoughts", "HeldAnswer", "HeldFeedForward"):
        with monkeypatch.context() as patch:
            patch.setattr(getattr(blocks, name), "apply", refuse)
            with pytest.raises(AssertionError), frozen(decoder.parameters()):
                scored(decoder, torch.randint(20, (1, 12)), torch.randn(1, *decoder.z_shape))
            decoder.token_log_prob(torch.randint(20, (1, 12)), torch.randn(1, *decoder.z_shape))  # learning weights


def test_token_states_that_learn_get_their_gradient(modules_called):
    block = large_weights(blocks.Block(16, 2, True)).requires_grad_(False)
    decoder = Decoder(vocabulary=20, width=16, layers=1, heads=2, thoughts=2, length=80).double()

    def slopes():
        h = torch.linspace(-1, 1, 2 * 80 * 16, dtype=torch.float64).view(2, 80, 16).sin().requires_grad_()
        z = torch.linspace(-1, 1, 3 * 2 * 2 * 16, dtype=torch.float64).view(3, 2, 2, 16).cos().requires_grad_()
        table = decoder.rotary
        states = block(h, table, decoder.bands, block.thoughts(z, decoder.thought_rotary))
        return torch.autograd.grad(states.square().sum(), (h, z))

    held = slopes()
    modules_called()
    for mine, exact in zip(held, slopes(), strict=True):
        torch.testing.assert_close(mine, exact, atol=1e-9, rtol=1e-9)


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class Another(blocks.FeedForward):
    def forward(self, h):
        return 2 * super().forward(h)


@pytest.mark.parametrize(
    "change",
    [
        lambda block: block.feed_forward.gate.weight.requires_grad_(),
        lambda block: block.feed_forward.register_forward_hook(lambda module, inputs, output: 2 * output),
        lambda block: block.feed_forward.down.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],)),
        lambda block: block.norm_3.register_full_backward_hook(lambda module, inputs, outputs: None),
        lambda block: parametrize.register_parametrization(block.feed_forward.down, "weight", Doubled()),
        lambda block: setattr(block, "feed_forward", Another(16)),
        lambda block: block.feed_forward.up.bfloat16(),
        lambda block: setattr(block.feed_forward, "up", nn.Linear(16, 64).requires_grad_(False)),
        lambda block: setattr(block.feed_forward, "forward", lambda h: h),
    ],
    ids=[
        "learns",
        "hook",
        "pre-hook",
        "backward hook",
        "parametrised",
        "another class",
        "another precision",
        "a bias",
        "another forward",
    ],
)
def test_modules_that_say_more_than_their_weights_are_called(change):
    block, h = blocks.Block(16, 2, True).requires_grad_(False), torch.randn(1, 4, 16)

    def held():
        forward = block.feed_forward
        return are_held((block.norm_3, forward, *forward.children()), blocks.KINDS, h)

    assert held()
    change(block)
    assert not held()


def test_autocast_another_precision_and_global_hooks_call_the_modules():
    block, h = blocks.Block(16, 2, True).requires_grad_(False), torch.randn(1, 4, 16)
    parts = (block.norm_1, *block.self_attention.children())
    assert are_held(parts, blocks.KINDS, h)
    assert not are_held(parts, blocks.KINDS, h.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert not are_held(parts, blocks.KINDS, h)
    hook = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None)
    try:
        assert not are_held(parts, blocks.KINDS, h)
    finally:
        hook.remove()
    block.requires_grad_()
    with torch.no_grad():
        assert are_held(parts, blocks.KINDS, h)


class Silent(nn.Module):
    """Attention to thoughts of a user's own, without weights."""

    def queries(self, h, table):
        return h

    def keys_values(self, z, table):
        return z, z

    def forward(self, queries, thoughts):
        return torch.zeros_like(queries)


def test_attention_of_one_s_own_needs_no_maps_of_ours():
    decoder = Decoder(vocabulary=20, width=16, layers=1, heads=2, thoughts=2, length=12).requires_grad_(False)
    decoder.blocks[0].cross_attention = Silent()
    x = torch.randint(20, (1, 12))
    nats = [decoder.token_log_prob(x, torch.randn(1, *decoder.z_shape)) for _ in range(2)]
    assert torch.equal(*nats)
