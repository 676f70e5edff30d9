"""Reweighted wake-sleep: q follows the posterior, and dreams of the model."""

from __future__ import annotations

from torch import Tensor

from ltm_pyro.bounds.draws import Draws
from ltm_pyro.bounds.gradients.abstract import AbstractGradient, Coefficients
from ltm_pyro.bounds.gradients.objective import Objective
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import NOT_NEGATIVE, bounded


class ReweightedWakeSleep(AbstractGradient):
    r"""RWS: θ climbs the importance-weighted bound, γ comes closer to the posterior instead.

    - wake: down :math:`\mathrm{KL}(p(z|x) \,\|\, q)`, :math:`\sum_s \tilde w_s \nabla_\gamma \log q(z_s)`, so
      :math:`c_s = \tilde w_s`; or, `doubly` reparameterised, :math:`b_s = \tilde w_s - \tilde w_s^2`
      (Tucker et al., 2019, arXiv 1810.04152, equation 10);
    - sleep: :math:`\nabla_\gamma \log q(z' \mid x')` of a text x' that the model dreams from z'.

    (Bornschein and Bengio, 2015, arXiv 1406.2751, equations 8 and 11.) The wake phase is self-normalised: biased by
    O(1/S). The sleep phase is for amortised guides: a dream has no local posterior.

    Args:
        wake: weight of the wake phase.
        sleep: weight of the sleep phase; one dream a sequence.
        doubly: reparameterise the wake phase; q needs rsample.

    Raises:
        InputError: for negative weights, or none at all.
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
            return "its weights are those of ImportanceWeighted(), which θ follows"
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
        dreamed = self.sleep * draws.sleep_log_q()
        return estimate + (dreamed - dreamed.detach())

    def __repr__(self) -> str:
        return f"ReweightedWakeSleep(wake={self.wake}, sleep={self.sleep}, doubly={self.doubly})"
