"""An objective, as gradient estimators ask it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Objective(Protocol):
    """A function f of log-weights that has a gradient estimator; every `AbstractObjective` is one.

    Attributes:
        particles: S, samples of z per sequence.
        least_particles: the fewest with which f is defined.
        linear: whether f is a mean over particles.
        is_log_mean_weight: whether f is the log of the mean weight.
        closed_form_kl: whether an exact KL is looked for.
    """

    particles: int
    least_particles: int
    linear: bool
    is_log_mean_weight: bool
    closed_form_kl: bool

    @property
    def name(self) -> str:
        """As it stands in a table."""

    @property
    def is_function_of_weights(self) -> bool:
        """Whether `value` is defined."""

    @property
    def splits(self) -> bool:
        """Whether γ follows another function of the weights than θ."""

    def value(self, log_w: Tensor) -> Tensor:
        """f, (S, B) -> (B,)."""

    def inference_value(self, log_w: Tensor) -> Tensor:
        """Objective of γ, (S, B) -> (B,)."""
