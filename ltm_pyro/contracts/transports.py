"""Quick checks of a transport."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ltm_pyro.contracts.broken import a, asking, require

TEXTS, PARTICLES = 3, 2
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # sums of other sizes have other rounding errors


def check_thoughts(transport: Any, seed: int = 0) -> None:
    """Assert that T(z0) has its shape, with particles too, is finite, has a gradient, and depends on its own z0 alone.

    Args:
        transport: in the mode in which it is used.
        seed: of the values.
    """
    draw = torch.Generator().manual_seed(seed)
    weight = next(transport.parameters(), torch.zeros(()))
    shape = (PARTICLES, TEXTS, *transport.z_shape)
    z = torch.randn(shape, generator=draw).to(weight.device, weight.dtype).requires_grad_()
    with asking("forward()"):
        thoughts = transport(z)
    expected = (PARTICLES, TEXTS, *transport.thought_shape)
    require(
        isinstance(thoughts, Tensor) and tuple(thoughts.shape) == expected,
        f"forward() of z {shape} returns {a(thoughts)}, expected {expected}: let z have any leading dimensions",
    )
    require(bool(thoughts.isfinite().all()), "the thoughts contain NaN or infinity")
    require(thoughts.requires_grad, "the thoughts have no gradient by z: the fast loop could not fit q to a text")
    with asking("forward()"), torch.no_grad():
        again = transport(z)
        alone = torch.cat([transport(one[None, None]) for one in z.flatten(0, 1)]).view(expected)
    require(_alike(again, thoughts), "two calls with one z give other thoughts: p(x | z) must be one density, no draw")
    require(
        _alike(alone, thoughts),
        "a text's thoughts change with its batch mates or other particles: map every z by itself",
    )


def _alike(first: Tensor, second: Tensor) -> bool:
    return torch.allclose(first, second, rtol=RELATIVE, atol=ABSOLUTE)
