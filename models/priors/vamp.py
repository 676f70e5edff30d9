"""A VampPrior: a mixture of learned pseudo-posteriors."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ltm_pyro.models.priors.abstract import AbstractPrior
from ltm_pyro.models.priors.mixture import gaussian_mixture, spread_out
from ltm_pyro.ranges import NOT_NEGATIVE, bounded, whole


class VampPrior(AbstractPrior):
    r"""Variational mixture of posteriors: the average of C learned pseudo-posteriors :math:`(\mu_c, \sigma_c)`.

    .. math:: p(z) = \frac1C \sum_{c=1}^{C} \mathcal{N}(z; \mu_c, \mathrm{diag}(\sigma_c^2))

    The prior with the highest ELBO is the aggregate posterior, the average of the posteriors of all texts; this is an
    average of C posteriors of the mean-field family. In the original, a pseudo-posterior is the encoder's output for a
    learned pseudo-input. Here there is no encoder, and the pseudo-posteriors themselves are learned, a family that
    contains those of all pseudo-inputs.

    Differences from `MixturePrior`: the weights are equal and fixed, unless `learn_weights`, so that no component's
    weight can vanish; a component covers all of z; and the initial means are twice as far apart. The prior still starts
    close to N(0, I) in few dimensions; in many, the components start well separated.

    Args:
        z_shape: (L, K, D).
        components: C.
        spread: standard deviation of the first means, between 0 and 1; the variances start at 1 - spread².
        learn_weights: whether the weights are learned.

    Raises:
        InputError: for no components, or a spread that is not between 0 and 1.

    (Tomczak and Welling, 2018, arXiv 1705.07120, equation 9.)
    """

    logits: Tensor

    @bounded(components=whole(1), spread=NOT_NEGATIVE)
    def __init__(
        self, z_shape: tuple[int, int, int], components: int = 16, spread: float = 0.2, learn_weights: bool = False
    ) -> None:
        super().__init__(z_shape)
        self.components, self.spread, self.learn_weights = components, spread, learn_weights
        mu, log_sigma = spread_out(self.z_shape, components, units=0, spread=spread)
        self.mu, self.log_sigma = nn.Parameter(mu), nn.Parameter(log_sigma)  # (C, L, K, D)
        if learn_weights:
            self.logits = nn.Parameter(torch.zeros(components))
        else:
            self.register_buffer("logits", torch.zeros(components), persistent=False)

    def forward(self) -> dist.Distribution:
        return gaussian_mixture(self.logits, self.mu, self.log_sigma)

    def extra_repr(self) -> str:
        return (
            f"z_shape={self.z_shape}, components={self.components}, spread={self.spread:g}, "
            f"learn_weights={self.learn_weights}"
        )
