"""The interface of objectives to gradient estimators."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Objective(Protocol):
    """Objective f, a function of log-weights, as gradient estimators need it; every `AbstractObjective` is one.

    Attributes:
        particles: S, samples of z per sequence.
        least_particles: the least number of particles for which f is defined.
        linear: whether f is a mean over particles.
        is_log_mean_weight: whether f is the log of the mean weight.
        closed_form_kl: whether an exact KL is used where there is one.
    """

    particles: int
    least_particles: int
    linear: bool
    is_log_mean_weight: bool
    closed_form_kl: bool

    @property
    def name(self) -> str:
        """The name of the objective in tables."""

    @property
    def is_function_of_weights(self) -> bool:
        """Whether `value` is defined."""

    @property
    def splits(self) -> bool:
        """Whether γ follows another function of the weights than θ."""

    def value(self, log_w: Tensor) -> Tensor:
        """The objective f, (S, B) -> (B,)."""

    def inference_value(self, log_w: Tensor) -> Tensor:
        """The objective of γ, (S, B) -> (B,)."""
