"""A normalizing-flow prior of affine coupling layers."""

from __future__ import annotations

from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.flow import Flow
from ltm_pyro.optional import import_zuko
from ltm_pyro.ranges import bounded, whole


class CouplingFlowPrior(AbstractPrior):
    r"""Normalizing flow of affine coupling layers (RealNVP).

    .. math:: p(z) = \mathcal{N}(f(z); 0, I) \left|\det \frac{\partial f}{\partial z}\right|, \qquad
              f = f_M \circ \dots \circ f_1, \qquad f_m(z)_b = e^{s_m(z_a)} z_b + t_m(z_a)

    where a and b are the even and the odd ones of the L K D dimensions, and change roles with every layer. The prior
    starts close to N(0, I). The networks read and write all of z: they hold about `transforms` x `hidden` x 3/2 L K D
    weights. (Dinh et al., 2017, arXiv 1605.08803, equations 6 and 7.)

    Args:
        z_shape: (L, K, D).
        transforms: M, the number of coupling layers; two transform every dimension once.
        hidden: width of each network's two hidden layers.

    Raises:
        InputError: if zuko is not installed (`pip install 'ltm-pyro[flows]'`), or a size is not positive.
    """

    @bounded(transforms=whole(1), hidden=whole(1))
    def __init__(self, z_shape: tuple[int, int, int], transforms: int = 4, hidden: int = 64) -> None:
        super().__init__(z_shape)
        self.transforms, self.hidden = transforms, hidden
        affine = import_zuko().transforms.MonotonicAffineTransform
        self.flow = Flow(self.z_shape, transforms, hidden, affine, ((), ()))  # a shift and a log scale

    def forward(self) -> ThoughtDistribution:
        return ThoughtDistribution(self.z_shape, self.flow.log_density, self.flow.draw)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, transforms={self.transforms}, hidden={self.hidden}"
