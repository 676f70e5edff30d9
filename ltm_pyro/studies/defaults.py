"""Default priors and guides of a comparison: the suitable ones among those that their packages offer."""

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

ORDER = (  # order in tables, the reference of the comparison first; other names come last
    *("GaussianPrior", "LearnedGaussianPrior", "StudentTPrior", "LaplacePrior", "MixturePrior", "VampPrior"),
    *("ExemplarPrior", "HierarchicalPrior", "AutoregressivePrior", "CouplingFlowPrior", "SplineFlowPrior"),
    *("MeanFieldGuide", "LowRankGuide", "MatrixNormalGuide", "FullCovarianceGuide", "LayerChainedGuide"),
    *("FixedVarianceGuide", "LaplaceGuide", "AmortisedGuide", "SemiAmortisedGuide", "MAPGuide", "LangevinGuide"),
    *("SVGDGuide", "FlowGuide", "StraightThroughGuide", "GumbelSoftmaxGuide"),
)
APART = (  # guides left out of comparisons by default
    *("AutoGuideAdapter", "MemoryGuide"),  # wrap another guide
    "EmptyGuide",  # for models without thoughts
    "CategoricalGuide",  # needs score-function gradients, which a fast loop does not use by default
)


def default_priors() -> list[str]:
    """Names of the library's priors with an exact density over continuous thoughts, as far as installed."""
    exact = [
        prior
        for prior in _concrete(priors, AbstractPrior)
        if not prior.discrete and prior.density is AbstractPrior.density
    ]
    return _in_order(exact)


def default_guides(discrete: bool) -> list[str]:
    """Names of the library's guides for continuous or for one-hot (`discrete`) thoughts, as far as installed."""
    families = [guide for guide in _concrete(guides, AbstractGuide) if guide.__name__ not in APART]
    return _in_order([guide for guide in families if guide.discrete is discrete])


def _concrete(package: ModuleType, base: Any) -> list[Any]:
    offered = [getattr(package, name) for name in package.__all__]
    return [cls for cls in offered if isinstance(cls, type) and issubclass(cls, base) and not inspect.isabstract(cls)]


def _in_order(classes: Sequence[type]) -> list[str]:
    names = [cls.__name__ for cls in classes if _is_installed(cls)]
    return sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def _is_installed(cls: type) -> bool:
    """Check that the optional dependency of a class is installed: modules of flows import zuko."""
    modules: Iterable[ModuleType] = (sys.modules[ancestor.__module__] for ancestor in cls.__mro__)
    return find_spec("zuko") is not None or not any(hasattr(module, "import_zuko") for module in modules)
