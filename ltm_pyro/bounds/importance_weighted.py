"""The importance-weighted bound."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.terms import Terms


class ImportanceWeighted(AbstractBound):
    r"""IWAE: the log of the mean importance weight, per sequence.

    .. math:: \log p(x) \ge \mathbb{E}\Big[\log \tfrac1S \sum_s w_s\Big],
              \quad w_s = \frac{p(x, z_s)}{q(z_s)},\; z_s \sim q

    (Burda et al., 2016, arXiv 1509.00519, equation 8.) With S = 1 it is the ELBO; it rises to log p(x) with S.
    `Terms.effective_sample_size` says how many of the S samples count.

    Args:
        particles: S.
    """

    def __init__(self, particles: int = 8) -> None:
        super().__init__(particles)

    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        draws = self.draw(model, guide, *args, **kwargs)
        log_w = draws.log_weight()  # (S, B)
        kl = draws.kl()
        return Terms(
            bound=log_mean_exp(log_w),
            log_likelihood=draws.log_likelihood().mean(0),
            kl=kl.total.mean(0),
            kl_per_layer=None if kl.per_layer is None else kl.per_layer.mean(0),
            kl_closed_form=kl.closed_form,
            effective_sample_size=effective_sample_size(log_w.detach()),
        )


def log_mean_exp(log_w: Tensor) -> Tensor:
    """The log of the mean weight of each sequence, (S, B) -> (B,)."""
    return log_w.logsumexp(0) - math.log(len(log_w))


def effective_sample_size(log_w: Tensor) -> Tensor:
    """How many equal weights would be as good as these, (Σw)² / Σw², (S, B) -> (B,)."""
    return 1 / log_w.softmax(0).square().sum(0)
