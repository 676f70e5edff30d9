"""Pyro guides, one variational family a file."""

if __name__ != "ltm_pyro.guides":
    raise ImportError(
        f"this package was imported as {__name__!r}: import it as ltm_pyro.guides. "
        "The same file under two names would be two different sets of classes."
    )

from typing import TYPE_CHECKING

from ltm_pyro.guides.abstract import AbstractGuide as AbstractGuide
from ltm_pyro.guides.abstract_encoder import AbstractEncoder as AbstractEncoder
from ltm_pyro.guides.amortised import AmortisedGuide as AmortisedGuide
from ltm_pyro.guides.autoguide import AutoGuideAdapter as AutoGuideAdapter
from ltm_pyro.guides.categorical import CategoricalGuide as CategoricalGuide
from ltm_pyro.guides.empty import EmptyGuide as EmptyGuide
from ltm_pyro.guides.fixed_variance import FixedVarianceGuide as FixedVarianceGuide
from ltm_pyro.guides.flow import FlowGuide as FlowGuide
from ltm_pyro.guides.full_covariance import FullCovarianceGuide as FullCovarianceGuide
from ltm_pyro.guides.gumbel_softmax import GumbelSoftmaxGuide as GumbelSoftmaxGuide
from ltm_pyro.guides.langevin import LangevinGuide as LangevinGuide
from ltm_pyro.guides.laplace import LaplaceGuide as LaplaceGuide
from ltm_pyro.guides.layer_chained import LayerChainedGuide as LayerChainedGuide
from ltm_pyro.guides.low_rank import LowRankGuide as LowRankGuide
from ltm_pyro.guides.map import MAPGuide as MAPGuide
from ltm_pyro.guides.matrix_normal import MatrixNormalGuide as MatrixNormalGuide
from ltm_pyro.guides.mean_field import MeanFieldGuide as MeanFieldGuide
from ltm_pyro.guides.memory import MemoryGuide as MemoryGuide
from ltm_pyro.guides.pretrained_encoder import PretrainedEncoder as PretrainedEncoder
from ltm_pyro.guides.semi_amortised import SemiAmortisedGuide as SemiAmortisedGuide
from ltm_pyro.guides.straight_through import StraightThroughGuide as StraightThroughGuide
from ltm_pyro.guides.svgd import SVGDGuide as SVGDGuide
from ltm_pyro.offered import offered

if not TYPE_CHECKING:  # a type checker reads the lines above
    __all__ = offered(globals())
