"""Transports of the prior, one a file: each is a module T from z0 ~ p(z0) to the thoughts that the decoder reads."""

from typing import TYPE_CHECKING

from ltm_pyro.models.transports.abstract import AbstractTransport as AbstractTransport
from ltm_pyro.models.transports.mlp import MLPTransport as MLPTransport
from ltm_pyro.models.transports.transformer import TransformerTransport as TransformerTransport
from ltm_pyro.offered import offered

if not TYPE_CHECKING:  # a type checker reads the lines above
    __all__ = offered(globals())
