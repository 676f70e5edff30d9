"""The density of a prior: whether its `log_prob` is log p(z), a bound on it, or an estimate."""

from __future__ import annotations

from enum import Enum


class Density(Enum):
    r"""Relation of a prior's `log_prob` to log p(z), which decides the bounds on log p(x) that are valid with it.

    - `EXACT`: log p(z) itself.
    - `UNBIASED`: the log of a random number whose mean is p(z). The model then has auxiliary variables (a diffusion's
      noisier copies of z) with the same distribution under prior and guide, and the evidence of this larger model is
      the same log p(x): every bound on it is valid, and a little looser, or noisier, than with log p(z).
    - `BELOW`: never above log p(z), hence the log of a density with a mass of at most 1: lower bounds are valid, upper
      bounds are not.
    - `BELOW_IN_THE_MEAN`: random, with a mean that is not above log p(z). The mean of its exponential can exceed p(z),
      so that a bound with a logarithm of a mean of weights would be too high: only means of log-weights, as the ELBO,
      are valid.
    - `UNNORMALISED`: log p(z) plus an unknown constant: no bound is valid.
    """

    EXACT = "exact"
    UNBIASED = "unbiased estimate of p(z)"
    BELOW = "lower bound on log p(z)"
    BELOW_IN_THE_MEAN = "lower bound on log p(z) in the mean"
    UNNORMALISED = "unnormalised"

    @property
    def is_random(self) -> bool:
        """Whether `log_prob` is random at a given z."""
        return self in (Density.UNBIASED, Density.BELOW_IN_THE_MEAN)

    def refusal(self, *, linear: bool, upper: bool = False) -> str | None:
        """The reason why a bound on log p(x) is not valid with this density; None if it is valid.

        Args:
            linear: whether the bound is a mean of log-weights.
            upper: whether the bound is claimed to be an upper one.
        """
        if self is Density.UNNORMALISED:
            return "the prior has an unknown normaliser, so that there is no bound and no perplexity"
        if self in (Density.BELOW, Density.BELOW_IN_THE_MEAN) and upper:
            return "its density is itself a lower bound, so that there is no upper bound on log p(x)"
        if self is Density.BELOW_IN_THE_MEAN and not linear:
            return (
                "its density is a lower bound in the mean only, with which the logarithm of a mean of weights is no "
                "bound: take the ELBO, or an unbiased estimate if the prior has one"
            )
        return None
