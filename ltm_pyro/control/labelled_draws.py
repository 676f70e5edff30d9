"""Draws from the posteriors of labelled texts, fitted to the texts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor
from torch.nn.functional import pad

from ltm_pyro.data import Batch
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel, AbstractReward


class LabelledDraws(NamedTuple):
    """S draws of z from q(z | x) of each of N texts, and the labels of the texts, on the CPU.

    Args:
        z: shape (S, N, L, K, D).
        r: labels, shape (N,), all of them known.
        x, prompts: token ids (N, T), and number of prompt tokens (N,), for a head that reads prompts; else None.
    """

    z: Tensor
    r: Tensor
    x: Tensor | None = None
    prompts: Tensor | None = None

    def of(self, rows: Tensor) -> LabelledDraws:
        """Those of some texts, by their numbers."""
        x, prompts = (None if part is None else part[rows] for part in (self.x, self.prompts))
        return LabelledDraws(self.z[:, rows], self.r[rows], x, prompts)

    def shuffled(self, generator: torch.Generator) -> LabelledDraws:
        """The same draws with the labels of other texts at random."""
        return self._replace(r=self.r[torch.randperm(len(self.r), generator=generator)])

    def log_prob(self, head: AbstractReward) -> Tensor:
        """log p(r | z) of every draw, shape (S, N), in nats."""
        return head.log_prob(self.z, self.r, self.x, self.prompts)


def draw_labelled(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    batches: Iterable[Batch],
    values: Sequence[str],
    draws: int = 16,
    seed: int = 0,
    listener: Callable[[int], None] = lambda done: None,
) -> LabelledDraws:
    """Fit q to texts alone, without their labels, and draw from it.

    Args:
        model: with a reward head.
        guide: is reinitialised for every batch; it needs no density.
        fast: the fast loop that fits the guide.
        batches: texts that all have a label, on the model's device.
        values: the values of the labels.
        draws: S.
        seed: seed of all noise; the global random state is left as it was.
        listener: called with the number of finished texts after each batch.

    Raises:
        InputError: for a model without a reward head, or texts without labels.
    """
    reward = model.reward
    if reward is None:
        raise InputError(f"this {type(model).__name__} has no reward head, so that no label is predicted")
    z, r, x, prompts = [], [], [], []
    with evaluation_mode(model, guide, seed):
        for batch in batches:
            if batch.labels is None or bool((batch.labels < 0).any()):
                raise InputError("a text has no label: give batches of labelled texts alone")
            fast.fit(model, guide, **batch.inputs)
            with torch.no_grad(), pyro.plate("particles", draws, dim=-2):
                z.append(guide(**batch.inputs).cpu())
            r.append(reward.of_labels(batch.labels, values).cpu())
            if reward.prompt and batch.prompts is not None:
                x.append(pad(batch.x, (0, model.decoder.length - batch.x.shape[1])).cpu())
                prompts.append(batch.prompts.cpu())
            listener(sum(map(len, r)))
    if not r:
        raise InputError("no text has a label: expected at least one")
    read = (torch.cat(x), torch.cat(prompts)) if x else (None, None)
    return LabelledDraws(torch.cat(z, 1), torch.cat(r), *read)
