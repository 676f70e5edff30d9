"""Thoughts added to every token's embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltm_pyro.models.decoder.pretrained.injections.abstract import AbstractInjection, BodySizes, Inserted, initial_map


class EmbeddingInjection(AbstractInjection):
    r"""One vector for each text, added to the embedding of every token: a linear map of all its thoughts.

    .. math:: e_t \leftarrow e_t + s (b + \alpha W [z_1; \dots; z_K])

    The embedding scheme of Optimus (Li et al., 2020, arXiv 2004.04092, section 3.1). The bias starts at zero.

    Args:
        sizes: of the body.
        thoughts: K.
        width: D.
        scale: the factor α on z.
    """

    spread: Tensor

    def __init__(self, sizes: BodySizes, thoughts: int, width: int, scale: float) -> None:
        super().__init__()
        self.alpha = scale
        self.register_buffer("spread", torch.tensor(sizes.embedding_scale))
        self.bias = nn.Parameter(torch.zeros(sizes.width))
        self.map = initial_map(thoughts * width, sizes.width) if thoughts else None

    def forward(self, z: Tensor | None, rows: int) -> Inserted:
        units = self.bias.expand(rows, 1, -1)
        if z is not None and self.map is not None:
            units = units + z.flatten(1)[:, None] @ self.map.to(z.dtype) * self.alpha
        return Inserted(shift=units * self.spread)
