"""The gradient along z alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope

if TYPE_CHECKING:
    from ltm_pyro.bounds.abstract import AbstractObjective


class StickingTheLanding(AbstractGradient):
    r"""The reparameterised gradient without its score term: :math:`b_s = f_s,\; c_s = 0`.

    (Roeder et al., 2017, arXiv 1703.09194.) For a mean over particles the score term has mean zero, so this is
    unbiased, and without any variance once q is the exact posterior.
    """

    def refusal(self, objective: AbstractObjective) -> str | None:
        if objective.is_function_of_weights and not objective.linear:
            return (
                "under importance weights the mean of the score term that it leaves out is not zero, so it would be "
                "biased; DoublyReparameterised() puts the right term in its place"
            )
        return super().refusal(objective)

    def coefficients(self, objective: AbstractObjective, log_w: Tensor) -> Coefficients:
        return Coefficients(path=slope(objective.value, log_w))
