"""Comparison of estimators: measures every part and returns the records."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ltm_pyro.bounds import ELBO, AbstractObjective, ScoreFunction
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.inference import FastLoop
from ltm_pyro.studies.bounds.cost import measure_cost
from ltm_pyro.studies.bounds.curves import inference_curve
from ltm_pyro.studies.bounds.estimators import (
    Estimator,
    Make,
    as_estimators,
    default_estimators,
    named_estimators,
)
from ltm_pyro.studies.bounds.gradients import GradientPart
from ltm_pyro.studies.bounds.learning import Learning, learning_curve
from ltm_pyro.studies.bounds.measured import Measured, Record
from ltm_pyro.studies.bounds.problem import Problem
from ltm_pyro.studies.bounds.sizes import Sizes
from ltm_pyro.studies.bounds.tables import report
from ltm_pyro.studies.bounds.tightness import measure_tightness

Piece = tuple[str, Callable[[], list[Record]]]
PARTS = ("tightness", "gradients", "cost", "inference", "learning")


class Comparison(Measured):
    """Results of a comparison of estimators."""

    def table(self) -> str:
        """Summary and tables of all parts, in Markdown that is also readable in a terminal."""
        return report(self)


def compare_bounds(
    model: nn.Module,
    guide: Any,
    batch: Any,
    estimators: Mapping[str, AbstractObjective | Make] | Sequence[str] | None = None,
    *,
    fast: FastLoop | None = None,
    sizes: Sizes | None = None,
    evidence: torch.Tensor | None = None,
    learning: Learning | None = None,
    parts: Iterable[str] = PARTS,
    seed: int = 0,
    done: Comparison | None = None,
    listener: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Comparison:
    """Compare (bound, gradient) pairs by tightness, gradient, reliability of the weights, cost and learning curves.

    Every measurement is seeded by the seed and its name, so that a resumed comparison gives the same numbers. The
    global random state is left as it was.

    Args:
        model, guide: Pyro programs that share the site z; the guide is reinitialised where needed.
        batch: a `Batch`, a dictionary of arguments with `x`, or x.
        estimators: objects by name (`{"mine": MyBound(8)}`, at its own S; or `{"mine": MyBound}`, a class or
            function of S); or names, as in `named_estimators`; a sensible list if None.
        fast: fast loop that fits q; towards the ELBO if None.
        sizes: sizes of the measurements.
        evidence: log p(x), shape (B,); if None, `model.evidence(x)` if the model has it.
        learning: start, batches and budget of the learning curves; None for no learning curves.
        parts: parts to measure, of `PARTS`.
        seed: seed of all noise.
        done: a comparison to resume; its measurements are not repeated.
        listener: called with the name of the next measurement ("" at the end), the number of finished ones, and their
            total number.

    Returns:
        The comparison; it is `done` itself if that is given.

    Raises:
        InputError: for unknown names or parts, or a model without latents.
    """
    sizes = sizes or Sizes()
    comparison = done if done is not None else Comparison()
    comparison.at_particles = sizes.at_particles
    seeded = _Seeded(seed)
    problem = _problem(model, guide, batch, fast, evidence, seeded)
    plan = list(_plan(problem, _listed(estimators, problem), sizes, learning, _checked(parts), seeded, seed))
    with evaluation_mode(model, guide):
        for number, (name, work) in enumerate(plan):
            if name not in comparison.pieces:
                listener(name, number, len(plan))
                comparison.pieces[name] = seeded(name, work)
    listener("", len(plan), len(plan))
    return comparison


class _Seeded:
    """Runs a function with random numbers that depend only on a seed and a name."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(zlib.crc32(f"{self.seed} {name}".encode()))
            return work()


def _problem(
    model: nn.Module, guide: Any, batch: Any, fast: FastLoop | None, evidence: Any, seeded: _Seeded
) -> Problem:
    loop = fast if fast is not None else FastLoop(ELBO())
    problem = seeded("problem", lambda: Problem.of(model, guide, batch, loop, evidence))
    if fast is None and not problem.reparameterised:
        problem.fast = FastLoop(ELBO(particles=8, gradient=ScoreFunction()))
    return problem


def _listed(
    estimators: Mapping[str, AbstractObjective | Make] | Sequence[str] | None, problem: Problem
) -> list[Estimator]:
    if estimators is None:
        return default_estimators(problem.reparameterised)
    if isinstance(estimators, Mapping):
        return as_estimators(estimators)
    return named_estimators(estimators)


def _plan(
    problem: Problem,
    estimators: list[Estimator],
    sizes: Sizes,
    learning: Learning | None,
    parts: set[str],
    seeded: _Seeded,
    seed: int,
) -> Iterator[Piece]:
    """All measurements by name, in order."""
    if "tightness" in parts:
        yield "tightness", lambda: measure_tightness(problem, estimators, sizes)
    if "gradients" in parts:
        few = problem.first(sizes.gradient_sequences)
        yield from GradientPart(few, estimators, sizes, seeded).plan()
    if "cost" in parts:
        yield "cost", _bind(_cost, problem.first(sizes.timing_sequences), estimators, sizes)
    if "inference" in parts and problem.rows:
        few = problem.first(sizes.inference_sequences)
        for estimator in estimators:
            yield f"inference {estimator.name}", _bind(inference_curve, few, estimator, sizes, seed + 1)
    if "learning" in parts and learning is not None:
        for estimator in estimators:
            yield f"learning {estimator.name}", _bind(learning_curve, problem, estimator, sizes, learning, seed + 1)


def _cost(problem: Problem, estimators: list[Estimator], sizes: Sizes) -> list[Record]:
    problem.fit()
    return measure_cost(problem, estimators, sizes)


def _bind(function: Callable[..., list[Record]], *arguments: Any) -> Callable[[], list[Record]]:
    return lambda: function(*arguments)


def _checked(parts: Iterable[str]) -> set[str]:
    selection = set(parts)
    if selection - set(PARTS):
        raise InputError(f"parts={sorted(selection)}: expected some of {', '.join(PARTS)}")
    return selection
