"""Pyro models of text, and what they are made of.

Shapes are written with one legend everywhere: S particles, B sequences, T tokens, L layers,
K thoughts a layer, D width, H heads, V vocabulary.
"""

if __name__ != "ltm_pyro.models":
    raise ImportError(
        f"this package was imported as {__name__!r}: import it as ltm_pyro.models. "
        "The same file under two names would be two different sets of classes."
    )

from ltm_pyro.models.abstract import AbstractModel
from ltm_pyro.models.autoregressive import AutoregressiveModel
from ltm_pyro.models.decoder import AbstractDecoder, Decoder
from ltm_pyro.models.latent_thought import LatentThoughtModel
from ltm_pyro.models.masked_diffusion import MaskedDiffusionModel
from ltm_pyro.models.masked_sequence import MaskedSequence
from ltm_pyro.models.priors import (
    AbstractPrior,
    AutoregressivePrior,
    CodebookPrior,
    CodeUsage,
    CouplingFlowPrior,
    Density,
    DiffusionPrior,
    EnergyPrior,
    ExemplarPrior,
    GaussianPrior,
    HierarchicalPrior,
    LaplacePrior,
    LearnedGaussianPrior,
    Lesson,
    MixturePrior,
    Revival,
    SplineFlowPrior,
    StudentTPrior,
    ThoughtDistribution,
    UnnormalisedDistribution,
    VampPrior,
    revive,
)
from ltm_pyro.models.token_sequence import TokenSequence

__all__ = [
    "AbstractDecoder",
    "AbstractModel",
    "AbstractPrior",
    "AutoregressiveModel",
    "AutoregressivePrior",
    "CodeUsage",
    "CodebookPrior",
    "CouplingFlowPrior",
    "Decoder",
    "Density",
    "DiffusionPrior",
    "EnergyPrior",
    "ExemplarPrior",
    "GaussianPrior",
    "HierarchicalPrior",
    "LaplacePrior",
    "LatentThoughtModel",
    "LearnedGaussianPrior",
    "Lesson",
    "MaskedDiffusionModel",
    "MaskedSequence",
    "MixturePrior",
    "Revival",
    "SplineFlowPrior",
    "StudentTPrior",
    "ThoughtDistribution",
    "TokenSequence",
    "UnnormalisedDistribution",
    "VampPrior",
    "revive",
]
