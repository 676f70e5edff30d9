"""Pyro guides, one variational family a file."""

if __name__ != "ltm_pyro.guides":
    raise ImportError(
        f"this package was imported as {__name__!r}: import it as ltm_pyro.guides. "
        "The same file under two names would be two different sets of classes."
    )

from ltm_pyro.guides.abstract import AbstractGuide
from ltm_pyro.guides.categorical import CategoricalGuide
from ltm_pyro.guides.empty import EmptyGuide
from ltm_pyro.guides.gumbel_softmax import GumbelSoftmaxGuide
from ltm_pyro.guides.mean_field import MeanFieldGuide
from ltm_pyro.guides.straight_through import StraightThroughGuide

__all__ = [
    "AbstractGuide",
    "CategoricalGuide",
    "EmptyGuide",
    "GumbelSoftmaxGuide",
    "MeanFieldGuide",
    "StraightThroughGuide",
]
