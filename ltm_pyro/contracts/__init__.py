"""Quick checks of the contracts of decoders, priors, transports, guides and bounds, at any size.

`ltm_pyro.testing` starts with these checks; training runs them on classes from outside the library before it starts.
Each raises `BrokenContractError`, an AssertionError whose message names the broken rule.
"""

from ltm_pyro.contracts.bounds import check_terms, check_value
from ltm_pyro.contracts.broken import BrokenContractError, asking, require
from ltm_pyro.contracts.decoders import check_causality, check_features
from ltm_pyro.contracts.guides import check_posterior, check_reading, check_rows
from ltm_pyro.contracts.priors import check_distribution, check_expansion, check_repetition
from ltm_pyro.contracts.transports import check_thoughts

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
    "check_thoughts",
    "check_value",
    "require",
]
