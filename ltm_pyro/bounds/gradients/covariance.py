"""The covariance gradient estimator of the thermodynamic objective."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective


@runtime_checkable
class Tempered(Protocol):
    """Objective that is a sum over tempered distributions; `Thermodynamic` is one."""

    def sum_points(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Temperatures β and widths Δβ, shape (points, 1, 1) each, of the dtype and device of `like`."""


class Covariance(AbstractGradient):
    r"""Covariance estimator of TVO: the score term is a covariance under each tempered distribution.

    .. math:: c_s = \sum_\beta \Delta\beta\; \tilde w_s^{(\beta)} (\log w_s - \overline{\log w}^{(\beta)}) - f_s,
              \quad b_s = 0

    (Masrani et al., 2019, arXiv 1907.00031, equation 9.) Needs no reparameterisation and no second particle. The
    weights are self-normalised: the estimate is biased by O(1/S), and targets the objective as S → ∞.
    """

    cuts = True

    def refusal(self, objective: Objective) -> str | None:
        if not isinstance(objective, Tempered):
            return "it is the gradient of a sum over tempered distributions: Thermodynamic() is one"
        return super().refusal(objective)

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        assert isinstance(objective, Tempered)  # checked by `refusal`
        beta, width = objective.sum_points(log_w)
        weights = (beta * log_w).softmax(1)  # (points, S, B)
        centred = log_w - (weights * log_w).sum(1, keepdim=True)
        return Coefficients(score=(width * weights * centred).sum(0) - slope(objective.value, log_w))
