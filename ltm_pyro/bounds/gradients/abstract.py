"""The base class of gradient estimators, defined by two coefficients for each particle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.derivatives import slope
from ltm_pyro.bounds.gradients.objective import Objective
from ltm_pyro.errors import InputError
from ltm_pyro.recorded import Recorded


class Coefficients(NamedTuple):
    """Coefficients b (`path`) and c (`score`) of each particle, shape (S, B), without history; None is zero."""

    path: Tensor | None = None
    score: Tensor | None = None


class AbstractGradient(Recorded, ABC):
    r"""Gradient estimator of :math:`f(\log w_1, \dots, \log w_S)`, where f is an objective's `value`.

    .. math:: \nabla_\theta = \sum_s f_s \nabla_\theta \log p(x, z_s), \qquad
              \nabla_\gamma = \sum_s b_s \frac{\partial \log w_s}{\partial z_s} \frac{\partial z_s}{\partial \gamma}
                            + \sum_s c_s \nabla_\gamma \log q(z_s), \qquad f_s = \frac{\partial f}{\partial \log w_s}

    where :math:`\partial \log w_s / \partial z_s` is at fixed parameters of q and :math:`\nabla_\gamma \log q` at fixed
    z. The gradient of θ is the same for all; an estimator is a choice of b (`path`) and c (`score`).
    """

    cuts: ClassVar[bool] = False  # whether the samples are cut from γ, so that q needs no reparameterisation

    @abstractmethod
    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        """Coefficients b and c from log-weights without history, (S, B)."""

    def refusal(self, objective: Objective) -> str | None:
        """The reason why this estimator does not suit an objective; None if it does."""
        if objective.is_function_of_weights:
            return None
        return f"{objective.name} is not a function of importance weights: its gradient is Reparameterised()"

    def is_derivative(self, closed_form_kl: bool) -> bool:
        """Whether the estimate is the exact gradient of the objective in γ at fixed noise.

        Args:
            closed_form_kl: whether the KL is exact.
        """
        return False

    def check(self, objective: Objective) -> None:
        """Raises InputError, with the reason, if this estimator does not suit an objective."""
        reason = self.refusal(objective)
        if reason:
            raise InputError(f"{self} does not go with {objective.name}: {reason}")

    def attach(self, objective: Objective, draws: Draws, estimate: Tensor) -> Tensor:
        """The value of `estimate`, shape (B,), with this estimator's gradient."""
        log_w = draws.log_weight.detach()
        surrogate = draws.recombine(slope(objective.value, log_w), *self.coefficients(objective, log_w))
        return estimate.detach() + (surrogate - surrogate.detach())

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
