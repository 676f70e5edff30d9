"""Discrete thoughts, each with probabilities of its own."""

from __future__ import annotations

import pyro.distributions as dist

from ltm_pyro.guides.code_guide import AbstractCodeGuide


class CategoricalGuide(AbstractCodeGuide):
    r"""One-hot thoughts, :math:`q(z) = \prod_{l,k} \mathrm{Categorical}(z_{lk}; \pi_{lk})`, one row a sequence.

    It cannot be reparameterised: its gradient is `ScoreFunction()`, `VIMCO()` or another that needs no path, and
    unbiased with those. `StraightThroughGuide` and `GumbelSoftmaxGuide` have a path, and a bias.

    Args:
        z_shape: (L, K, C) with C codes.
    """

    def posterior(self) -> dist.Distribution:
        return dist.OneHotCategorical(logits=self.logits).to_event(2)
