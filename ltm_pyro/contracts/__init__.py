"""The part of the contracts of decoders, priors, guides and bounds that takes a moment to check, whatever their sizes.

`ltm_pyro.testing` begins with these checks; training makes them of classes that are not the library's own before any
work is done. Each raises `BrokenContractError`, an AssertionError that says what does not hold.
"""

from ltm_pyro.contracts.bounds import check_terms, check_value
from ltm_pyro.contracts.broken import BrokenContractError, asking, require
from ltm_pyro.contracts.decoders import check_causality, check_features
from ltm_pyro.contracts.guides import check_posterior, check_reading, check_rows
from ltm_pyro.contracts.priors import check_distribution, check_expansion, check_repetition

__all__ = [
    "BrokenContractError",
    "asking",
    "check_causality",
    "check_distribution",
    "check_expansion",
    "check_features",
    "check_posterior",
    "check_reading",
    "check_repetition",
    "check_rows",
    "check_terms",
    "check_value",
    "require",
]
