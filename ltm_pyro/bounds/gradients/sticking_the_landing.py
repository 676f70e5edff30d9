"""The gradient along z alone."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective


class StickingTheLanding(AbstractGradient):
    r"""The reparameterised gradient without its score term: :math:`b_s = f_s,\; c_s = 0`.

    (Roeder et al., 2017, arXiv 1703.09194.) For a mean over particles the score term has mean zero, so this is
    unbiased, and without any variance once q is the exact posterior.
    """

    def refusal(self, objective: Objective) -> str | None:
        if objective.is_function_of_weights and not objective.linear:
            return (
                "under importance weights the mean of the score term that it leaves out is not zero, so it would be "
                "biased; DoublyReparameterised() puts the right term in its place"
            )
        return super().refusal(objective)

    def attach(self, objective: Objective, draws: Draws, estimate: Tensor) -> Tensor:
        path, score = self.coefficients(objective, draws.log_weight.detach())
        assert path is not None
        surrogate = draws.recombine(path, path, score)  # θ's weights are the same: a single pass serves θ and γ
        return estimate.detach() + (surrogate - surrogate.detach())

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        return Coefficients(path=slope(objective.value, log_w))
