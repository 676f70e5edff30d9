"""The protocol of the paper's released code, which is not a bound; named for what it is.

One draw of the noise is kept for all fast steps and for the reported number, so that (mu, sigma) are fitted to
that very draw. Kept here so that published numbers can be compared with like ones.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ltm_pyro.bounds import ELBO, FixedNoise
from ltm_pyro.guides import MeanFieldGuide
from ltm_pyro.inference import FastLoop

START = math.exp(-2.5)  # log sigma² = -5
RATE, FINAL_FRACTION, DECAY = 0.3, 0.1, 0.01  # AdamW's default weight decay acts on mu and log sigma


def fixed_noise_cost(model: nn.Module, z_shape: tuple[int, int, int], steps: int, seed: int, **batch: Any) -> Tensor:
    """What the released code would report for a batch, nats per sequence, shape (B,). Not a bound."""
    guide, objective = MeanFieldGuide(z_shape, sigma=START), FixedNoise(ELBO(), seed)
    decayed = partial(torch.optim.AdamW, weight_decay=DECAY)
    FastLoop(objective, steps, RATE, FINAL_FRACTION, optimizer=decayed).fit(model, guide, **batch)
    with torch.no_grad():
        return -objective.terms(model, guide, **batch).objective
