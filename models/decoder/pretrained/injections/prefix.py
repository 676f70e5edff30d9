"""Thoughts as keys and values of positions before the text, in every layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltm_pyro.models.decoder.pretrained.injections.abstract import (
    AbstractInjection,
    BodySizes,
    Inserted,
    initial_map,
    root_mean_square,
)


class PrefixInjection(AbstractInjection):
    r"""Keys and values of K positions before the text: a learned bias plus a learned linear map of the thought.

    .. math:: (k_{lk}, v_{lk}) = s_l \odot (b_{lk} + \alpha W_l z_k)

    Prefix tuning (Li and Liang, 2021, arXiv 2101.00190) whose prefix depends on z: the memory of Optimus (Li et al.,
    2020, arXiv 2004.04092, section 3.1) and of LlaMaVAE (Zhang et al., 2023, arXiv 2312.13208). The bias starts at the
    body's own keys and values of as many begin tokens, the scale s_l is their root mean square, so that parameters of
    all layers are of the order of 1.

    Args:
        sizes: of the body.
        thoughts: K.
        width: D.
        constant: further positions, before those of the thoughts, which do not depend on z.
        scale: the factor α on z.
        per_layer: True if each layer reads thoughts of its own, z of shape (layers, K, D).
    """

    spread: Tensor

    def __init__(
        self, sizes: BodySizes, thoughts: int, width: int, constant: int, scale: float, per_layer: bool
    ) -> None:
        super().__init__()
        own = sizes.keys_values.float()  # (layers, 2, H, P, E)
        self.places, self.layers, self.alpha = own.shape[3], sizes.layers if per_layer else 1, scale
        self.shape = (sizes.layers, 2, own.shape[2], self.places, own.shape[4])
        spread = root_mean_square(own, 2, 3, 4)
        self.register_buffer("spread", spread)
        self.bias = nn.Parameter((own / spread).flatten())  # one dimension: weight decay leaves it alone
        self.map = initial_map(sizes.layers, width, 2 * own.shape[2] * own.shape[4]) if thoughts else None

    def forward(self, z: Tensor | None, rows: int) -> Inserted:
        layers, _, heads, _, channels = self.shape
        units = self.bias.view(self.shape)[:, :, None].expand(-1, -1, rows, -1, -1, -1)  # (layers, 2, N, H, P, E)
        if z is not None and self.map is not None:
            read = z.transpose(0, 1).flatten(1, 2) @ self.map.to(z.dtype)  # (layers, N K, 2 H E)
            moved = read.view(layers, rows, -1, 2, heads, channels).permute(0, 3, 1, 4, 2, 5) * self.alpha
            constant = self.places - moved.shape[4]
            units = (
                torch.cat((units[..., :constant, :], units[..., constant:, :] + moved), -2)
                if constant
                else (units + moved)
            )
        both = units * self.spread[:, :, None]
        return Inserted(keys_values=[(layer[0], layer[1]) for layer in both.unbind()])
