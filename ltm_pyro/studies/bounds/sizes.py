"""How much is drawn and measured in a comparison."""

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
    """Every size of a comparison of bounds.

    Args:
        particles: the S of the tightness part.
        repeats: independent sets of the largest S that tightness, ESS and k-hat are computed from.
        gradient_particles: the S of the gradient part; a single one gives no slope.
        gradient_draws: N, independent gradients of each estimator for γ; at least 4.
        gradient_draws_theta: N for θ, where each needs a backward pass of its own.
        reference_factor: draws of the reference gradient, as a multiple of N.
        gradient_sequences: sequences of the gradient part, the first of the batch.
        gradient_steps: fast steps that q has taken when gradients are measured; a quarter of its steps if None. At a
            fully fitted q the expected gradient is zero, and so is every signal-to-noise ratio.
        coordinates: of θ's gradient, the most that are kept; a random subset where there are more.
        at_particles: S of the cost, of the curves and of the summary.
        rounds: of the alternating timing.
        timing_sequences: sequences of a timed step.
        inference_passes: decoder passes per sequence that each estimator may spend on one fit.
        inference_sequences: sequences of the inference curves, the first of the batch.
        measures: points of a curve.
        measure_draws: samples of z per sequence behind a point.
        at_once: sequences times particles in one pass, so that memory holds.
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
        least = {"gradient_draws": 4, "gradient_draws_theta": 4, "repeats": 2, "measures": 2, "gradient_steps": 0}
        for name, value in vars(self).items():
            values = value if isinstance(value, (tuple, list)) else () if value is None else (value,)
            smallest = least.get(name, 1)
            if value == () or any(not smallest <= one <= LARGEST for one in values):
                raise InputError(f"{name}={value}: expected {smallest} or more, and {LARGEST} or less")
        object.__setattr__(self, "particles", tuple(sorted(set(self.particles))))
        object.__setattr__(self, "gradient_particles", tuple(sorted(set(self.gradient_particles))))


def usual_sizes(toy: bool, quick: bool) -> dict[str, Any]:
    """The sizes that are others than `Sizes` has them: a toy takes more draws, a first look fewer."""
    return {**(FOR_TOYS if toy else {}), **(QUICK if quick else {})}
