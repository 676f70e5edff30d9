"""Sizes of the measurements in a comparison of bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST

QUICK = {
    "particles": [1, 2, 8], "repeats": 4, "gradient_particles": [1, 8], "gradient_draws": 12,
    "gradient_draws_theta": 6, "rounds": 3, "timing_sequences": 2, "inference_passes": 32,
    "inference_sequences": 4, "measures": 4, "measure_draws": 4,
}  # fmt: skip
FOR_TOYS = {
    "particles": [1, 2, 4, 8, 16, 32, 64], "repeats": 256, "gradient_particles": [1, 2, 4, 8, 16, 32],
    "gradient_draws": 1000, "gradient_draws_theta": 100, "gradient_steps": 0, "gradient_sequences": 4,
    "timing_sequences": 64, "inference_passes": 1024, "inference_sequences": 64, "measures": 12,
    "measure_draws": 256, "at_once": 16384,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Sizes of the measurements in a comparison of bounds.

    Args:
        particles: values of S in the tightness part.
        repeats: independent sets of the largest S, for tightness, ESS and k-hat.
        gradient_particles: values of S in the gradient part; a single one gives no slope.
        gradient_draws: N, independent gradients of each estimator for γ; at least 4.
        gradient_draws_theta: N for θ, where each draw needs a separate backward pass.
        reference_factor: draws of the reference gradient, as a multiple of N.
        gradient_sequences: number of sequences, the first of the batch, in the gradient part.
        gradient_steps: fast steps of q before gradients are measured; a quarter of the loop's steps if None. At a fully
            fitted q the expected gradient is zero, and so is every signal-to-noise ratio.
        coordinates: largest number of coordinates of θ's gradient; a random subset if there are more.
        at_particles: S of the cost, of the curves and of the summary.
        rounds: rounds of the alternating timing.
        timing_sequences: number of sequences in a timed step.
        inference_passes: decoder passes per sequence for a fit by each estimator.
        inference_sequences: number of sequences, the first of the batch, in the inference curves.
        measures: points of a curve.
        measure_draws: samples of z per sequence for each point of a curve.
        at_once: sequences times particles in one pass, which bounds the memory.
    """

    particles: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    repeats: int = 8
    gradient_particles: tuple[int, ...] = (1, 4, 8)
    gradient_draws: int = 32
    gradient_draws_theta: int = 16
    reference_factor: int = 2
    gradient_sequences: int = 2
    gradient_steps: int | None = None
    coordinates: int = 50_000
    at_particles: int = 8
    rounds: int = 5
    timing_sequences: int = 4
    inference_passes: int = 64
    inference_sequences: int = 8
    measures: int = 6
    measure_draws: int = 8
    at_once: int = 256

    def __post_init__(self) -> None:
        minima = {"gradient_draws": 4, "gradient_draws_theta": 4, "repeats": 2, "measures": 2, "gradient_steps": 0}
        for name, value in vars(self).items():
            values = value if isinstance(value, (tuple, list)) else () if value is None else (value,)
            smallest = minima.get(name, 1)
            if value == () or any(not smallest <= size <= LARGEST for size in values):
                raise InputError(f"{name}={value}: expected {smallest} or more, and {LARGEST} or less")
        object.__setattr__(self, "particles", tuple(sorted(set(self.particles))))
        object.__setattr__(self, "gradient_particles", tuple(sorted(set(self.gradient_particles))))


def usual_sizes(toy: bool, quick: bool) -> dict[str, Any]:
    """Sizes that replace the defaults of `Sizes`: more draws for a toy, fewer for a quick comparison."""
    return {**(FOR_TOYS if toy else {}), **(QUICK if quick else {})}
