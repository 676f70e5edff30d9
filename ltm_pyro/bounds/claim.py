"""The claim of a number about log p(x): below it, above it, or neither."""

from __future__ import annotations

from enum import Enum


class Claim(Enum):
    """What the mean of an objective, over its samples of z, says about log p(x) at the number of particles it has."""

    LOWER = "lower bound"
    UPPER = "upper bound"
    UPPER_IN_THE_LIMIT = "upper bound as S → ∞"
    ESTIMATE = "estimate, NOT A BOUND"
    NONE = "NOT A BOUND"

    @property
    def is_upper(self) -> bool:
        """Whether log p(x) is below at any number of particles, so that inference brings it down, not up."""
        return self is Claim.UPPER
