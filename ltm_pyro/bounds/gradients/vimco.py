"""The VIMCO gradient estimator: a score-function gradient for importance weights."""

from __future__ import annotations

import torch
from torch import Tensor

from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective
from ltm_pyro.bounds.weights import leave_one_out


class VIMCO(AbstractGradient):
    r"""Score-function gradient with a baseline from the other particles (VIMCO): :math:`c_s = f - f^{(s)} - f_s`.

    In :math:`f^{(s)}` the log-weight of particle s is replaced by the mean of the others' (the geometric mean of
    their weights). (Mnih and Rezende, 2016, arXiv 1602.06725, equations 9 and 11.) Unbiased; needs no
    reparameterisation, so that z may be discrete.
    """

    cuts = True

    def refusal(self, objective: Objective) -> str | None:
        if objective.particles < 2:
            return "its baseline is made of the other particles: give it 2 or more"
        if objective.is_function_of_weights and objective.linear:
            return "for a mean over particles it equals ScoreFunction(): take that"
        return super().refusal(objective)

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        count, batch = log_w.shape
        value = objective.inference_value
        own = torch.eye(count, dtype=torch.bool, device=log_w.device)[..., None]  # (particle, replaced, 1)
        others = leave_one_out(log_w).mean(0)  # (replaced, B)
        replaced = torch.where(own, others, log_w[:, None])  # (particle, replaced, B)
        baseline = value(replaced.reshape(count, -1)).view(count, batch)
        return Coefficients(score=value(log_w) - baseline - slope(value, log_w))
