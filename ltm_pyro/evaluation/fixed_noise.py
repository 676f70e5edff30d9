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
from torch.distributions import Distribution

from ltm_pyro.bounds import ELBO
from ltm_pyro.guides import AbstractGuide, MeanFieldGuide
from ltm_pyro.inference import FastLoop

START = math.exp(-2.5)  # log sigma² = -5
RATE, FINAL_FRACTION, DECAY = 0.3, 0.1, 0.01  # AdamW's default weight decay acts on mu and log sigma


class SameNoise(AbstractGuide):
    """A guide whose every call draws the same noise: what is fitted with it must not be scored with it.

    Args:
        guide: any guide with reparameterised noise.
        seed: of the noise.
    """

    def __init__(self, guide: AbstractGuide, seed: int) -> None:
        super().__init__(guide.z_shape)
        self.guide, self.seed = guide, seed

    def start(self, x: Tensor, mask: Tensor | None = None, prior: Distribution | None = None) -> None:
        self.guide.start(x, mask, prior)

    def local_parameters(self) -> list[Tensor]:
        return self.guide.local_parameters()

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor | None:
        with torch.random.fork_rng(devices=[x.device] if x is not None and x.is_cuda else []):
            torch.manual_seed(self.seed)
            return self.guide(x, mask, batch_size, previous)


def fixed_noise_cost(model: nn.Module, z_shape: tuple[int, int, int], steps: int, seed: int, **batch: Any) -> Tensor:
    """What the released code would report for a batch, nats per sequence, shape (B,). Not a bound."""
    guide = SameNoise(MeanFieldGuide(z_shape, sigma=START), seed)
    decayed = partial(torch.optim.AdamW, weight_decay=DECAY)
    FastLoop(ELBO(), steps, RATE, FINAL_FRACTION, optimizer=decayed).fit(model, guide, **batch)
    with torch.no_grad():
        return -ELBO().terms(model, guide, **batch).bound
