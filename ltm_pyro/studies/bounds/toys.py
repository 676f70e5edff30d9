"""Toy models with known evidence and posterior, for comparisons of bounds."""

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
    """Model, guide, observations and fast loop of a toy."""

    model: Any
    guide: Any
    batch: Any
    fast: FastLoop


def toy_named(name: str, observations: int, fast_steps: int | None, seed: int) -> Toy:
    """Toy by its name in `TOYS`.

    Args:
        name: name of the toy.
        observations: B, number of observations.
        fast_steps: number of fast steps; 200 if None.
        seed: seed of the observations; torch's generator is left as it was.
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
