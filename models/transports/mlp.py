"""A transport of residual perceptrons."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import silu

from ltm_pyro.models.transports.abstract import AbstractTransport
from ltm_pyro.models.transports.carry import carry
from ltm_pyro.ranges import bounded, whole


class MLPTransport(AbstractTransport):
    r"""Transport of residual perceptrons over all of z.

    .. math:: h_0 = W z_0, \qquad h_m = h_{m-1} + B_m\,\mathrm{silu}(A_m h_{m-1} + a_m) + b_m, \qquad T(z_0) = h_M

    with h of all L K D numbers. B and b start at zero: where z0 has the decoder's width there is no W, and T is the
    identity at the start, to the bit. Otherwise W is one learned matrix for all vectors, and T starts as this linear
    map, which keeps unit variance. A layer has about 2 x `hidden` x L K D weights.

    Args:
        z_shape: (L, K, C), of z0.
        thought_shape: (L, K, D), of T(z0); `z_shape` if None.
        layers: M.
        hidden: width of each layer's hidden units.

    Raises:
        InputError: if a size is not positive.

    Example:
        >>> import torch
        >>> z = torch.randn(5, 2, 4, 8)
        >>> torch.equal(MLPTransport((2, 4, 8))(z), z), MLPTransport((2, 4, 8), (2, 4, 16))(z).shape
        (True, torch.Size([5, 2, 4, 16]))
    """

    @bounded(layers=whole(1), hidden=whole(1))
    def __init__(
        self,
        z_shape: tuple[int, int, int],
        thought_shape: tuple[int, int, int] | None = None,
        layers: int = 2,
        hidden: int = 256,
    ) -> None:
        super().__init__(z_shape, thought_shape)
        size = self.thought_shape[0] * self.thought_shape[1] * self.thought_shape[2]
        self.carry = carry(self.z_shape[2], self.thought_shape[2])
        self.up = nn.ModuleList(nn.Linear(size, hidden) for _ in range(layers))
        self.down = nn.ModuleList(nn.Linear(hidden, size) for _ in range(layers))
        for parameter in self.down.parameters():
            nn.init.zeros_(parameter)

    def forward(self, z: Tensor) -> Tensor:
        thoughts = z if self.carry is None else self.carry(z)
        h = thoughts.flatten(-3)  # (..., L K D)
        for up, down in zip(self.up, self.down, strict=True):
            h = h + down(silu(up(h)))
        return h.view_as(thoughts)
