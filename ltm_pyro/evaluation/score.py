"""Scores of texts: nats per token, bits per byte and perplexity, with standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LN2 = math.log(2)


@dataclass(frozen=True)
class Score:
    """Costs of all sequences under one bound or likelihood, and the numbers that follow from them.

    Attributes:
        label: name of the cost in tables.
        nats: cost of each sequence, shape (N,): minus a bound, or minus a log-likelihood.
        tokens: scored tokens of each sequence, shape (N,).
        bytes: UTF-8 bytes those tokens stand for, shape (N,).
        is_bound: True if the true cost is, in expectation, no higher than this cost.
    """

    label: str
    nats: np.ndarray
    tokens: np.ndarray
    bytes: np.ndarray
    is_bound: bool = True

    @property
    def nats_per_token(self) -> float:
        """Σ nats / Σ tokens over the corpus."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def standard_error(self) -> float:
        """Standard error of nats per token over sequences, by the delta method for a ratio of sums; NaN for N = 1."""
        return ratio_error(self.nats, self.tokens)

    @property
    def bits_per_byte(self) -> float:
        """Σ nats / (ln 2 · Σ bytes)."""
        return float(self.nats.sum() / (LN2 * self.bytes.sum())) if self.bytes.sum() else math.nan

    @property
    def bits_per_byte_error(self) -> float:
        """Standard error of bits per byte, over sequences."""
        return ratio_error(self.nats / LN2, self.bytes)

    @property
    def perplexity(self) -> float:
        """Perplexity of the corpus: exp(Σ nats / Σ tokens)."""
        return _exp(self.nats_per_token)

    @property
    def perplexity_error(self) -> float:
        """Standard error of the perplexity: that of nats per token, times the perplexity."""
        return self.perplexity * self.standard_error

    @property
    def mean_sequence_perplexity(self) -> float:
        """Mean over sequences of exp(nats / tokens): another definition, and not the corpus's perplexity."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nats / self.tokens).mean())

    def minus(self, other: Score) -> tuple[float, float]:
        """Difference to another score of the same sequences, nats per token, with its paired standard error."""
        difference = self.nats - other.nats
        return float(difference.sum() / self.tokens.sum()), ratio_error(difference, self.tokens)

    def to_dict(self) -> dict:
        """Plain numbers for JSON."""
        numbers = ("nats_per_token", "standard_error", "bits_per_byte", "bits_per_byte_error", "perplexity")
        return {
            "label": self.label,
            "is_bound": self.is_bound,
            **{name: getattr(self, name) for name in (*numbers, "perplexity_error", "mean_sequence_perplexity")},
            "sequences": len(self.nats),
            "tokens": int(self.tokens.sum()),
            "bytes": int(self.bytes.sum()),
        }


def ratio_error(above: np.ndarray, below: np.ndarray) -> float:
    """Standard error of Σ above / Σ below for independent sequences."""
    count = len(above)
    if count < 2 or not below.sum():
        return math.nan
    residual = above - below * (above.sum() / below.sum())
    return float(math.sqrt(count / (count - 1) * (residual**2).sum()) / below.sum())


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf
