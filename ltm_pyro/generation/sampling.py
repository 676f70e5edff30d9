"""Sampling of the next token from its logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from torch import Tensor
from torch.nn.functional import softmax

from ltm_pyro.errors import InputError
from ltm_pyro.models.drawing import draw

COLDEST, HOTTEST = 1e-30, 1e30  # beyond, float32 gives the same as for 0, or for equal probabilities


@dataclass(frozen=True)
class Sampling:
    """Temperature, top-k and top-p of the distribution that the next token is drawn from.

    Args:
        temperature: divides the logits; 0, like any temperature below 1e-30, takes the most likely token, the first of
            several. With temperatures other than 1 the text is no sample of the model.
        top_k: draw from the k most likely tokens only; 0 draws from all.
        top_p: draw from the fewest tokens whose probabilities add up to p (Holtzman et al., 2020), at least from the
            most likely one; 1 draws from all.

    Raises:
        InputError: for values out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (_number(self.temperature) and 0 <= self.temperature < math.inf):  # NaN too
            raise InputError(f"temperature={self.temperature}: expected 0 (the most likely token) or a positive number")
        if not (_number(self.top_k) and isinstance(self.top_k, Integral) and self.top_k >= 0):
            raise InputError(f"top_k={self.top_k}: expected 0 (all tokens) or a positive whole number")
        if not (_number(self.top_p) and 0 < self.top_p <= 1):
            raise InputError(f"top_p={self.top_p}: expected a probability above 0, up to 1 (all tokens)")

    @property
    def greedy(self) -> bool:
        """True if the most likely token is taken, without a random draw."""
        return self.temperature < COLDEST

    def probabilities(self, logits: Tensor) -> Tensor:
        """Distribution of the next token, shape (..., V), from logits (..., V)."""
        if self.greedy:
            return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
        if self.temperature != 1:  # relative to the largest logit, whose quotient is then 0 and not infinite
            logits = (logits - logits.amax(-1, keepdim=True)) / min(self.temperature, HOTTEST)
        if self.top_k and self.top_k < logits.shape[-1]:
            indices = logits.topk(self.top_k).indices
            logits = torch.full_like(logits, -torch.inf).scatter(-1, indices, logits.gather(-1, indices))
        if self.top_p < 1:
            logits = logits.masked_fill(_beyond(logits, self.top_p), -torch.inf)
        return softmax(logits, -1)

    def draw(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The next tokens, shape (N,)."""
        if self.greedy:
            return logits.argmax(-1)
        return draw(self.probabilities(logits), generator)


def _number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _beyond(logits: Tensor, top_p: float) -> Tensor:
    """Mask of the tokens outside the nucleus, shape (..., V): the likelier ones already add up to `top_p`."""
    ordered, order = softmax(logits, -1).sort(-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    outside[..., 0] = False  # the most likely token stays, however small `top_p` is
    return torch.zeros_like(outside).scatter(-1, order, outside)
