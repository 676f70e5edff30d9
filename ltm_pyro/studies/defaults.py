"""Default priors and guides of a comparison: those that their packages offer and that suit it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ltm_pyro import guides
from ltm_pyro.guides import AbstractGuide
from ltm_pyro.models import priors
from ltm_pyro.models.priors import AbstractPrior

ORDER = (  # of tables, the first being what others are compared with; what stands not here comes behind
    *("GaussianPrior", "LearnedGaussianPrior", "StudentTPrior", "LaplacePrior", "MixturePrior", "VampPrior"),
    *("ExemplarPrior", "HierarchicalPrior", "AutoregressivePrior", "CouplingFlowPrior", "SplineFlowPrior"),
    *("MeanFieldGuide", "LowRankGuide", "MatrixNormalGuide", "FullCovarianceGuide", "LayerChainedGuide"),
    *("FixedVarianceGuide", "LaplaceGuide", "AmortisedGuide", "SemiAmortisedGuide", "MAPGuide", "LangevinGuide"),
    *("SVGDGuide", "FlowGuide", "StraightThroughGuide", "GumbelSoftmaxGuide"),
)
APART = (  # guides that are no family of their own for a run's thoughts
    *("AutoGuideAdapter", "MemoryGuide"),  # made of another one
    "EmptyGuide",  # of models without thoughts
    "CategoricalGuide",  # its gradients are those of score functions, which no run's fast loop takes unasked
)


def default_priors() -> list[str]:
    """Every prior of ours with an exact density over continuous thoughts that is installed."""
    exact = [
        prior
        for prior in _concrete(priors, AbstractPrior)
        if not prior.discrete and prior.density is AbstractPrior.density
    ]
    return _in_order(exact)


def default_guides(discrete: bool) -> list[str]:
    """Every guide of ours for continuous thoughts that is installed, or those for one-hot thoughts."""
    families = [guide for guide in _concrete(guides, AbstractGuide) if guide.__name__ not in APART]
    return _in_order([guide for guide in families if guide.discrete is discrete])


def _concrete(package: ModuleType, base: Any) -> list[Any]:
    offered = [getattr(package, name) for name in package.__all__]
    return [one for one in offered if isinstance(one, type) and issubclass(one, base) and not inspect.isabstract(one)]


def _in_order(classes: Sequence[type]) -> list[str]:
    names = [one.__name__ for one in classes if _is_installed(one)]
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def _is_installed(cls: type) -> bool:
    """Whether there is what a class is made of: a flow's module, or that of what it derives from, imports zuko."""
    modules: Iterable[ModuleType] = (sys.modules[one.__module__] for one in cls.__mro__)
    return find_spec("zuko") is not None or not any(hasattr(module, "import_zuko") for module in modules)
