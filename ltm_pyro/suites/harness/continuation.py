"""The log-probability of a text's continuation, with thoughts fitted on its beginning."""

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
    """Of one continuation: log-probability in nats, and whether each of its tokens was the likeliest."""

    nats: float
    greedy: bool


@dataclass
class Continuations:
    r"""Scores continuations c of a text's beginning x by the predictive distribution of a posterior fitted on x.

    .. math:: \log \frac1S \sum_s p_\theta(c \mid x, z_s), \qquad z_s \sim q(z \mid x)

    For a fixed number S and fixed draws this is the log-probability of a predictor that mixes S texts' worth of
    thoughts: probabilities of all continuations add up to 1, and those of one beginning are compared under the same
    draws. It is no bound on :math:`\log p_\theta(c \mid x)`, since q is not the posterior. Where nothing is given,
    z comes from the prior. A model without thoughts gives its exact log-probability.

    Args:
        model, guide: the guide is started afresh for every beginning.
        fast: the fast loop that fits it.
        draws: S.
        seed: of all noise; the global random state is left as it was.

    Raises:
        InputError: for a model that does not write from left to right.
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
        """Score continuations of one beginning; where both are too long together, the beginning loses its first tokens.

        Raises:
            InputError: for a continuation that is longer than the model's texts.
        """
        room = self.model.decoder.length - max(map(len, continuations))
        if room < 0:
            raise InputError(
                f"a continuation of {max(map(len, continuations))} tokens is longer than this model's texts, which "
                f"hold {self.model.decoder.length}"
            )
        told = list(beginning)[len(beginning) - min(len(beginning), room) :]
        with evaluation_mode(self.model, self.guide, self.seed), torch.no_grad():
            thoughts = self._thoughts(told)
            return [self._score(told, list(continuation), thoughts) for continuation in continuations]

    def whole(self, tokens: Sequence[int]) -> float:
        """Log-likelihood of a whole text in nats: exact without thoughts, else the importance-weighted bound.

        A text longer than the model's is cut into pieces, each with thoughts of its own, that read the token before.

        Raises:
            InputError: if q has no density.
        """
        if self.model.prior is not None and not self.guide.has_density:
            raise InputError(f"q of a {type(self.guide).__name__} has no density, so that nothing bounds a text")
        length, total = self.model.decoder.length, 0.0
        with evaluation_mode(self.model, self.guide, self.seed):
            for begun in range(0, len(tokens), length):
                x = self._ids(tokens[begun : begun + length])
                previous = None if not begun else self._ids(tokens[begun - 1 : begun])[0]
                self.fast.fit(self.model, self.guide, x, previous=previous)
                fitted = under_posterior(self.model, self.guide, self._count, x=x, previous=previous)
                total += log_mean_exp(fitted.log_weight).item()
        return total

    @property
    def _count(self) -> int:
        return 1 if self.model.prior is None else self.draws

    def _thoughts(self, beginning: Sequence[int]) -> Tensor | None:
        """Thoughts that the decoder attends to, shape (S, 1, L, K, D)."""
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
        positions = torch.arange(len(beginning), x.shape[1], device=x.device)  # logits of no other are ever in memory
        logits = decoder.unembed(decoder.hidden_states(decoder.prefix_states(decoder.inputs(x)), thoughts, positions))
        each = logits.double().log_softmax(-1).view(-1, len(continuation), decoder.vocabulary)  # (S, C, V)
        asked = x[0, len(beginning) :]
        nats = each.gather(-1, asked[None, :, None].expand(len(each), -1, 1))[..., 0].cumsum(-1)  # (S, C)
        before = torch.cat((torch.zeros_like(nats[:, :1]), nats[:, :-1]), 1)
        likeliest = (before[..., None] + each).logsumexp(0).argmax(-1)
        total = (nats[:, -1].logsumexp(0) - math.log(len(each))).item()
        return ContinuationScore(total, bool((likeliest == asked).all()))

    def _ids(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor([list(tokens)], device=next(self.model.parameters()).device)
