"""The score-function gradient estimator with a leave-one-out baseline."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective
from ltm_pyro.bounds.weights import leave_one_out


class ScoreFunction(AbstractGradient):
    r"""REINFORCE with a leave-one-out baseline: :math:`b_s = 0,\; c_s = f - f_{-s} - (f_s - \tfrac1S)`.

    :math:`f_{-s}` is the objective of the other S - 1 particles, which is independent of :math:`z_s`. The last term is
    the derivative through the density of q, less its mean over equal weights. For the ELBO :math:`c_s` is
    :math:`\frac1S (\log w_s - \overline{\log w}_{-s})` (Kool et al., 2019; Mnih and Rezende, 2016, arXiv 1602.06725,
    equation 7). Unbiased; needs no reparameterisation, so that z may be discrete.
    """

    cuts = True

    def refusal(self, objective: Objective) -> str | None:
        if getattr(objective, "groups", None) is not None:
            return "without one particle its groups are not of equal size; take VIMCO(), which replaces the particle"
        if objective.particles <= objective.least_particles:
            return f"its baseline leaves one particle out: give it more than particles={objective.particles}"
        return super().refusal(objective)

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        count, batch = log_w.shape
        baseline = objective.value(leave_one_out(log_w).reshape(count - 1, -1)).view(count, batch)
        signal = objective.value(log_w) - baseline
        return Coefficients(score=signal - (slope(objective.value, log_w) - 1 / count))
