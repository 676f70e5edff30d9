"""Preferences between two answers to a prompt, for learning: direct preference optimisation."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ltm_pyro.bounds import AbstractNonBound, Terms
from ltm_pyro.errors import InputError
from ltm_pyro.inference.shared_thoughts import SharedThoughts
from ltm_pyro.instances import require_instance
from ltm_pyro.ranges import NOT_NEGATIVE, POSITIVE, bounded


class AnswerScores(NamedTuple):
    """Scores log p(answer | prompt) of N pairs of answers, in nats, shape (N,) each.

    Attributes:
        chosen, rejected: under the policy, the model that learns.
        reference_chosen, reference_rejected: under the reference.
    """

    chosen: Tensor
    rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor

    @property
    def margin(self) -> Tensor:
        """Log-ratio of the chosen answer less that of the rejected one, in nats, shape (N,); zero at the reference."""
        return (self.chosen - self.reference_chosen) - (self.rejected - self.reference_rejected)


class Preference(AbstractNonBound):
    r"""Direct preference optimisation (DPO): the log-probability that the preferred answer wins. Not a bound.

    .. math:: \log \sigma\Big(\beta \Big[\log\frac{\pi_\theta(y_w \mid x)}{\pi_{ref}(y_w \mid x)}
              - \log\frac{\pi_\theta(y_l \mid x)}{\pi_{ref}(y_l \mid x)}\Big]\Big)

    (Rafailov et al., 2023, arXiv 2305.18290, equation 7, negated.) Without thoughts the log-ratios are exact. With
    thoughts the score of an answer is estimated from S draws,

    .. math:: \log \pi(y \mid x) \approx \log \tfrac1S \sum_s p(y \mid x, z_s), \quad z_s \sim q_{ref}(z \mid x)

    with the same draws for policy and reference and for both answers, so that their noise cancels in the margin. q is
    fitted on the prompt alone, and held: fitted on an answer, it would leak that answer into its own score. Each score
    is biased by at most O(1/S), as the log of a mean is; `AbstractNonBound`, so that no table shows it.

    A batch has 2N rows: the chosen answers to N prompts, then the rejected ones in the same order, each behind its
    prompt; `mask` is True at the tokens of answers. The guide is a `SharedThoughts`. `Terms.objective` and
    `Terms.log_likelihood`, the score of the chosen answer, have shape (N,), in nats per pair.

    Args:
        reference: the model that answers are compared under, such as `reference_of(model)`; it is not changed.
        beta: strength of the pull to the reference; smaller values allow larger steps from it.
        sft_weight: weight of the chosen answer's log-likelihood per token, which is added (Pang et al., 2024, arXiv
            2404.19733, equation 2, with 1): DPO alone often lowers both likelihoods.
        particles: S.

    Raises:
        InputError: for beta that is not positive; from `terms`, for an odd number of rows, or thoughts that differ
            between the two answers to a prompt.

    Example:
        >>> from ltm_pyro import AutoregressiveModel, Decoder
        >>> from ltm_pyro.inference import reference_of
        >>> model = AutoregressiveModel(Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=0, length=6))
        >>> preference = Preference(reference_of(model))
        >>> x = torch.randint(10, (4, 6))  # two chosen answers, then two rejected ones
        >>> terms = preference.terms(model, SharedThoughts(None, 4), x=x, mask=torch.ones_like(x, dtype=torch.bool))
        >>> [round(value, 4) for value in terms.objective.tolist()]
        [-0.6931, -0.6931]
    """

    @bounded(beta=POSITIVE, sft_weight=NOT_NEGATIVE)
    def __init__(self, reference: nn.Module, beta: float = 0.1, sft_weight: float = 0.0, particles: int = 1) -> None:
        require_instance("reference", reference, nn.Module, "reference_of(model)")
        if not beta > 0:
            raise InputError(f"beta={beta}: expected a positive number")
        self.reference, self.beta, self.sft_weight = reference, beta, sft_weight
        super().__init__(particles)

    def estimate(self, draws: Any) -> Tensor:
        """Score of each answer, log-mean-exp over draws of its log-likelihood, in nats, (S, B) -> (B,)."""
        log_p: Tensor = draws.log_likelihood
        return log_p.logsumexp(0) - math.log(len(log_p))

    def scores(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> AnswerScores:
        """The four scores of each pair, differentiable in the policy's weights; arguments are those of `terms`."""
        draws = self.draw(model, guide, *args, **kwargs)
        policy = _halves(self.estimate(draws))
        with torch.no_grad():
            held = SharedThoughts(_shared(draws.z.get("z")), 2 * len(policy[0]))
            reference = _halves(self.estimate(self.draw(self.reference, held, *args, **kwargs)))
        return AnswerScores(*policy, *reference)

    def terms(self, model: nn.Module, guide: nn.Module, *args: Any, **kwargs: Any) -> Terms:
        scores = self.scores(model, guide, *args, **kwargs)
        objective = logsigmoid(self.beta * scores.margin)
        if self.sft_weight:
            objective = objective + self.sft_weight * scores.chosen / _lengths(*args, **kwargs)[: len(objective)]
        return Terms(objective, scores.chosen, torch.zeros_like(objective))

    def extra_repr(self) -> str:
        return f"beta={self.beta}, sft_weight={self.sft_weight}, "


def _halves(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values of the chosen answers and of the rejected ones, (2N,) -> (N,) each."""
    if len(values) % 2:
        raise InputError(f"{len(values)} rows are no pairs: give N chosen answers, then the N rejected ones")
    chosen, rejected = values.chunk(2)
    return chosen, rejected


def _shared(z: Tensor | None) -> Tensor | None:
    """Thoughts of the prompts, (S, 2N, ...) -> (S, N, ...); None without thoughts."""
    if z is None:
        return None
    first, second = z.chunk(2, 1)
    if not torch.equal(first, second):
        raise InputError("the two answers to a prompt have different thoughts: give SharedThoughts(z) as the guide")
    return first


def _lengths(x: Tensor, mask: Tensor | None = None, **_: Any) -> Tensor:
    """Number of scored tokens of each row, (B,)."""
    return torch.full((len(x),), x.shape[1], device=x.device) if mask is None else mask.sum(-1)
