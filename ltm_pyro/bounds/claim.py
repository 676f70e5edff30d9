"""The claim of a number about log p(x): below it, above it, or neither."""

from __future__ import annotations

from enum import Enum


class Claim(Enum):
    """The side of log p(x) on which an objective's mean over samples of z lies, at its number of particles."""

    LOWER = "lower bound"
    UPPER = "upper bound"
    UPPER_IN_THE_LIMIT = "upper bound as S → ∞"
    ESTIMATE = "estimate, NOT A BOUND"
    NONE = "NOT A BOUND"

    @property
    def is_upper(self) -> bool:
        """Whether log p(x) is below at any number of particles, so that inference brings it down, not up."""
        return self is Claim.UPPER
