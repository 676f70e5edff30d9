"""Checks of the contracts of decoders, priors, transports, guides and bounds, for classes of your own.

The library's tests use them. Each raises an AssertionError that names the broken rule. They need the library only: run
them under pytest, or in a notebook.
"""

from ltm_pyro.testing.bounds import check_bound
from ltm_pyro.testing.decoders import check_decoder
from ltm_pyro.testing.guides import check_guide
from ltm_pyro.testing.priors import check_prior
from ltm_pyro.testing.transports import check_transport

__all__ = ["check_bound", "check_decoder", "check_guide", "check_prior", "check_transport"]
