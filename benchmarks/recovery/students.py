"""Priors of the benchmark, with the targets that they can and cannot express."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.recovery.targets import CODES, NUMBERS, Z_SHAPE
from ltm_pyro.models.priors import (
    AbstractPrior,
    AutoregressivePrior,
    CodebookPrior,
    CouplingFlowPrior,
    DiffusionPrior,
    EnergyPrior,
    GaussianPrior,
    HierarchicalPrior,
    LaplacePrior,
    LearnedGaussianPrior,
    MixturePrior,
    SplineFlowPrior,
    StudentTPrior,
    VampPrior,
)


class Student(NamedTuple):
    """Prior with its learning rate, and the targets that it can and cannot express; others are left open.

    Args:
        make: function that makes the prior.
        rate: learning rate of Adam.
        can, cannot: names of targets.
        scored: quantity that tables show as held-out log-density.
        pace: factor on the number of steps, for priors with cheaper steps.
    """

    make: Callable[[], AbstractPrior]
    rate: float = 0.03
    can: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    scored: str = "log p(z)"
    pace: int = 1


ALL, CHAINS, PLACES = tuple(NUMBERS), ("banana", "two levels"), ("three places",)
PATH = "lower bound: mean log-weight of one noising path"
CEILING = "lower bound: log Z from above, by annealed importance sampling"

STUDENTS = {
    "GaussianPrior": Student(lambda: GaussianPrior(Z_SHAPE), cannot=ALL),
    "LearnedGaussianPrior": Student(lambda: LearnedGaussianPrior(Z_SHAPE), cannot=ALL),
    "LaplacePrior": Student(lambda: LaplacePrior(Z_SHAPE), cannot=ALL),
    "StudentTPrior": Student(lambda: StudentTPrior(Z_SHAPE), cannot=ALL),
    "MixturePrior, C = 3": Student(lambda: MixturePrior(Z_SHAPE, 3, spread=0.5), 0.03, PLACES, CHAINS),
    "MixturePrior, C = 16": Student(lambda: MixturePrior(Z_SHAPE, 16, spread=0.5), 0.03, PLACES),
    "MixturePrior by layer, C = 8": Student(lambda: MixturePrior(Z_SHAPE, 8, "layer", 0.5), 0.03, (), ALL),
    "VampPrior, C = 32": Student(lambda: VampPrior(Z_SHAPE, 32, spread=0.5), 0.03, PLACES),
    "HierarchicalPrior": Student(lambda: HierarchicalPrior(Z_SHAPE), 0.01, CHAINS, PLACES),
    "AutoregressivePrior": Student(lambda: AutoregressivePrior(Z_SHAPE, 32, 1, 2), 0.01, CHAINS, PLACES),
    "CouplingFlowPrior": Student(lambda: CouplingFlowPrior(Z_SHAPE, 4, 32), 0.01, CHAINS),
    "SplineFlowPrior": Student(lambda: SplineFlowPrior(Z_SHAPE, 2, 32, bound=8.0), 0.01, ALL),
    "DiffusionPrior, joint": Student(lambda: DiffusionPrior(Z_SHAPE, width=32, heads=2), 0.01, scored=PATH, pace=4),
    "DiffusionPrior, vector": Student(
        lambda: DiffusionPrior(Z_SHAPE, order="vector", width=32, heads=2), 0.01, scored=PATH, pace=4
    ),
    "EnergyPrior": Student(lambda: EnergyPrior(Z_SHAPE), 0.01, scored=CEILING),
    "CodebookPrior, independent": Student(
        lambda: CodebookPrior(Z_SHAPE, CODES), 0.03, ("independent codes",), ("dependent codes",)
    ),
    "CodebookPrior, autoregressive": Student(
        lambda: CodebookPrior(Z_SHAPE, CODES, "autoregressive", 16, 1, 2),
        0.01,
        ("independent codes", "dependent codes"),
    ),
}
