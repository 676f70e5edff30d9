"""The categorical distribution over one-hot codes, with a density that has a slope along them."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.errors import InputError


class CodeCategorical(dist.OneHotCategorical):
    r"""A one-hot categorical with :math:`\log p(z) = z^\top \log \pi`, linear in z.

    At one-hot z this is the usual density. A relaxed z, on the simplex, or a straight-through one, finds in it a value
    and a slope that the usual one, which looks for the largest entry, does not have.
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Shape (...), from z of shape (..., C).

        Raises:
            InputError: with validation on, if z is not on the simplex.
        """
        if self._validate_args and not bool(constraints.simplex.check(value).all()):
            raise InputError(
                "z holds no codes: they are one-hot, or between 0 and 1 with a sum of 1. A codebook's guide is "
                "CategoricalGuide, StraightThroughGuide or GumbelSoftmaxGuide"
            )
        return (value * self.logits).sum(-1)
