"""The objective of inference for a guide."""

from __future__ import annotations

from ltm_pyro.bounds import AbstractObjective
from ltm_pyro.inference.contracts import Guide


def objective_for(guide: Guide, bound: AbstractObjective) -> AbstractObjective:
    """The bound; without its claim if the guide has no density."""
    return bound if guide.has_density else bound.without_claim()
