"""Floating-point operations of training: by the paper's formula, and as torch counts them while the loops run.

A multiply-add counts as two. Only matrix products are counted: norms, softmaxes and optimizers, a few percent of the
time, are left out.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import chain
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ltm_pyro.inference import DualRateSVI, FastLoop, SlowStep
from ltm_pyro.models import AbstractDecoder, AbstractModel, Decoder, MaskedDiffusionModel
from ltm_pyro.pretrained import frozen_weights

ATEN = torch.ops.aten
TEXTS = 2  # texts of the count; masked diffusion takes more, since its masked share is random
TEXTS_OF_DIFFUSION = 32


def paper_flops_per_token(decoder: AbstractDecoder, fast_steps: int) -> float:
    r"""Training FLOPs for each token as Kong et al. (2025, arXiv 2502.01567, table 1) count them.

    .. math:: (T_{fast} + 1)\,(6 N + 6\, L\, D\, T)

    with N all weights, frozen ones too, the embedding once, L and D those of the thoughts: forward, backward and weight
    gradients in every pass, and causal attention over the whole text, T / 2 keys for each query, whatever the window.
    The formula gives the paper's 4.07, 5.52 and 32.2 G for its three models. An autoregressive model has no fast steps.
    The weights are those of the decoder alone, without prior, transport and guide.

    Args:
        decoder: the model's decoder, on any device, `meta` included.
        fast_steps: T_fast.
    """
    parameters = sum(weight.numel() for weight in chain(decoder.parameters(), frozen_weights(decoder)))
    layers, _, width = decoder.z_shape
    return (fast_steps + 1) * (6.0 * parameters + 6.0 * layers * width * decoder.length)


def spent_flops_per_token(model: AbstractModel, guide: Any, fast: FastLoop, slow: SlowStep) -> float:
    """Training FLOPs per token of this library's loops, counted while they run.

    Copies of model and guide take two training steps on random texts of full length, one with a single fast step and
    one with two, under torch's FLOP counter; the difference stands for every further fast step. The count covers model,
    prior, transport, guide and bounds, an encoder's passes included. The padding of texts shorter than the decoder's
    length costs as much as tokens do, but does not count as tokens.

    Args:
        model, guide: initialised, or trained; they are copied to the CPU.
        fast, slow: the loops of training.
    """
    if fast.steps < 2:
        return _counted(model, guide, fast, slow)
    single, double = (_counted(model, guide, fast.lasting(steps), slow) for steps in (1, 2))
    return single + (fast.steps - 1) * (double - single)


def fast_steps(model: AbstractModel, guide: Any, fast: FastLoop) -> int:
    """T_fast; 0 for a guide without local parameters."""
    if model.prior is None:
        return 0
    started = deepcopy(guide)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        started.start(torch.zeros(1, 2, dtype=torch.long))
    return fast.steps if started.local_parameters() else 0


def _counted(model: AbstractModel, guide: Any, fast: FastLoop, slow: SlowStep) -> float:
    """FLOPs per token that torch counts in one training step."""
    model, guide = deepcopy(model).cpu().train(), deepcopy(guide).cpu().train()
    svi = DualRateSVI(model, guide, fast, deepcopy(slow))
    texts = TEXTS_OF_DIFFUSION if isinstance(model, MaskedDiffusionModel) else TEXTS
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        x = torch.randint(model.decoder.vocabulary, (texts, model.decoder.length))
        with FlopCounterMode(display=False, custom_mapping=UNKNOWN) as counter:
            svi.step(x)
    return counter.get_total_flops() / x.numel()


def _product(rows: Any, columns: Any) -> int:
    return 2 * rows[-1] * columns[-1] * torch.Size(rows[:-1]).numel()


def _attention(products: int) -> Any:
    """Counting function of an attention with the given number of products of queries and keys."""

    def count(query: Any, key: Any, *_: Any, **__: Any) -> int:
        batch, heads, queries, channels = query
        return products * 2 * batch * heads * queries * key[-2] * channels

    return count


# CPU operations unknown to torch's counter. Attention: 2 products (scores, weighted sums), 5 in the backward pass.
UNKNOWN = {
    ATEN.addmm_: lambda _, rows, columns, **__: _product(rows, columns),
    ATEN._scaled_dot_product_flash_attention_for_cpu: _attention(2),
    ATEN._scaled_dot_product_flash_attention_for_cpu_backward: lambda _, query, key, *__, **___: _attention(5)(
        query, key
    ),
}


def on_meta(**sizes: Any) -> Decoder:
    """Decoder on the meta device, which takes no memory, for counts of FLOPs."""
    with torch.device("meta"):
        return Decoder(**sizes)
