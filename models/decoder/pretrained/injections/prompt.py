"""Thoughts as soft tokens before the text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltm_pyro.models.decoder.pretrained.injections.abstract import AbstractInjection, BodySizes, Inserted, initial_map


class PromptInjection(AbstractInjection):
    r"""Embeddings of K soft tokens before the text: a learned bias plus a learned linear map of the thought.

    .. math:: e_k = s (b_k + \alpha W z_k)

    Prompt tuning (Lester et al., 2021, arXiv 2104.08691) whose prompt depends on z. The bias starts at the embedding of
    the begin token: at zero, the first layer's normalisation would have a slope of ε^-½, and gradients would overflow.

    Args:
        sizes: of the body.
        thoughts: K.
        width: D.
        constant: further soft tokens, before those of the thoughts, which do not depend on z.
        scale: the factor α on z.
    """

    spread: Tensor

    def __init__(self, sizes: BodySizes, thoughts: int, width: int, constant: int, scale: float) -> None:
        super().__init__()
        self.places, self.width, self.alpha = constant + thoughts, sizes.width, scale
        self.register_buffer("spread", torch.tensor(sizes.embedding_scale))
        self.bias = nn.Parameter((sizes.begin.float() / sizes.embedding_scale).repeat(self.places))
        self.map = initial_map(width, sizes.width) if thoughts else None

    def forward(self, z: Tensor | None, rows: int) -> Inserted:
        units = self.bias.view(self.places, self.width).expand(rows, -1, -1)  # (N, P, C)
        if z is not None and self.map is not None:
            moved = z[:, 0] @ self.map.to(z.dtype) * self.alpha  # (N, K, C)
            constant = self.places - moved.shape[1]
            units = torch.cat((units[:, :constant], units[:, constant:] + moved), 1)
        return Inserted(soft_tokens=units * self.spread)
