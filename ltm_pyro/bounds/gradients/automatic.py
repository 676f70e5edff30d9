"""The default gradient estimator of means over particles."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.objective import Objective
from ltm_pyro.bounds.gradients.reparameterised import Reparameterised
from ltm_pyro.bounds.gradients.sticking_the_landing import StickingTheLanding


class Automatic(AbstractGradient):
    """Automatic choice: `Reparameterised` where the KL has a closed form, `StickingTheLanding` where it is sampled.

    Both are unbiased. With an exact KL there is no score term to leave out. With a sampled KL, its total derivative is
    pure noise for a guide that starts at the prior, which would move q at random; without the score term this noise is
    zero there.
    """

    def refusal(self, objective: Objective) -> str | None:
        if objective.linear:
            return super().refusal(objective)
        return "it is for means over particles; for importance weights take Reparameterised()"

    def is_derivative(self, closed_form_kl: bool) -> bool:
        return closed_form_kl  # then it is the reparameterised one

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        return StickingTheLanding().coefficients(objective, log_w)

    def attach(self, objective: Objective, draws: Draws, estimate: Tensor) -> Tensor:
        exact = draws.kl(objective.closed_form_kl).closed_form
        gradient = Reparameterised() if exact else StickingTheLanding()
        return gradient.attach(objective, draws, estimate)
