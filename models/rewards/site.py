"""The site `r` of a text's label, beside its site `x`."""

from __future__ import annotations

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.models.rewards.abstract import AbstractReward


def label_site(
    reward: AbstractReward | None,
    z: Tensor,
    x: Tensor | None,
    r: Tensor | None,
    prompts: Tensor | None,
    writes: bool,
) -> None:
    """Sample or observe the site `r` within the plate of sequences.

    A missing label is marginal: its site is masked, since p(r | z) sums to one over r. So is the label of a text that
    is scored without r: there is no site then.

    Args:
        reward: the head; None has no site.
        z: value of the site `z`, shape (..., B, L, K, D).
        x: token ids of the texts, shape (B, T), whose prompt the head may read.
        r: labels to observe, shape (B,).
        prompts: number of prompt tokens of each text, (B,).
        writes: whether texts are written, so that a label is sampled with them.

    Raises:
        InputError: for labels without a head, or of another number than the texts.
    """
    if reward is None:
        if r is not None:
            raise InputError(
                "r is given to a model without a reward head: make LatentThoughtModel(prior, decoder, "
                "reward=CategoricalReward(prior.z_shape)), or leave r out"
            )
        return
    if r is None and not writes:
        return
    p = reward(z, None if writes and prompts is None else reward.context_of(x, prompts))  # without a prompt, c = 0
    if r is None:
        pyro.sample("r", p)
        return
    if r.dim() != 1 or (x is not None and len(r) != len(x)):
        texts = "" if x is None else f" for {len(x)} texts"
        raise InputError(f"r has shape {tuple(r.shape)}{texts}: expected (B,), a label for each text")
    known = reward.known(r)
    with poutine.mask(mask=known):
        pyro.sample("r", p, obs=torch.where(known, r, torch.zeros_like(r)))
