"""The evidence lower bound."""

from __future__ import annotations

from typing import Any

from torch import nn

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.terms import Terms


class ELBO(AbstractBound):
    r"""Evidence lower bound, averaged over S samples.

    .. math:: \log p(x) \ge \mathbb{E}_{q(z)}[\log p(x \mid z)] - \mathrm{KL}(q(z) \,\|\, p(z))

    (Jordan et al., 1999.) The KL is exact wherever one is registered in closed form for the guide's and the
    prior's families, else it is estimated from the same samples; `Terms.kl_closed_form` says which.

    Args:
        particles: S.
        closed_form_kl: False estimates the KL even where an exact one exists.

    Example:
        >>> bound = ELBO(particles=4)
        >>> bound
        ELBO(particles=4)
    """

    def __init__(self, particles: int = 1, closed_form_kl: bool = True) -> None:
        super().__init__(particles)
        self.closed_form_kl = closed_form_kl

    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        draws = self.draw(model, guide, *args, **kwargs)
        log_likelihood = draws.log_likelihood().mean(0)  # (S, B) -> (B,)
        kl = draws.kl(self.closed_form_kl)
        total = kl.total.mean(0)
        per_layer = None if kl.per_layer is None else kl.per_layer.mean(0)
        return Terms(log_likelihood - total, log_likelihood, total, per_layer, kl.closed_form)
