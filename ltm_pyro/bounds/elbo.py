"""The evidence lower bound."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.abstract import AbstractBound
from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient


class ELBO(AbstractBound):
    r"""Evidence lower bound, averaged over S samples.

    .. math:: \log p(x) \ge \mathbb{E}_{q(z)}[\log p(x \mid z)] - \mathrm{KL}(q(z) \,\|\, p(z))

    (Jordan et al., 1999.) The KL is exact where a closed form is registered for the families of guide and prior, else
    it is estimated from the same samples; see `Terms.kl_closed_form`. Gradient estimators other than the
    reparameterised one always use the sampled KL.

    Args:
        particles: S.
        closed_form_kl: False estimates the KL even where a closed form exists.
        gradient, at_once: as in `AbstractObjective`.

    Example:
        >>> bound = ELBO(particles=4)
        >>> bound
        ELBO(particles=4)
    """

    linear = True

    def __init__(
        self,
        particles: int = 1,
        closed_form_kl: bool = True,
        *,
        gradient: AbstractGradient | None = None,
        at_once: int | None = None,
    ) -> None:
        self.closed_form_kl = closed_form_kl
        super().__init__(particles, gradient=gradient, at_once=at_once)

    def value(self, log_w: Tensor) -> Tensor:
        return log_w.mean(0)

    def estimate(self, draws: Draws) -> Tensor:
        return draws.log_likelihood.mean(0) - draws.kl(self.closed_form_kl).total.mean(0)
