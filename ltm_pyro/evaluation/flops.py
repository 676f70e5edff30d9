"""Floating-point operations of learning, counted from the sizes of a decoder and its loops.

A multiply-add counts as two. Only products of matrices are counted: norms, softmaxes and optimizers are a few percent
of the time, and none of these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ltm_pyro.models import Decoder
from ltm_pyro.models.decoder.banded import block_size


def paper_flops_per_token(decoder: Decoder, fast_steps: int) -> float:
    r"""Training FLOPs for each token as Kong et al. (2025, arXiv 2502.01567, table 1) count them.

    .. math:: (T_{fast} + 1)\,(6 N + 6\, L\, D\, T)

    with N all parameters, the embedding once: forward, backward and weight gradients in every pass, and causal
    attention over the whole text, T / 2 keys for each query, whatever the window. It gives the paper's 4.07, 5.52 and
    32.2 G for its three models. An autoregressive model has no fast steps.

    Args:
        decoder: of the model; on any device, `meta` too.
        fast_steps: T_fast.
    """
    parameters = sum(parameter.numel() for parameter in decoder.parameters())
    layers, width = len(decoder.blocks), decoder.embedding.embedding_dim
    return (fast_steps + 1) * (6.0 * parameters + 6.0 * layers * width * decoder.length)


@dataclass(frozen=True)
class PassFlops:
    """What the parts of one forward pass over a text take, in FLOPs.

    Attributes:
        reading: what no thought touches, up to the first cross-attention's queries.
        first: the rest of the first layer but the attention on thoughts itself, once a particle.
        later: the other layers, with their attention on the text, once a particle.
        attending: attention on thoughts, their keys and values included, in all layers, once a particle.
        logits: the product with the embedding, once a particle.
        attention: of this, the scores and sums over keys of the text in `reading`, and in `later`: their backward pass
            takes two and a half times as long as their forward pass, where products with weights take one for the
            inputs and one for the weights.
        last: of `first` or `later`, what the last layer does behind its queries.
    """

    reading: float
    first: float
    later: float
    attending: float
    logits: float
    attention: tuple[float, float]
    last: float


def pass_flops(decoder: Decoder, length: int | None = None, both_ways: bool = False) -> PassFlops:
    """Count one forward pass over one text.

    Args:
        decoder: of the model.
        length: T; the decoder's if None.
        both_ways: whether every token sees every other one, and one before the text, as in masked diffusion.
    """
    first = decoder.blocks[0]
    text = length or decoder.length
    read = text + 1 if both_ways else text
    layers, width, thoughts = len(decoder.blocks), decoder.embedding.embedding_dim, decoder.z_shape[1]
    square, inner = 2.0 * width * width, 6.0 * width * first.feed_forward.gate.out_features
    seen = 4.0 * width * (read * read if both_ways else _scored_pairs(text, decoder.window))
    query = read * square if thoughts else 0.0
    behind = read * (inner + (square if thoughts else 0.0))  # the output of the cross-attention, the feed-forward
    return PassFlops(
        reading=4 * read * square + seen + query,
        first=behind,
        later=(layers - 1) * (4 * read * square + seen + query + behind),
        attending=layers * thoughts * (2 * square + 4.0 * width * text),
        logits=2.0 * text * width * decoder.vocabulary,
        attention=(seen, (layers - 1) * seen),
        last=behind,
    )


def _scored_pairs(length: int, window: int) -> int:
    """Pairs of a query and a key that attention computes: all of them in a short text, else blocks of 2C keys."""
    size = block_size(window)
    return length * length if length <= 2 * size else math.ceil(length / size) * size * 2 * size


def spent_flops_per_token(
    decoder: Decoder,
    fast_steps: int,
    fast_particles: int = 1,
    slow_particles: int = 1,
    share: float = 1.0,
    along: bool = False,
) -> float:
    r"""Training FLOPs for each token that this library's loops really spend.

    The fast loop holds the weights and computes no gradient of theirs, reads what comes before the first
    cross-attention once a batch, and takes a pass and the gradient of z from the rest. The slow step pays for all.

    Args:
        decoder: of the model, with thoughts or without.
        fast_steps: T_fast; 0 for a model without thoughts.
        fast_particles, slow_particles: S of the two bounds.
        share: of the tokens that a fast step scores.
        along: whether the weights learn along the fast loop: then every pass pays for all.
    """
    parts = pass_flops(decoder)
    whole = learned_pass_flops(parts, fast_particles)
    scored = 1.0 if share >= 1 else math.ceil(share * decoder.length) / decoder.length
    unscored = (1 - scored) * (parts.last + parts.logits)
    thinking = parts.first + parts.later + parts.attending + parts.logits - unscored
    held = fast_particles * (2 * thinking + 0.5 * parts.attention[1])
    fast = fast_steps * (whole if along else held) + (parts.reading if fast_steps and not along else 0.0)
    return (fast + learned_pass_flops(parts, slow_particles)) / decoder.length


def learned_pass_flops(parts: PassFlops, particles: int = 1) -> float:
    """A pass, its inputs' gradients and its weights', with S particles of z over one reading."""
    thinking = parts.first + parts.later + parts.attending + parts.logits
    return 3 * (parts.reading + particles * thinking) + 0.5 * (parts.attention[0] + particles * parts.attention[1])


def diffusion_flops_per_token(decoder: Decoder, normalised: bool = True) -> float:
    """Training FLOPs for each token of masked diffusion over the blocks of a decoder.

    A text of n tokens has (n + 1) / 2 of them masked on average, and only these are multiplied by the vocabulary;
    without `normalised` they are twice, for the sum of the intensities.
    """
    parts = pass_flops(decoder, both_ways=True)
    length = decoder.length
    masked = (length + 1) / (2 * length) * parts.logits * (1 if normalised else 2)
    states = parts.reading + parts.first + parts.later
    return (3 * (states + masked) + 0.5 * sum(parts.attention)) / length


def on_meta(**sizes: Any) -> Decoder:
    """A decoder of some sizes that takes no memory, to be counted."""
    with torch.device("meta"):
        return Decoder(**sizes)
