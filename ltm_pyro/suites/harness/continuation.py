"""Log-probability of a text's continuation, with thoughts fitted on its beginning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.bounds.weights import log_mean_exp
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.evaluation.log_weights import under_posterior
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel


class ContinuationScore(NamedTuple):
    """Score of a continuation: log-probability in nats, and True if each of its tokens is the likeliest."""

    nats: float
    greedy: bool


@dataclass
class Continuations:
    r"""Scorer of continuations c of a text's beginning x by the predictive distribution of a posterior fitted on x.

    .. math:: \log \frac1S \sum_s p_\theta(c \mid x, z_s), \qquad z_s \sim q(z \mid x)

    For fixed draws this is the log-probability of a mixture of S predictors: the probabilities of all continuations add
    up to 1, and continuations of the same beginning share the draws. It is no bound on
    :math:`\log p_\theta(c \mid x)`, since q is not the posterior. For an empty beginning, z comes from the prior. A
    model without thoughts gives its exact log-probability.

    Args:
        model, guide: the guide is reinitialised for every beginning.
        fast: fast loop that fits the guide.
        draws: S.
        seed: seed of all noise; the global random state is left as it was.

    Raises:
        InputError: for a model that does not generate from left to right.
    """

    model: AbstractModel
    guide: Any
    fast: FastLoop
    draws: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.model.exact:
            raise InputError("masked diffusion has no log-probability of a continuation: give another model")

    def score(self, beginning: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[ContinuationScore]:
        """Score continuations of a beginning, which loses its first tokens if both are too long together.

        Raises:
            InputError: for a continuation longer than the model's texts.
        """
        room = self.model.decoder.length - max(map(len, continuations))
        if room < 0:
            raise InputError(
                f"a continuation of {max(map(len, continuations))} tokens is longer than this model's texts, which "
                f"hold {self.model.decoder.length}"
            )
        context = list(beginning)[len(beginning) - min(len(beginning), room) :]
        with evaluation_mode(self.model, self.guide, self.seed), torch.no_grad():
            thoughts = self._thoughts(context)
            return [self._score(context, list(continuation), thoughts) for continuation in continuations]

    def whole(self, tokens: Sequence[int]) -> float:
        """Log-likelihood of a whole text in nats: exact without thoughts, else the importance-weighted bound.

        A text longer than the model's length is cut into pieces with separate thoughts; each piece reads the token
        before it.

        Raises:
            InputError: if q has no density.
        """
        if self.model.prior is not None and not self.guide.has_density:
            raise InputError(
                f"q of a {type(self.guide).__name__} has no density, so that there is no bound on log p(x)"
            )
        length, total = self.model.decoder.length, 0.0
        with evaluation_mode(self.model, self.guide, self.seed):
            for start in range(0, len(tokens), length):
                x = self._ids(tokens[start : start + length])
                previous = None if not start else self._ids(tokens[start - 1 : start])[0]
                self.fast.fit(self.model, self.guide, x, previous=previous)
                fitted = under_posterior(self.model, self.guide, self._count, x=x, previous=previous)
                total += log_mean_exp(fitted.log_weight).item()
        return total

    @property
    def _count(self) -> int:
        return 1 if self.model.prior is None else self.draws

    def _thoughts(self, beginning: Sequence[int]) -> Tensor | None:
        """Thoughts for the decoder's cross-attention, shape (S, 1, L, K, D)."""
        if self.model.prior is None:
            return None
        if not beginning:
            z = self.model.prior().sample((self.draws, 1))
        else:
            x = self._ids(beginning).expand(self.draws, -1)  # a posterior inference for each draw
            with torch.enable_grad():
                self.fast.fit(self.model, self.guide, x)
            z = self.guide(x)[:, None]
        return self.model.thoughts(z)

    def _score(self, beginning: list[int], continuation: list[int], thoughts: Tensor | None) -> ContinuationScore:
        if not continuation:
            return ContinuationScore(0.0, True)
        decoder = self.model.decoder
        x = self._ids([*beginning, *continuation])
        positions = torch.arange(len(beginning), x.shape[1], device=x.device)  # only these logits are computed
        logits = decoder.unembed(decoder.hidden_states(decoder.prefix_states(decoder.inputs(x)), thoughts, positions))
        log_probs = logits.double().log_softmax(-1).view(-1, len(continuation), decoder.vocabulary)  # (S, C, V)
        target = x[0, len(beginning) :]
        nats = log_probs.gather(-1, target[None, :, None].expand(len(log_probs), -1, 1))[..., 0].cumsum(-1)  # (S, C)
        before = torch.cat((torch.zeros_like(nats[:, :1]), nats[:, :-1]), 1)
        likeliest = (before[..., None] + log_probs).logsumexp(0).argmax(-1)
        total = (nats[:, -1].logsumexp(0) - math.log(len(log_probs))).item()
        return ContinuationScore(total, bool((likeliest == target).all()))

    def _ids(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor([list(tokens)], device=next(self.model.parameters()).device)
