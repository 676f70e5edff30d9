"""Attention in blocks is attention under the dense mask."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from ltm_pyro.models import Decoder
from ltm_pyro.models.decoder.attention import window_mask
from ltm_pyro.models.decoder.banded import band_masks, banded_attention, block_size
from ltm_pyro.models.decoder.flexible import FlexibleWindow, flexible_window


@pytest.mark.parametrize("window", [1, 5, 32, 33, 50])
@pytest.mark.parametrize("length", [1, 32, 65, 128, 201])
def test_blocks_equal_the_dense_mask(length, window):
    q, k, v = torch.randn(3, 2, 3, length, 4, dtype=torch.float64, requires_grad=True).unbind(0)
    dense = scaled_dot_product_attention(q, k, v, attn_mask=window_mask(length, window))
    banded = banded_attention(q, k, v, band_masks(300, window))
    torch.testing.assert_close(banded, dense, atol=1e-12, rtol=0)
    weights = torch.randn_like(dense)
    for ours, theirs in zip(
        *(torch.autograd.grad((o * weights).sum(), (q, k, v)) for o in (banded, dense)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("window", [5, 50])
def test_the_flexible_window_equals_the_dense_mask(window):
    q, k, v = torch.randn(3, 2, 3, 201, 16, dtype=torch.float64).unbind(0)
    dense = scaled_dot_product_attention(q, k, v, attn_mask=window_mask(201, window))
    torch.testing.assert_close(FlexibleWindow(201, window, "cpu")(q, k, v), dense, atol=1e-12, rtol=0)


def test_the_flexible_window_is_for_cuda_and_its_heads():
    assert flexible_window(64, 8, 32, torch.device("cpu")) is None


@pytest.mark.cuda
def test_compiled_passes_on_cuda_take_the_flexible_window():
    torch.manual_seed(0)
    decoder = Decoder(vocabulary=20, width=32, layers=2, heads=2, thoughts=2, window=7, length=256).cuda()
    x = torch.randint(20, (2, 256), device="cuda")
    z = torch.randn(2, *decoder.z_shape, device="cuda", requires_grad=True)

    def results():
        nats = decoder.token_log_prob(x, z)
        return nats, torch.autograd.grad(nats.sum(), z)[0]

    plain = results()
    decoder.compile_passes()
    assert decoder.flexible is not None
    for ours, expected in zip(results(), plain, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-3, rtol=1e-3)


def test_a_long_text_is_scored_as_its_cache_writes_it():
    decoder = Decoder(vocabulary=11, width=16, layers=2, heads=2, thoughts=2, window=7, length=150).double()
    x, z = torch.randint(11, (2, 150)), torch.randn(2, *decoder.z_shape, dtype=torch.float64)
    assert x.shape[1] > 2 * block_size(decoder.window)
    logits, cache = decoder.prefill(x[:, :1], z)
    written = [logits, *(decoder.decode_step(token, cache) for token in x[:, 1:].unbind(1))]
    torch.testing.assert_close(decoder.logits(x, z), torch.stack(written, 1), atol=1e-10, rtol=0)
