r"""Rotary position embedding: a position is a rotation of neighbouring channels.

.. math:: (x_{2i}, x_{2i+1}) \mapsto R(t\,\theta^{-2i/d})\,(x_{2i}, x_{2i+1})

(Su et al., 2021, arXiv 2104.09864, equation 15.) Pairs are neighbouring channels, as in the paper's code.
"""

from __future__ import annotations

import torch
from torch import Tensor


def rotary_table(positions: Tensor, channels: int, theta: float = 10_000.0) -> Tensor:
    """The cosines and sines of every position and channel pair.

    Args:
        positions: integer positions, shape (T,).
        channels: channels of one attention head, even.
        theta: base of the wavelengths.

    Returns:
        Shape (T, channels / 2, 2): cosine and sine, in float32.
    """
    frequencies = theta ** (-torch.arange(0, channels, 2, device=positions.device).float() / channels)
    angles = torch.outer(positions.float(), frequencies)
    return torch.stack((angles.cos(), angles.sin()), -1)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn each neighbouring pair of channels by its position's angle.

    A pair is a complex number and the turn a product: one pass over memory, several times faster than
    to pick even and odd channels apart.

    Args:
        x: queries or keys, shape (..., T, channels).
        table: the positions' `rotary_table`, shape (T, channels / 2, 2).
    """
    exact = x if x.dtype == torch.float64 else x.float()  # no complex numbers of lower precision
    pairs = torch.view_as_complex(exact.unflatten(-1, (-1, 2)))
    turned = pairs * torch.view_as_complex(table.to(exact.dtype))
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)
