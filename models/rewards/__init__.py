"""Reward heads p(r | z, prompt), one a file: each is a module whose forward returns a distribution of the label r."""

from typing import TYPE_CHECKING

from ltm_pyro.models.rewards.abstract import AbstractReward as AbstractReward
from ltm_pyro.models.rewards.categorical import CategoricalReward as CategoricalReward
from ltm_pyro.models.rewards.gaussian import GaussianReward as GaussianReward
from ltm_pyro.offered import offered

if not TYPE_CHECKING:  # a type checker reads the lines above
    __all__ = offered(globals())
