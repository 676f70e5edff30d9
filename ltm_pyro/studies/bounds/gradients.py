"""Independent draws of gradients, for γ by sequence and for θ by batch, and their statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.bounds import AbstractObjective, Claim, FixedNoise, InfoVAE, ReweightedWakeSleep
from ltm_pyro.errors import InputError
from ltm_pyro.inference import frozen
from ltm_pyro.studies.bounds.estimators import Estimator
from ltm_pyro.studies.bounds.moments import Reference, describe
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.reference import exact_gradient, reference_objective
from ltm_pyro.studies.bounds.sizes import Sizes

Record = dict[str, Any]
ANOTHER = "another objective"


class GradientPart:
    """Gradient part of a comparison: gradients of all estimators at a partly fitted q.

    Args:
        problem: problem with the sequences of this part; its q is fitted here.
        estimators: estimators to compare.
        sizes: sizes of the measurements.
        seeded: function that runs another function with random numbers seeded by a key.
    """

    def __init__(
        self,
        problem: Problem,
        estimators: Sequence[Estimator],
        sizes: Sizes,
        seeded: Callable[[str, Callable[[], Any]], Any],
    ) -> None:
        self.problem, self.estimators, self.sizes, self.seeded = problem, estimators, sizes, seeded
        self.references: dict[tuple[str, str, int], Reference | None] = {}
        self.fitted = False

    def plan(self) -> Iterator[tuple[str, Callable[[], list[Record]]]]:
        """Measurements, one for each parameter set, estimator and S."""
        for parameters in "γθ":
            bounds: set[str] = set()
            for estimator in self.estimators:
                if parameters == "θ" and estimator.bound in bounds:
                    continue  # θ's gradient does not depend on the estimator of γ's
                bounds.add(estimator.bound)
                for objective in estimator.allowed(self.sizes.gradient_particles):
                    key = f"gradient {parameters} {estimator.name} S={objective.particles}"
                    yield key, self._piece(parameters, estimator, objective)

    def _piece(self, parameters: str, estimator: Estimator, objective: AbstractObjective) -> Callable[[], list[Record]]:
        return lambda: self._measure(parameters, estimator, objective)

    def _measure(self, parameters: str, estimator: Estimator, objective: AbstractObjective) -> list[Record]:
        name = estimator.name if parameters == "γ" else estimator.bound
        identity = {"estimator": name, "parameters": parameters, "particles": objective.particles}
        self._fit()
        reason = self._refusal(parameters, objective)
        if reason:
            return [{"part": "refusal", **identity, "reason": reason}]
        reference = self._reference(parameters, estimator, objective)
        if reference is None:
            return [{"part": "refusal", **identity, "reason": "there is no unbiased reference estimator"}]
        sample = self._draw(parameters, objective, self._count(parameters))
        target = {"claim": objective.claim.value, "target": _target(parameters, objective)}
        kinds = {"bound": estimator.bound, "objective": objective.name, "gradient": type(objective.gradient).__name__}
        return [{"part": "gradient", **identity, **kinds, **target, **describe(sample, reference)}]

    def _fit(self) -> None:
        if not self.fitted:
            steps = self.sizes.gradient_steps
            self.seeded(
                "gradient q", lambda: self.problem.fit(self.problem.fast.steps // 4 if steps is None else steps)
            )
            self.fitted = True

    def _refusal(self, parameters: str, objective: AbstractObjective) -> str | None:
        if isinstance(objective, (InfoVAE, FixedNoise)):
            return "its gradient for a sequence depends on the rest of the batch, or on noise that is not fresh"
        if parameters == "θ":
            return objective.refusal_of_slow_step if self.problem.weights() else "there are no global parameters"
        if not self.problem.rows:
            return "there are no local parameters"
        try:
            self._draw("γ", objective, 1)
        except InputError as error:
            return str(error)
        return None

    def _count(self, parameters: str) -> int:
        return self.sizes.gradient_draws if parameters == "γ" else self.sizes.gradient_draws_theta

    def _reference(self, parameters: str, estimator: Estimator, objective: AbstractObjective) -> Reference | None:
        key = (parameters, estimator.bound, objective.particles)
        if key not in self.references:
            text = " ".join(["reference", *map(str, key)])
            self.references[key] = self.seeded(text, lambda: self._new_reference(parameters, objective))
        return self.references[key]

    def _new_reference(self, parameters: str, objective: AbstractObjective) -> Reference | None:
        exact = exact_gradient(self.problem, objective) if parameters == "γ" and self.problem.rows else None
        if exact is not None:
            return Reference("exact", exact, exact=True)
        unbiased = reference_objective(objective, self.problem.reparameterised)
        if unbiased is None:
            return None
        draws = self._draw(parameters, unbiased, self.sizes.reference_factor * self._count(parameters))
        return Reference(type(unbiased.gradient).__name__, draws)

    def _draw(self, parameters: str, objective: AbstractObjective, count: int) -> Tensor:
        if parameters == "γ":
            return local_gradients(self.problem, objective, count, self.sizes.at_once)
        return global_gradients(self.problem, objective, count, self.sizes.coordinates)


def local_gradients(problem: Problem, objective: AbstractObjective, draws: int, at_once: int = 256) -> Tensor:
    """Gradients of the objective by γ, shape (N, B, G), from many copies of every sequence in one batch.

    Args:
        problem: problem with q at the point of the gradient.
        objective: bound with its gradient estimator.
        draws: N.
        at_once: sequences times particles in one pass.
    """
    copies = max(1, at_once // (len(problem) * objective.particles))
    parts = []
    with frozen(problem.weights()):
        for first in range(0, draws, copies):
            count = min(copies, draws - first)
            inputs = problem.place(count)
            rows = problem.guide.local_parameters()
            terms = objective.terms(problem.model, problem.guide, **inputs)
            gradients = torch.autograd.grad(terms.objective.sum(), rows)
            flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)  # (B·count, G)
            parts.append(flat.unflatten(0, (len(problem), count)).transpose(0, 1))
    return torch.cat(parts)


def global_gradients(problem: Problem, objective: AbstractObjective, draws: int, coordinates: int) -> Tensor:
    """Gradients of the batch mean of the objective by θ, shape (N, 1, G), on at most `coordinates` coordinates.

    Args:
        problem, objective, draws: as for `local_gradients`.
        coordinates: largest number of coordinates; a random subset if there are more.
    """
    inputs, weights = problem.place(), problem.weights()
    total = sum(weight.numel() for weight in weights)
    chosen = None
    if total > coordinates:  # the same coordinates for every estimator
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randperm(total, generator=generator)[:coordinates].to(weights[0].device)
    samples = []
    with frozen(problem.guide.local_parameters()):
        for _ in range(draws):
            objective_value = objective.terms(problem.model, problem.guide, **inputs).objective.mean()
            gradients = torch.autograd.grad(objective_value, weights, allow_unused=True, materialize_grads=True)
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            samples.append(flat if chosen is None else flat[chosen])
    return torch.stack(samples)[:, None]


def _target(parameters: str, objective: AbstractObjective) -> str:
    """Quantity whose gradient is estimated."""
    if parameters == "γ" and isinstance(objective.gradient, ReweightedWakeSleep):
        return ANOTHER
    return "its objective, NOT A BOUND" if objective.claim is Claim.NONE else "its bound"
