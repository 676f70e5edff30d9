"""A normalizing-flow prior of spline coupling layers."""

from __future__ import annotations

from functools import partial

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.distribution import ThoughtDistribution
from ltm_pyro.models.priors.flow import Flow
from ltm_pyro.optional import import_zuko
from ltm_pyro.ranges import POSITIVE, bounded, whole


class SplineFlowPrior(AbstractPrior):
    r"""Normalizing flow of coupling layers whose maps are monotonic rational-quadratic splines.

    .. math:: p(z) = \mathcal{N}(f(z); 0, I) \left|\det \frac{\partial f}{\partial z}\right|, \qquad
              f = f_M \circ \dots \circ f_1, \qquad f_m(z)_b = \mathrm{spline}_{\phi_m(z_a)}(z_b)

    where a and b are the even and the odd ones of the L K D dimensions, and change roles with every layer. A spline has
    `bins` pieces between -bound and bound and is the identity beyond, so that the prior has the tails of N(0, I);
    unlike affine maps, splines can make several modes. The prior starts close to N(0, I). The networks read and write
    all of z: they hold about `transforms` x `hidden` x (3 `bins`) / 2 L K D weights. (Durkan et al., 2019, arXiv
    1906.04032, section 3.)

    Args:
        z_shape: (L, K, D).
        transforms: M, the number of coupling layers; two transform every dimension once.
        hidden: width of each network's two hidden layers.
        bins: number of pieces of a spline.
        bound: the splines are the identity outside of [-bound, bound].

    Raises:
        InputError: if zuko is not installed (`pip install 'ltm-pyro[flows]'`), or a size is not positive.
    """

    @bounded(transforms=whole(1), hidden=whole(1), bins=whole(2), bound=POSITIVE)
    def __init__(
        self, z_shape: tuple[int, int, int], transforms: int = 4, hidden: int = 64, bins: int = 8, bound: float = 5.0
    ) -> None:
        super().__init__(z_shape)
        self.transforms, self.hidden, self.bins, self.bound = transforms, hidden, bins, bound
        self.flow = spline_layers(self.z_shape, transforms, hidden, bins, bound)

    def forward(self) -> ThoughtDistribution:
        return ThoughtDistribution(self.z_shape, self.flow.log_density, self.flow.draw)

    def extra_repr(self) -> str:
        sizes = f"transforms={self.transforms}, hidden={self.hidden}, bins={self.bins}, bound={self.bound:g}"
        return f"z_shape={self.z_shape}, {sizes}"


def spline_layers(
    z_shape: tuple[int, int, int], transforms: int, hidden: int, bins: int, bound: float, context: int = 0
) -> Flow:
    """The flow of a `SplineFlowPrior`, by its arguments; with a context of width C its density is log p(z | c).

    Raises:
        InputError: if zuko is not installed, or a size is not positive.
    """
    if bins < 2 or not bound > 0:
        raise InputError(f"bins={bins}, bound={bound}: expected two bins or more, and a positive bound")
    spline = partial(import_zuko().transforms.MonotonicRQSTransform, bound=bound)
    shapes = ((bins,), (bins,), (bins - 1,))  # widths, heights, and slopes between the pieces
    return Flow(z_shape, transforms, hidden, spline, shapes, context)
