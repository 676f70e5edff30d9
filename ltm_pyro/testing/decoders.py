"""A check of the contract of a decoder."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.contracts import check_causality, check_features
from ltm_pyro.contracts.decoders import drawn

TOLERANCE = 1e-8  # of float64


def check_decoder(decoder: Any, seed: int = 0) -> None:
    """Assert that a decoder keeps its contract, in float64.

    Hidden states and logits have their shapes, with particles of z too; no state depends on later tokens or on batch
    mates; `token_log_prob` is the log-softmax of the logits, at selected positions too; and decoding with a cache gives
    the logits of a single pass, also after a rewind.

    Args:
        decoder: of any size; the check uses a copy in evaluation mode.
        seed: of the texts and thoughts.

    Raises:
        AssertionError: if one of these does not hold.
    """
    decoder = deepcopy(decoder).double().eval()
    check_features(decoder, seed)
    check_causality(decoder, seed)
    with torch.no_grad():
        _scores(decoder, seed)
        _writes(decoder, seed)


def _scores(decoder: Any, seed: int) -> None:
    x, z = drawn(decoder, seed)
    logits = decoder.logits(decoder.inputs(x), z)
    expected = logits.log_softmax(-1).gather(-1, x[..., None]).squeeze(-1)
    nats = decoder.token_log_prob(x, z)
    assert _alike(nats, expected), "token_log_prob is not the log-softmax of its logits"
    prefix, positions = decoder.prefix_states(decoder.inputs(x)), torch.arange(0, x.shape[1], 2, device=x.device)
    chosen = decoder.token_log_prob(x, z, prefix=prefix, positions=positions)
    assert _alike(chosen, expected[:, positions]), "token_log_prob at positions differs from that at all positions"


def _writes(decoder: Any, seed: int) -> None:
    tokens, z = drawn(decoder, seed)
    expected, half = decoder.logits(tokens, z), max(1, decoder.length // 2)
    logits, cache = decoder.prefill(tokens[:, :half], z, ahead=1)
    steps = [logits]
    for position in range(half, decoder.length):
        steps.append(decoder.decode_step(tokens[:, position], cache))
    assert _alike(torch.stack(steps, 1), expected[:, half - 1 :]), (
        "decode_step gives other logits, step after step, than one pass over the text"
    )
    assert cache.position == decoder.length, f"the cache is at position {cache.position}, not {decoder.length}"
    cache.rewind(torch.full((len(tokens),), decoder.length - 1, device=tokens.device))
    again = decoder.decode_steps(tokens[:, -1:], cache)
    assert _alike(again, expected[:, -1:]), "after a rewind, decode_steps gives other logits for the same token"


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE)
