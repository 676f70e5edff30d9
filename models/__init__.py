"""Pyro models of text, their decoders and their priors.

Shapes are written with one legend everywhere: S particles, B sequences, T tokens, L layers,
K thoughts a layer, D width, H heads, V vocabulary.
"""

if __name__ != "ltm_pyro.models":
    raise ImportError(
        f"this package was imported as {__name__!r}: import it as ltm_pyro.models. "
        "The same file under two names would be two different sets of classes."
    )

from typing import TYPE_CHECKING

from ltm_pyro.models.abstract import AbstractModel as AbstractModel
from ltm_pyro.models.autoregressive import AutoregressiveModel as AutoregressiveModel
from ltm_pyro.models.decoder import AbstractDecoder as AbstractDecoder
from ltm_pyro.models.decoder import Decoder as Decoder
from ltm_pyro.models.decoder import PretrainedDecoder as PretrainedDecoder
from ltm_pyro.models.latent_thought import LatentThoughtModel as LatentThoughtModel
from ltm_pyro.models.masked_diffusion import MaskedDiffusionModel as MaskedDiffusionModel
from ltm_pyro.models.masked_sequence import MaskedSequence as MaskedSequence
from ltm_pyro.models.priors import *  # noqa: F403  # all that is listed there
from ltm_pyro.models.rewards import *  # noqa: F403  # all that is listed there
from ltm_pyro.models.token_sequence import TokenSequence as TokenSequence
from ltm_pyro.models.transports import *  # noqa: F403
from ltm_pyro.offered import offered

if not TYPE_CHECKING:  # a type checker reads the lines above
    __all__ = offered(globals())
