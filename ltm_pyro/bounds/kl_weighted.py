"""An objective that is no bound: the ELBO with another weight on its KL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from ltm_pyro.bounds.abstract import AbstractObjective
from ltm_pyro.bounds.elbo import ELBO
from ltm_pyro.bounds.terms import Terms
from ltm_pyro.errors import InputError


class KLWeighted(AbstractObjective):
    r"""The ELBO with a weight on its KL. Not a bound: with a weight below 1 it can exceed log p(x).

    .. math:: \mathbb{E}_{q(z)}[\log p(x \mid z)] - \beta\,\mathrm{KL}(q(z) \,\|\, p(z))

    (Higgins et al., 2017, with :math:`\beta` = `kl_weight`; Bowman et al., 2016, arXiv 1511.06349, against
    posterior collapse.) Below 1, q tells the decoder more than it will be charged for, so that the decoder learns
    to use z. What is learned is then measured with a bound.

    Args:
        kl_weight: of the KL; 0 or more.
        particles: S.

    Raises:
        InputError: for a negative weight.
    """

    def __init__(self, kl_weight: float = 1.0, particles: int = 1) -> None:
        super().__init__(particles)
        if kl_weight < 0:
            raise InputError(f"kl_weight={kl_weight}: expected 0 or more")
        self.kl_weight = kl_weight
        self.elbo = ELBO(particles)

    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        terms = self.elbo.terms(model, guide, *args, **kwargs)
        return replace(terms, bound=terms.log_likelihood - self.kl_weight * terms.kl)

    def __repr__(self) -> str:
        return f"KLWeighted(kl_weight={self.kl_weight}, particles={self.particles})"
