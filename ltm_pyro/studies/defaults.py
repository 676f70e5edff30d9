"""What a comparison takes if nothing is named."""

from __future__ import annotations

from importlib.util import find_spec

EXACT = (
    "GaussianPrior",
    "LearnedGaussianPrior",
    "StudentTPrior",
    "LaplacePrior",
    "MixturePrior",
    "VampPrior",
    "ExemplarPrior",
    "HierarchicalPrior",
    "AutoregressivePrior",
)
FLOWS = ("CouplingFlowPrior", "SplineFlowPrior")
CONTINUOUS = (
    "MeanFieldGuide",
    "LowRankGuide",
    "MatrixNormalGuide",
    "FullCovarianceGuide",
    "LayerChainedGuide",
    "FixedVarianceGuide",
    "LaplaceGuide",
    "AmortisedGuide",
    "SemiAmortisedGuide",
    "MAPGuide",
    "LangevinGuide",
    "SVGDGuide",
)
ONE_HOT = ("StraightThroughGuide", "GumbelSoftmaxGuide")


def default_priors() -> list[str]:
    """Every prior of ours with an exact density that is installed."""
    return [*EXACT, *(FLOWS if find_spec("zuko") else ())]


def default_guides(discrete: bool) -> list[str]:
    """Every guide of ours for continuous thoughts that is installed, or those for one-hot thoughts."""
    if discrete:
        return list(ONE_HOT)
    return [*CONTINUOUS, *(("FlowGuide",) if find_spec("zuko") else ())]
