"""The sticking-the-landing gradient estimator."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective


class StickingTheLanding(AbstractGradient):
    r"""Sticking the landing: the reparameterised gradient without its score term, :math:`b_s = f_s,\; c_s = 0`.

    (Roeder et al., 2017, arXiv 1703.09194.) For a mean over particles the score term has mean zero, so this is
    unbiased, and without any variance once q is the exact posterior.
    """

    def refusal(self, objective: Objective) -> str | None:
        if objective.is_function_of_weights and not objective.linear:
            return (
                "with importance weights the score term that it leaves out does not have mean zero, so that it would "
                "be biased; take DoublyReparameterised()"
            )
        return super().refusal(objective)

    def attach(self, objective: Objective, draws: Draws, estimate: Tensor) -> Tensor:
        path, score = self.coefficients(objective, draws.log_weight.detach())
        assert path is not None
        surrogate = draws.recombine(path, path, score)  # θ's weights are the same: a single pass serves θ and γ
        return estimate.detach() + (surrogate - surrogate.detach())

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        return Coefficients(path=slope(objective.value, log_w))
