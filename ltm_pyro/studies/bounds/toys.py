"""Models whose evidence and posterior are known, to compare bounds on."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyro
import torch

from ltm_pyro.bounds import ELBO, ScoreFunction
from ltm_pyro.guides import CategoricalGuide, MeanFieldGuide
from ltm_pyro.inference import FastLoop
from ltm_pyro.models.exact import FiniteMixture, LinearGaussian

TOYS = ("linear-gaussian", "finite-mixture")
STEPS = 200


class Toy(NamedTuple):
    """A model, its guide, its observations and the loop that fits q."""

    model: Any
    guide: Any
    batch: Any
    fast: FastLoop


def toy_named(name: str, observations: int, fast_steps: int | None, seed: int) -> Toy:
    """A toy of `TOYS`.

    Args:
        name: of the toy.
        observations: B, how many.
        fast_steps: that fit q; 200 if None.
        seed: of what is observed; torch's generator is left as it was.
    """
    pyro.enable_validation(False)
    steps = STEPS if fast_steps is None else fast_steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "linear-gaussian":
            toy = LinearGaussian(z_shape=(1, 2, 2), noise=2.5, batch=observations)
            return Toy(toy, MeanFieldGuide(toy.z_shape), toy.x, FastLoop(ELBO(), steps, 0.1))
        mixture = FiniteMixture(batch=observations)
        fast = FastLoop(ELBO(particles=8, gradient=ScoreFunction()), steps, 0.1)
        return Toy(mixture, CategoricalGuide(mixture.z_shape), mixture.x, fast)
