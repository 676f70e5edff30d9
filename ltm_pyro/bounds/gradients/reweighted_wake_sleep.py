"""The gradient estimator of reweighted wake-sleep."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.objective import Objective
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import NOT_NEGATIVE, bounded


class ReweightedWakeSleep(AbstractGradient):
    r"""Reweighted wake-sleep (RWS): θ maximises the importance-weighted bound, γ minimises a KL to the posterior.

    - wake: descent of :math:`\mathrm{KL}(p(z|x) \,\|\, q)` along :math:`\sum_s \tilde w_s \nabla_\gamma \log q(z_s)`,
      so :math:`c_s = \tilde w_s`; or, `doubly` reparameterised, :math:`b_s = \tilde w_s - \tilde w_s^2` (Tucker et al.,
      2019, arXiv 1810.04152, equation 10);
    - sleep: :math:`\nabla_\gamma \log q(z' \mid x')` at (z', x') sampled from the model.

    (Bornschein and Bengio, 2015, arXiv 1406.2751, equations 8 and 11.) The wake phase has self-normalised weights, with
    a bias of O(1/S). The sleep phase is for amortised guides: a sampled x' has no local parameters.

    Args:
        wake: weight of the wake phase.
        sleep: weight of the sleep phase, with one sample (z', x') per sequence.
        doubly: reparameterise the wake phase; q needs rsample.

    Raises:
        InputError: for negative weights, or if both are zero.
    """

    @bounded(wake=NOT_NEGATIVE, sleep=NOT_NEGATIVE)
    def __init__(self, wake: float = 1.0, sleep: float = 0.0, doubly: bool = False) -> None:
        if wake < 0 or sleep < 0 or not wake + sleep:
            raise InputError(f"wake={wake}, sleep={sleep}: expected weights that are not negative, and not both zero")
        self.wake, self.sleep, self.doubly = wake, sleep, doubly

    @property
    def cuts(self) -> bool:  # type: ignore[override]
        return not self.doubly

    def refusal(self, objective: Objective) -> str | None:
        if not objective.is_log_mean_weight:
            return "it has the weights of ImportanceWeighted(), by which θ must learn"
        return super().refusal(objective)

    def coefficients(self, objective: Objective, log_w: Tensor) -> Coefficients:
        weights = log_w.softmax(0)
        if self.doubly:
            return Coefficients(path=self.wake * (weights - weights.square()))
        return Coefficients(score=self.wake * weights)

    def attach(self, objective: Objective, draws: Draws, estimate: Tensor) -> Tensor:
        estimate = super().attach(objective, draws, estimate)
        if not self.sleep:
            return estimate
        sleep = self.sleep * draws.sleep_log_q()
        return estimate + (sleep - sleep.detach())

    def __repr__(self) -> str:
        return f"ReweightedWakeSleep(wake={self.wake}, sleep={self.sleep}, doubly={self.doubly})"
