"""Quick checks of a decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ltm_pyro.contracts.broken import a, asking, require

TEXTS, PARTICLES = 3, 2
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # sums of other sizes have other rounding errors


def check_features(decoder: Any, seed: int = 0) -> None:
    """Assert that hidden states and logits have their shapes, with particles of z too, and are finite.

    Args:
        decoder: in evaluation mode.
        seed: of the texts and thoughts.
    """
    tokens, z = drawn(decoder, seed)
    h = _features(decoder, tokens, z)
    shape = tuple(tokens.shape)
    require(isinstance(h, Tensor), f"features() returns {a(h)}: return the last hidden states, (B, T, C)")
    require(
        h.dim() == 3 and tuple(h.shape[:2]) == shape,
        f"features() of tokens {shape} returns {a(h)}, expected (B, T, C) = {(*shape, 'C')}",
    )
    with asking("unembed()"), torch.no_grad():
        logits = decoder.unembed(h)
    expected = (*shape, decoder.vocabulary)
    require(isinstance(logits, Tensor), f"unembed() returns {a(logits)}: return logits, (..., V)")
    require(tuple(logits.shape) == expected, f"unembed() returns {a(logits)}, expected {expected}, (B, T, V)")
    require(not bool(logits.log_softmax(-1).isnan().any()), "the log-softmax of the logits contains NaN")
    if z is not None:
        _check_particles(decoder, tokens, z)


def check_causality(decoder: Any, seed: int = 0) -> None:
    """Assert that no state changes with the tokens that follow, nor with those of another sequence.

    Args:
        decoder: in evaluation mode; it has passed `check_features`.
        seed: of the texts and thoughts.
    """
    tokens, z = drawn(decoder, seed)
    before, half = _features(decoder, tokens, z), max(1, tokens.shape[1] // 2)
    later, mates = tokens.clone(), tokens.clone()
    later[:, half:] = (later[:, half:] + 1) % decoder.vocabulary
    mates[1:] = (mates[1:] + 1) % decoder.vocabulary
    require(
        _alike(_features(decoder, later, z)[:, :half], before[:, :half]),
        "a token's hidden state changes with the tokens that follow it: features() must look back only",
    )
    require(
        _alike(_features(decoder, mates, z)[:1], before[:1]),
        "a sequence's hidden states change with its batch mates: never mix sequences",
    )
    require(
        _alike(_features(decoder, tokens[:, :half], z), before[:, :half]),
        "a token's hidden state changes with the number of tokens read: features() must look back only",
    )


def drawn(decoder: Any, seed: int) -> tuple[Tensor, Tensor | None]:
    """Random texts of full length, and random thoughts of the decoder's dtype, on its device."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(decoder.vocabulary, (TEXTS, decoder.length), generator=draw).to(decoder.device)
    dtype = next((weight.dtype for weight in decoder.parameters()), torch.get_default_dtype())
    z = torch.randn(TEXTS, *decoder.z_shape, generator=draw).to(decoder.device, dtype)
    return tokens, z if decoder.z_shape[1] else None


def _check_particles(decoder: Any, tokens: Tensor, z: Tensor) -> None:
    particles = torch.stack((z, z.flip(0)))
    together = _features(decoder, tokens, particles)
    alone = torch.stack([_features(decoder, tokens, particle) for particle in particles])
    if together.dim() == 3:  # z has no effect, so that all particles have the same state
        together = together.expand(PARTICLES, *together.shape)
    require(
        together.shape == alone.shape and _alike(together, alone),
        f"{PARTICLES} particles of z, shape {tuple(particles.shape)}, give {a(together)}, unlike each particle "
        "alone: let z have leading dimensions before those of the tokens, (S, B, L, K, D)",
    )


def _features(decoder: Any, tokens: Tensor, z: Tensor | None) -> Any:
    with asking("features()"), torch.no_grad():
        return decoder.features(tokens, z)


def _alike(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE)
