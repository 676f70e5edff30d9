"""What is followed for a guide."""

from __future__ import annotations

from typing import Any

from ltm_pyro.bounds import AbstractObjective


def objective_for(guide: Any, bound: AbstractObjective) -> AbstractObjective:
    """The bound itself, which claims nothing where the guide says that it has no density."""
    return bound if getattr(guide, "has_density", True) else bound.unclaimed()
