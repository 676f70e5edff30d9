"""A transport by a Transformer over the thought vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.block import Block
from ltm_pyro.models.decoder.rotary import rotary_table
from ltm_pyro.models.transports.abstract import AbstractTransport
from ltm_pyro.models.transports.carry import carry
from ltm_pyro.ranges import bounded, whole


class TransformerTransport(AbstractTransport):
    r"""Transport by a Transformer over the L K vectors of z0, with full attention between them.

    .. math:: h_0 = W z_0 + e, \qquad
              h_m = h'_m + \mathrm{SwiGLU}(\mathrm{norm}(h'_m)), \quad
              h'_m = h_{m-1} + \mathrm{attention}(\mathrm{norm}(h_{m-1})), \qquad T(z_0) = h_M

    with e an embedding of each vector's position. e and the last matrix of every attention and of every SwiGLU start at
    zero: where z0 has the decoder's width there is no W, and T is the identity at the start, to the bit. Otherwise W is
    one learned matrix for all vectors, and T starts as this linear map, which keeps unit variance.

    (A learned transport from Gaussian noise to the latent vectors of a text, Kong et al., 2026, arXiv 2602.06584; of a
    trajectory, by a U-Net, Kong et al., 2024, arXiv 2402.04647.)

    Args:
        z_shape: (L, K, C), of z0.
        thought_shape: (L, K, D), of T(z0); `z_shape` if None. D is a multiple of 2 x `heads`.
        layers: M.
        heads: of the attention.
        inner: inner width of each SwiGLU; 8D/3, rounded up to a multiple of 32, if None.

    Raises:
        InputError: if a size is not positive, or D does not fit the heads.

    Example:
        >>> z = torch.randn(5, 2, 4, 8)
        >>> torch.equal(TransformerTransport((2, 4, 8))(z), z), TransformerTransport((2, 4, 8), (2, 4, 16))(z).shape
        (True, torch.Size([5, 2, 4, 16]))
    """

    rotary: Tensor

    @bounded(layers=whole(1), heads=whole(1), inner=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        thought_shape: tuple[int, int, int] | None = None,
        layers: int = 2,
        heads: int = 4,
        inner: int | None = None,
    ) -> None:
        super().__init__(z_shape, thought_shape)
        vectors, width = self.thought_shape[0] * self.thought_shape[1], self.thought_shape[2]
        if heads < 1 or width % (2 * heads):
            raise InputError(
                f"heads={heads}: expected a number of heads such that the thoughts' width {width} is a multiple of "
                "2 x heads"
            )
        self.carry = carry(self.z_shape[2], width)
        self.place = nn.Parameter(torch.zeros(vectors, width))
        blocks = [Block(width, heads, thinks=False, inner=inner) for _ in range(layers)]
        for block in blocks:
            nn.init.zeros_(block.self_attention.output.weight)
            nn.init.zeros_(block.feed_forward.down.weight)
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("rotary", rotary_table(torch.arange(vectors), width // heads), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        thoughts = z if self.carry is None else self.carry(z)
        h = thoughts.flatten(-3, -2) + self.place  # (..., L K, D)
        for block in self.blocks:
            h = block(h, self.rotary, None)
        return h.view_as(thoughts)
