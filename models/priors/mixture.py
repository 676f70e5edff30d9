"""A mixture-of-Gaussians prior."""

from __future__ import annotations

import math
from typing import Literal, get_args

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.ranges import NOT_NEGATIVE, bounded, whole

Unit = Literal["z", "layer", "thought"]


class MixturePrior(AbstractPrior):
    r"""Mixture of C diagonal Gaussians with learned weights, means and scales, for each unit u of z.

    .. math:: p(z) = \prod_u \sum_{c=1}^{C} \pi_{uc}\, \mathcal{N}(z_u; \mu_{uc}, \mathrm{diag}(\sigma_{uc}^2))

    The unit is all of z (one component for all thoughts), a layer, or a thought vector; every unit has components of
    its own, and units are independent. Samples are not reparameterised, and the KL has no closed form.

    The prior starts close to N(0, I): equal weights, means drawn from :math:`\mathcal{N}(0, s^2 I)` for a small spread
    s, and variances of :math:`1 - s^2`. Equal components would have equal gradients and never separate.

    Args:
        z_shape: (L, K, D).
        components: C; the memory for a density is proportional to it.
        unit: the part of z with a mixture of its own: all of `z`, every `layer` or every `thought`.
        spread: s, between 0 and 1.

    Raises:
        InputError: for another unit, no components, or a spread that is not between 0 and 1.

    Example:
        >>> prior = MixturePrior((2, 4, 8), components=3, unit="layer")
        >>> prior().event_shape, prior.mu.shape
        (torch.Size([2, 4, 8]), torch.Size([2, 3, 4, 8]))
    """

    @bounded(components=whole(1), spread=NOT_NEGATIVE)
    def __init__(
        self, z_shape: tuple[int, int, int], components: int = 8, unit: Unit = "z", spread: float = 0.1
    ) -> None:
        super().__init__(z_shape)
        if unit not in get_args(Unit):
            raise InputError(f"unit={unit!r}: expected one of {', '.join(get_args(Unit))}")
        self.components, self.unit, self.spread = components, unit, spread
        self.units = get_args(Unit).index(unit)  # the number of leading dimensions of z that index units
        mu, log_sigma = spread_out(self.z_shape, components, self.units, spread)
        self.mu, self.log_sigma = nn.Parameter(mu), nn.Parameter(log_sigma)  # (*units, C, *unit)
        self.logits = nn.Parameter(torch.zeros(mu.shape[: self.units + 1]))  # (*units, C)

    def forward(self) -> dist.Distribution:
        return gaussian_mixture(self.logits, self.mu, self.log_sigma)

    def extra_repr(self) -> str:
        return f"z_shape={self.z_shape}, components={self.components}, unit={self.unit}, spread={self.spread:g}"


def spread_out(z_shape: tuple[int, int, int], components: int, units: int, spread: float) -> tuple[Tensor, Tensor]:
    """Initial components of a mixture: random means with a standard deviation of `spread`, and log scales.

    The variances are 1 - spread², so that a mixture of many components is close to N(0, I).

    Args:
        z_shape: (L, K, D).
        components: C.
        units: the number of leading dimensions of (L, K, D) that index units; a component has the others.
        spread: between 0 and 1.

    Returns:
        Means and log scales, shape (*units, C, *unit) each.
    """
    if components < 1:
        raise InputError(f"components={components}: a mixture needs at least one component")
    if not 0 < spread < 1:
        raise InputError(f"spread={spread}: expected a number between 0 and 1, the standard deviation of the means")
    shape = (*z_shape[:units], components, *z_shape[units:])
    return spread * torch.randn(shape), torch.full(shape, 0.5 * math.log(1 - spread**2))


def gaussian_mixture(logits: Tensor, mu: Tensor, log_sigma: Tensor) -> dist.Distribution:
    """Mixture of diagonal Gaussians, event (L, K, D); logits (*units, C), means and log scales (*units, C, *unit)."""
    units = logits.dim() - 1
    components = dist.Normal(mu, log_sigma.exp()).to_event(3 - units)
    mixture = dist.MixtureSameFamily(dist.Categorical(logits=logits), components)
    return mixture.to_event(units) if units else mixture
