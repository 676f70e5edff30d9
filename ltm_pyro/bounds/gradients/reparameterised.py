"""The reparameterised gradient estimator."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective


class Reparameterised(AbstractGradient):
    r"""Total derivative through z = z(ε, γ) and the density of q: :math:`b_s = f_s,\; c_s = -f_s`.

    (Kingma and Welling, 2014, arXiv 1312.6114.) Unbiased for every objective. A KL in closed form is
    differentiated exactly.
    """

    def refusal(self, objective: Objective) -> str | None:
        return None

    def is_derivative(self, closed_form_kl: bool) -> bool:
        return True

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        first = slope(objective.inference_value, log_w)
        return Coefficients(path=first, score=-first)

    def attach(self, objective: Objective, draws: Draws, estimate: Tensor) -> Tensor:
        return super().attach(objective, draws, estimate) if objective.splits else estimate
