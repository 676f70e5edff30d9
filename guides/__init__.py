"""Pyro guides, one variational family a file."""

if __name__ != "ltm_pyro.guides":
    raise ImportError(
        f"this package was imported as {__name__!r}: import it as ltm_pyro.guides. "
        "The same file under two names would be two different sets of classes."
    )

from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.amortised import AmortisedGuide
from ltm_pyro.guides.autoguide import AutoGuideAdapter
from ltm_pyro.guides.categorical import CategoricalGuide
from ltm_pyro.guides.empty import EmptyGuide
from ltm_pyro.guides.fixed_variance import FixedVarianceGuide
from ltm_pyro.guides.flow import FlowGuide
from ltm_pyro.guides.full_covariance import FullCovarianceGuide
from ltm_pyro.guides.gumbel_softmax import GumbelSoftmaxGuide
from ltm_pyro.guides.langevin import LangevinGuide
from ltm_pyro.guides.laplace import LaplaceGuide
from ltm_pyro.guides.layer_chained import LayerChainedGuide
from ltm_pyro.guides.low_rank import LowRankGuide
from ltm_pyro.guides.map import MAPGuide
from ltm_pyro.guides.matrix_normal import MatrixNormalGuide
from ltm_pyro.guides.mean_field import MeanFieldGuide
from ltm_pyro.guides.memory import MemoryGuide
from ltm_pyro.guides.semi_amortised import SemiAmortisedGuide
from ltm_pyro.guides.straight_through import StraightThroughGuide
from ltm_pyro.guides.svgd import SVGDGuide

__all__ = [
    "AbstractGuide",
    "AmortisedGuide",
    "AutoGuideAdapter",
    "CategoricalGuide",
    "EmptyGuide",
    "FixedVarianceGuide",
    "FlowGuide",
    "FullCovarianceGuide",
    "GumbelSoftmaxGuide",
    "LangevinGuide",
    "LaplaceGuide",
    "LayerChainedGuide",
    "LowRankGuide",
    "MAPGuide",
    "MatrixNormalGuide",
    "MeanFieldGuide",
    "MemoryGuide",
    "SVGDGuide",
    "SemiAmortisedGuide",
    "StraightThroughGuide",
]
