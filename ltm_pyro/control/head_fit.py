"""Maximum-likelihood fit of a reward head alone to draws of posteriors, stopped by other texts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from ltm_pyro.control.labelled_draws import LabelledDraws
from ltm_pyro.errors import InputError
from ltm_pyro.models import AbstractReward

CALIBRATION = 0.2  # share of the texts that stop a fit
LEAST_TEXTS = 5


@dataclass(frozen=True)
class HeadFit:
    """Settings of a fit.

    Args:
        epochs: the most passes over the texts, each with all draws of each.
        batch_size: texts in a batch.
        learning_rate, weight_decay: of AdamW.
        patience: epochs without a better likelihood of the calibration texts after which the fit ends.
    """

    epochs: int = 200
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    patience: int = 20


def fresh_head(like: AbstractReward, vocabulary: int, r: Tensor) -> AbstractReward:
    """A new head of the same class and sizes, which gives every z the marginal distribution of the labels r, (N,).

    Args:
        like: the head of a model.
        vocabulary: V, for a head that reads prompts.
        r: labels of training texts, all of them known.
    """
    head = type(like)(**like.made_with)
    head.prepare(vocabulary)
    head.to(next(like.parameters()).dtype)
    head.set_marginal(r)
    return head


def fit_head(
    head: AbstractReward, draws: LabelledDraws, settings: HeadFit | None = None, seed: int = 0
) -> AbstractReward:
    r"""Fit a head to posteriors that stay as they are, :math:`\max_\theta \sum_n \mathbb{E}_q \log p_\theta(r_n \mid
    z_n)`, in place.

    The weights of the epoch with the highest likelihood of the calibration texts are kept, the start included: a head
    that learns nothing stays what it was.

    Args:
        head: at its start, as of `fresh_head`.
        draws: of training texts; a fifth of them, chosen by the seed, stops the fit.
        settings: of the fit.
        seed: of division, order and weights; the global random state is left as it was.

    Returns:
        The head, in evaluation mode.

    Raises:
        InputError: for fewer than five texts.
    """
    settings, count = settings or HeadFit(), len(draws.r)
    if count < LEAST_TEXTS:
        raise InputError(f"{count} labelled texts: expected {LEAST_TEXTS} or more, of which one in five stops the fit")
    generator = torch.Generator().manual_seed(seed)
    order, cut = torch.randperm(count, generator=generator), max(1, round(CALIBRATION * count))
    fitting, calibration = draws.of(order[cut:]), draws.of(order[:cut])
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    best, state, waited = _likelihood(head, calibration), deepcopy(head.state_dict()), 0
    for _ in range(settings.epochs):
        for rows in _batches(len(fitting.r), settings.batch_size, generator):
            optimizer.zero_grad()
            (-fitting.of(rows).log_prob(head).mean()).backward()
            optimizer.step()
        likelihood = _likelihood(head, calibration)
        waited += 1
        if likelihood > best:
            best, state, waited = likelihood, deepcopy(head.state_dict()), 0
        if waited >= settings.patience:
            break
    head.load_state_dict(state)
    return head.eval()


def _batches(count: int, size: int, generator: torch.Generator) -> Sequence[Tensor]:
    return torch.randperm(count, generator=generator).split(size)


@torch.no_grad()
def _likelihood(head: AbstractReward, draws: LabelledDraws) -> float:
    return draws.log_prob(head).double().mean().item()
