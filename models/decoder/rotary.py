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

    Args:
        x: queries or keys, shape (..., T, channels).
        table: the positions' `rotary_table`, shape (T, channels / 2, 2).
    """
    exact = x if x.dtype == torch.float64 else x.float()  # no complex numbers of lower precision
    turn = _turn_by_parts if torch.compiler.is_compiling() else _turn
    return turn(exact.unflatten(-1, (-1, 2)), table.to(exact.dtype)).flatten(-2).to(x.dtype)


def _turn(pairs: Tensor, table: Tensor) -> Tensor:
    """A pair is a complex number and the turn a product: one pass over memory."""
    return torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(table))


def _turn_by_parts(pairs: Tensor, table: Tensor) -> Tensor:
    """The same in real numbers, of which compilers make one pass too; they know no complex ones."""
    (x, y), (cosine, sine) = pairs.unbind(-1), table.unbind(-1)
    return torch.stack((x * cosine - y * sine, x * sine + y * cosine), -1)
