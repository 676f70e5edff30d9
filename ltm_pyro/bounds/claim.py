"""The claim of an objective about log p(x): lower bound, upper bound, or neither."""

from __future__ import annotations

from enum import Enum


class Claim(Enum):
    """Relation of an objective's mean over samples of z to log p(x), at its number of particles."""

    LOWER = "lower bound"
    UPPER = "upper bound"
    UPPER_IN_THE_LIMIT = "upper bound as S → ∞"
    ESTIMATE = "estimate, NOT A BOUND"
    NONE = "NOT A BOUND"

    @property
    def is_upper(self) -> bool:
        """Whether it is an upper bound at any number of particles, which inference minimises."""
        return self is Claim.UPPER
