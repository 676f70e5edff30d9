"""The doubly reparameterised gradient estimator."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.derivatives import curvature, slope
from ltm_pyro.bounds.gradients.objective import Objective


class DoublyReparameterised(AbstractGradient):
    r"""Doubly reparameterised gradient (DReG), for any function of the weights: :math:`b_s = f_s - f_{ss},\; c_s = 0`.

    The score term :math:`-\mathbb{E}[f_s \nabla_\gamma \log q(z_s)]` is reparameterised too, as
    :math:`-\mathbb{E}[\partial_{z_s} f_s \cdot \partial z_s / \partial \gamma]`, with :math:`f_{ss}` the second
    derivative of f in :math:`\log w_s`. For the importance-weighted bound :math:`b_s = \tilde w_s^2`, for Rényi's
    :math:`\alpha \tilde w_s + (1 - \alpha) \tilde w_s^2` (Tucker et al., 2019, arXiv 1810.04152, equations 8 and 12).
    Unbiased, with a signal-to-noise ratio that does not fall with S.
    """

    def refusal(self, objective: Objective) -> str | None:
        if objective.is_function_of_weights and objective.linear:
            return "for a mean over particles it equals StickingTheLanding(): take that"
        return super().refusal(objective)

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        value = objective.inference_value
        return Coefficients(path=slope(value, log_w) - curvature(value, log_w))
