"""The density of a prior: whether its `log_prob` is log p(z), a bound on it, or an estimate."""

from __future__ import annotations

from enum import Enum


class Density(Enum):
    r"""The kind of a prior's `log_prob`, and so which claims about log p(x) survive it; a distribution states it.

    - `EXACT`: log p(z) itself.
    - `UNBIASED`: the log of a random number whose mean is p(z). z then has company (a diffusion's noisier copies of it)
      that prior and guide draw alike, and the evidence of that larger model is the same log p(x): every bound of it
      holds, and is a little looser, or noisier, than with log p(z).
    - `BELOW`: never above log p(z). What is maximised bounds the evidence of a density that lacks mass: lower bounds
      hold, upper bounds do not.
    - `BELOW_IN_THE_MEAN`: random, with a mean that is not above log p(z). The mean of its exponential may well be above
      p(z), so that a bound that takes a logarithm of a mean of weights would be too high: only means of log-weights
      hold, as the ELBO.
    - `UNNORMALISED`: log p(z) and an unknown constant: nothing holds.
    """

    EXACT = "exact"
    UNBIASED = "unbiased estimate of p(z)"
    BELOW = "lower bound on log p(z)"
    BELOW_IN_THE_MEAN = "lower bound on log p(z) in the mean"
    UNNORMALISED = "unnormalised"

    @property
    def is_random(self) -> bool:
        """Whether two looks at one z give two numbers."""
        return self in (Density.UNBIASED, Density.BELOW_IN_THE_MEAN)

    def refusal(self, *, linear: bool, upper: bool = False) -> str | None:
        """The reason why a bound on log p(x) would not hold with such a density; None where it does.

        Args:
            linear: whether the bound is a mean of log-weights.
            upper: whether it is claimed to be an upper bound.
        """
        if self is Density.UNNORMALISED:
            return "the prior has no normaliser, so that nothing is bounded and there is no perplexity"
        if self in (Density.BELOW, Density.BELOW_IN_THE_MEAN) and upper:
            return "its density is itself a lower bound, so that nothing is bounded from above"
        if self is Density.BELOW_IN_THE_MEAN and not linear:
            return (
                "its density is a lower bound in the mean only, which a logarithm of a mean of weights turns "
                "into no bound at all: take the ELBO, or an unbiased estimate if it has one"
            )
        return None
