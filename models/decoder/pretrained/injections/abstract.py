"""The base class of injections."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class BodySizes(NamedTuple):
    """Sizes of a pretrained body, and its own states where a text begins, from which injections start.

    Attributes:
        layers: number of layers.
        width: C, channels of a hidden state.
        begin: embedding of the token before a text, shape (C,).
        keys_values: keys and values of as many such tokens as the injection has positions, shape (layers, 2, H, P, E).
        embedding_scale: root mean square of the token embeddings.
    """

    layers: int
    width: int
    begin: Tensor
    keys_values: Tensor
    embedding_scale: float


class Inserted(NamedTuple):
    """All that thoughts add to a pass over N texts.

    Attributes:
        keys_values: keys and values of P positions before the text, (N, H, P, E) each, for every layer.
        soft_tokens: embeddings of P positions before the text, shape (N, P, C).
        shift: added to every token's embedding, shape (N, 1, C).
        thoughts: of each gated adapter, shape (N, K, D).
    """

    keys_values: list[tuple[Tensor, Tensor]] | None = None
    soft_tokens: Tensor | None = None
    shift: Tensor | None = None
    thoughts: tuple[Tensor, ...] | None = None

    def merged(self, other: Inserted) -> Inserted:
        """Both insertions; no field may be set in both."""
        set_there = {name: value for name, value in other._asdict().items() if value is not None}
        return self._replace(**set_there)


class AbstractInjection(nn.Module, ABC):
    """A map from thoughts to what a pass over the text sees of them.

    Attributes:
        places: P, positions that it takes before the text.
        layers: L of the thoughts that it reads; 1 if all layers of the body share them.
    """

    places: int = 0
    layers: int = 1

    @abstractmethod
    def forward(self, z: Tensor | None, rows: int) -> Inserted:
        """Insertion into a pass.

        Args:
            z: thoughts, shape (N, L, K, D); None where K is 0.
            rows: N.
        """


def initial_map(*shape: int) -> nn.Parameter:
    """A random linear map from D channels, shape (..., D, E), of unit gain: of z ~ N(0, I) it makes unit variance."""
    return nn.Parameter(torch.randn(shape) / math.sqrt(shape[-2]))


def root_mean_square(x: Tensor, *dims: int) -> Tensor:
    """Root mean square over dimensions, which are kept; never zero."""
    return x.float().square().mean(dims, keepdim=True).sqrt().clamp_min(1e-6)
