"""Observers of the fast loop that the core does not need."""

from ltm_pyro.training.observers.gradient_average import GradientAverage

__all__ = ["GradientAverage"]
