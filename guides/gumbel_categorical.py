"""A reparameterised categorical distribution over one-hot vectors."""

from __future__ import annotations

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.nn.functional import one_hot


class GumbelCategorical(dist.OneHotCategorical):
    r"""Gumbel-softmax: a one-hot categorical sampled by Gumbel noise g, with the gradient of a softmax.

    .. math:: \text{hard: } z = \mathrm{onehot}\,\mathrm{argmax}(\log\pi + g), \qquad
              \text{soft: } \tilde z = \mathrm{softmax}((\log\pi + g) / \tau)

    Hard samples *are* samples of the categorical (the Gumbel-max trick); their gradient is that of the soft ones. Soft
    samples are not. The density is the categorical's, :math:`z^\top \log \pi`, linear in z, and so is the KL.
    (Jang et al., 2017, arXiv 1611.01144, equations 1 and 2.)

    Args:
        logits: shape (..., C).
        temperature: tau.
        hard: whether `rsample` returns hard samples; `sample` always does.
    """

    has_rsample = True

    def __init__(
        self, logits: Tensor, temperature: float = 1.0, hard: bool = True, validate_args: bool | None = None
    ) -> None:
        self.temperature, self.hard = temperature, hard
        super().__init__(logits=logits, validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: GumbelCategorical | None = None) -> GumbelCategorical:
        """The same distribution with a larger batch shape."""
        logits = self.logits.expand(*batch_shape, *self.event_shape)
        return GumbelCategorical(logits, self.temperature, self.hard, self._validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability, shape (...), from z of shape (..., C), linear in z; log q(z) at one-hot z."""
        return (value * self.logits).sum(-1)

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Reparameterised samples, shape (*sample_shape, *batch_shape, C)."""
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        noise = -torch.empty(shape, dtype=self.logits.dtype, device=self.logits.device).exponential_().log()
        scores = self.logits + noise
        soft = (scores / self.temperature).softmax(-1)
        if not self.hard:
            return soft
        hard = one_hot(scores.detach().argmax(-1), shape[-1]).to(soft.dtype)
        return hard + (soft - soft.detach())  # in this order, so that the value is exactly one-hot

    @property
    def relaxed(self) -> bool:
        """Whether `rsample` returns values that the categorical never takes."""
        return not self.hard
