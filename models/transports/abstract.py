"""The base class of transports of the prior."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.instances import checked_shape
from ltm_pyro.recorded import Recorded


class AbstractTransport(Recorded, nn.Module, ABC):
    r"""Transport T of the prior: from the value z0 of the site `z` to the thoughts T(z0) that the decoder reads.

    .. math:: p_\theta(x, z_0) = p(z_0)\,p_\theta(x \mid T_\theta(z_0))

    T is a part of the likelihood, so that p(z0) and q(z0 | x) stay what they are without it: a KL between them in
    closed form stays in closed form, every bound stays a bound on the same log p(x), and natural gradients of q stay
    natural gradients. T need not be invertible, and no Jacobian occurs anywhere: the density of T(z0) itself is never
    needed.

    A transport is deterministic, and maps every z0 by itself, without its batch mates; `check_transport` of
    `ltm_pyro.testing` tests this. Its parameters are global ones, part of θ.

    Args:
        z_shape: (L, K, C) of z0, the prior's; C is the decoder's width where the prior is discrete, since the model's
            codebook then maps codes to vectors first.
        thought_shape: (L, K, D), the decoder's `z_shape`; `z_shape` if None.

    Raises:
        InputError: if the two differ in L or K.
    """

    def __init__(self, z_shape: tuple[int, int, int], thought_shape: tuple[int, int, int] | None = None) -> None:
        super().__init__()
        self.z_shape = checked_shape(z_shape)
        self.thought_shape = self.z_shape if thought_shape is None else checked_shape(thought_shape)
        if self.z_shape[:2] != self.thought_shape[:2]:
            raise InputError(
                f"a transport from z_shape {self.z_shape} to thought_shape {self.thought_shape}: expected two shapes "
                "(L, K, width) that differ in their width alone"
            )

    @abstractmethod
    def forward(self, z: Tensor) -> Tensor:
        """Thoughts T(z0), (..., *thought_shape), from z0, (..., *z_shape), with any leading dimensions."""

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, thought_shape={self.thought_shape}"
