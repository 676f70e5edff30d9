"""A reward head for labels that are numbers, such as returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.models.rewards.abstract import AbstractReward


class GaussianReward(AbstractReward):
    r"""Gaussian reward head, for numbers such as returns.

    .. math:: p_\theta(r \mid z, c) = \mathcal{N}\big(r;\, m + s f_\theta(z, c),\, (s \sigma)^2\big)

    m and s are mean and standard deviation of the training labels, buffers that `prepare_labels` sets (0 and 1 before);
    σ is learned, one for all z, and 1 at the start. Densities are in the units of r; NaN is a missing label.

    Args:
        z_shape: (L, K, D).
        hidden, pooled, prompt: as of `AbstractReward`.

    Example:
        >>> GaussianReward((2, 2, 4))(torch.zeros(5, 2, 2, 4)).mean
        tensor([0., 0., 0., 0., 0.], grad_fn=<AddBackward0>)
    """

    numeric: ClassVar[bool] = True

    center: Tensor
    scale: Tensor

    def __init__(
        self, z_shape: tuple[int, int, int], hidden: int = 64, pooled: bool = False, prompt: bool = False
    ) -> None:
        super().__init__(z_shape, 1, hidden, pooled, prompt)
        self.log_sigma = nn.Parameter(torch.zeros(()))
        self.register_buffer("center", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def prepare_labels(self, values: Sequence[str], labels: Tensor) -> None:
        r = self.of_labels(labels, values)
        r = r[self.known(r)]
        if len(r) < 2 or not r.double().std() > 0:
            raise InputError(
                f"the training labels are {len(r)} numbers without a spread: a GaussianReward needs at least two that "
                "differ"
            )
        self._standardise(r)

    @torch.no_grad()
    def set_marginal(self, r: Tensor) -> None:
        """Make p(r | z) the Gaussian with mean and standard deviation of these labels, for every z."""
        self._standardise(r)
        for weight in (self.out.weight, self.out.bias, self.log_sigma):
            weight.zero_()

    def _standardise(self, r: Tensor) -> None:
        self.center.fill_(float(r.double().mean()))
        self.scale.fill_(float(r.double().std()))

    def forward(self, z: Tensor, context: Tensor | None = None) -> Distribution:
        mean = self.center + self.scale * self.outputs_of(z, context)[..., 0]
        return dist.Normal(mean, self.scale * self.log_sigma.exp())

    def known(self, r: Tensor) -> Tensor:
        return ~r.isnan()

    def of_labels(self, labels: Tensor, values: Sequence[str]) -> Tensor:
        numbers = [*(number_of(value) for value in values), math.nan]  # the last one is that of index -1
        return torch.tensor(numbers, dtype=self.out.weight.dtype, device=labels.device)[labels.long()]


def number_of(value: str) -> float:
    """The finite number that a label's text is.

    Raises:
        InputError: for any other text.
    """
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            f"the label {value[:40]!r} is no finite number, as a GaussianReward expects: give numbers, or "
            "CategoricalReward for labels with a few values"
        )
    return number
