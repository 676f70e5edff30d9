"""A categorical guide over discrete thoughts."""

from __future__ import annotations

import pyro.distributions as dist

from ltm_pyro.guides.code_guide import AbstractCodeGuide


class CategoricalGuide(AbstractCodeGuide):
    r"""Independent categoricals over codes, :math:`q(z) = \prod_{l,k} \mathrm{Categorical}(z_{lk}; \pi_{lk})`.

    Samples are not reparameterised: gradients come from `ScoreFunction()`, `VIMCO()` or another estimator that needs no
    path, and are unbiased. `StraightThroughGuide` and `GumbelSoftmaxGuide` are reparameterised, and biased.

    Args:
        z_shape: (L, K, C) with C codes.
    """

    def posterior(self) -> dist.Distribution:
        return dist.OneHotCategorical(logits=self.logits).to_event(2)
