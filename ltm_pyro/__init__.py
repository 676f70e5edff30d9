"""Latent Thought Models as Pyro programs: priors, guides and bounds are swapped in one line.

Shapes are written with one legend everywhere: S particles, B sequences, T tokens, L layers,
K thoughts a layer, D width, H heads, V vocabulary. A bound is in nats per sequence, higher is better.
"""

from ltm_pyro.bounds import ELBO, AbstractBound, AbstractObjective, ImportanceWeighted, KLWeighted, Terms
from ltm_pyro.errors import InputError
from ltm_pyro.guides import AbstractGuide, EmptyGuide, MeanFieldGuide
from ltm_pyro.inference import DualRateSVI, FastLoop, NonFiniteError, SlowStep
from ltm_pyro.models import (
    AbstractModel,
    AbstractPrior,
    AutoregressiveModel,
    Decoder,
    GaussianPrior,
    LatentThoughtModel,
    TokenSequence,
)

__version__ = "0.1.0"

__all__ = [
    "ELBO",
    "AbstractBound",
    "AbstractGuide",
    "AbstractModel",
    "AbstractObjective",
    "AbstractPrior",
    "AutoregressiveModel",
    "Decoder",
    "DualRateSVI",
    "EmptyGuide",
    "FastLoop",
    "GaussianPrior",
    "ImportanceWeighted",
    "InputError",
    "KLWeighted",
    "LatentThoughtModel",
    "MeanFieldGuide",
    "NonFiniteError",
    "SlowStep",
    "Terms",
    "TokenSequence",
]
