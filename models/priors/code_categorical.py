"""The categorical distribution over one-hot codes, with a log-density that is differentiable in the codes."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.errors import InputError


class CodeCategorical(dist.OneHotCategorical):
    r"""A one-hot categorical with :math:`\log p(z) = z^\top \log \pi`, linear in z.

    At one-hot z this is the usual log-probability. Unlike Pyro's `log_prob`, which takes the largest entry of z, this
    one has values and gradients at a relaxed z, on the simplex, and gradients at a straight-through z.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability, shape (...), from z of shape (..., C).

        Raises:
            InputError: with validation on, if z is not on the simplex.
        """
        if self._validate_args and not bool(constraints.simplex.check(value).all()):
            raise InputError(
                "z is not made of codes: expected one-hot vectors, or entries between 0 and 1 with a sum of 1. A "
                "codebook's guide is CategoricalGuide, StraightThroughGuide or GumbelSoftmaxGuide"
            )
        return (value * self.logits).sum(-1)
