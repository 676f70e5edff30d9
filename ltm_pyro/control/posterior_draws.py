"""Draws from the posteriors of many texts, with their densities under posterior and prior."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.guides.moments import moment
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel


class PosteriorDraws(NamedTuple):
    """S draws of z from the fitted posterior q of each of N sequences, on the CPU.

    Args:
        z: shape (S, N, L, K, D).
        log_q, log_prior: log q(z) and log p(z), shape (S, N).
        means: the posterior means, shape (N, L, K, D).
    """

    z: Tensor
    log_q: Tensor
    log_prior: Tensor
    means: Tensor

    def of(self, rows: Tensor) -> PosteriorDraws:
        """Those of some sequences, by their numbers."""
        return PosteriorDraws(self.z[:, rows], self.log_q[:, rows], self.log_prior[:, rows], self.means[rows])


def draw_posteriors(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    batches: Iterable[Batch],
    draws: int = 16,
    seed: int = 0,
    listener: Callable[[int], None] = lambda done: None,
) -> PosteriorDraws:
    """Fit q to every sequence, and draw from it.

    Args:
        model, guide: the guide is reinitialised for every batch.
        fast: the fast loop that fits the guide.
        batches: sequences, on the model's device.
        draws: S.
        seed: seed of all noise; the global random state is left as it was.
        listener: called with the number of finished sequences after each batch.
    """
    prior = model.prior
    assert prior is not None
    parts, done = [], 0
    with evaluation_mode(model, guide, seed):
        for batch in batches:
            fast.fit(model, guide, **batch.inputs)
            with torch.no_grad():
                q = guide.posterior()
                z = q.sample(torch.Size([draws]))
                parts.append(
                    PosteriorDraws(*(part.cpu() for part in (z, q.log_prob(z), prior().log_prob(z), moment(q, "mean"))))
                )
            done += len(batch.x)
            listener(done)
    z, log_q, log_prior, means = zip(*parts, strict=True)
    return PosteriorDraws(torch.cat(z, 1), torch.cat(log_q, 1), torch.cat(log_prior, 1), torch.cat(means))


def refuse_uncontrollable(model: AbstractModel, guide: Any, run: object) -> None:
    """Raise InputError for a run whose thoughts a conditional flow cannot describe.

    Args:
        model, guide: of the run.
        run: its name, for the message.
    """
    if model.prior is None:
        raise InputError(f"{run} has no thoughts to control: it is a {type(model).__name__}. Give a run with thoughts")
    if model.prior.discrete or guide.discrete:
        raise InputError(
            f"the thoughts of {run} are discrete: a flow has a density over continuous ones. Give another run"
        )
    if not guide.has_density:
        raise InputError(
            f"{run} has a {type(guide).__name__}, whose density is unknown, so that there is no ELBO to compare: give "
            "a run with another guide, such as MeanFieldGuide"
        )
    if refusal := model.prior.density.refusal(linear=True):
        raise InputError(f"{run} has a {type(model.prior).__name__}: {refusal}")
