"""Checks of the contracts that decoders, priors, guides and bounds keep, for classes of your own.

The library's tests use them. Each raises AssertionError, which says what does not hold. They need nothing but the
library: run them under pytest, or in a notebook.
"""

from ltm_pyro.testing.bounds import check_bound
from ltm_pyro.testing.decoders import check_decoder
from ltm_pyro.testing.guides import check_guide
from ltm_pyro.testing.priors import check_prior

__all__ = ["check_bound", "check_decoder", "check_guide", "check_prior"]
