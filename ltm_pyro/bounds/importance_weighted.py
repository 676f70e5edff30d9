"""The importance-weighted bound."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.gradients.abstract import AbstractGradient
from ltm_pyro.bounds.weights import log_mean_exp


class ImportanceWeighted(AbstractBound):
    r"""Importance-weighted bound (IWAE): the log of the mean importance weight.

    .. math:: \log p(x) \ge \mathbb{E}\Big[\log \tfrac1S \sum_s w_s\Big],
              \quad w_s = \frac{p(x, z_s)}{q(z_s)},\; z_s \sim q

    (Burda et al., 2016, arXiv 1509.00519, equation 8.) With S = 1 it is the ELBO; it rises to log p(x) with S.
    `Terms.effective_sample_size` is the number of samples that contribute.

    Args:
        particles: S.
        gradient, at_once: as in `AbstractObjective`.
    """

    is_log_mean_weight = True

    def __init__(
        self, particles: int = 8, *, gradient: AbstractGradient | None = None, at_once: int | None = None
    ) -> None:
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        return log_mean_exp(log_w)
