"""Log-likelihoods and log-weights of a batch under many draws of z, in chunks that bound the memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor, nn

from ltm_pyro.bounds import Draws, ImportanceWeighted


class Posterior(NamedTuple):
    """Draws from a fitted guide: (S, B) log-likelihoods and log-weights, and the KL with its split by layer."""

    draws: Draws
    log_likelihood: Tensor  # (S, B)
    log_weight: Tensor  # (S, B)
    kl: Tensor  # (B,)
    kl_per_layer: Tensor | None  # (B, L)
    kl_closed_form: bool


@torch.no_grad()
def under_posterior(model: nn.Module, guide: Any, draws: int, at_once: int = 8, **batch: Any) -> Posterior:
    """Score a batch under `draws` fresh samples of the fitted guide, `at_once` in one pass."""
    samples = Draws(model, guide, (), batch, draws, at_once, check_site=ImportanceWeighted().check_site)
    kl = samples.kl()
    per_layer = None if kl.per_layer is None else kl.per_layer.mean(0)
    return Posterior(samples, samples.log_likelihood, samples.log_weight, kl.total.mean(0), per_layer, kl.closed_form)


@torch.no_grad()
def log_likelihood_under(model: nn.Module, guide: Any, draws: int, at_once: int = 8, **batch: Any) -> Tensor:
    """log p(x | z) with `draws` fresh samples of the fitted guide, which needs no density; shape (S, B)."""
    return draws_of(model, guide, draws, at_once, **batch).log_likelihood


@torch.no_grad()
def draws_of(model: nn.Module, guide: Any, draws: int, at_once: int = 8, **batch: Any) -> Draws:
    """Fresh samples of a fitted guide that need not have a density, with log p(x | z)."""
    return Draws(model, guide, (), batch, draws, at_once)


@torch.no_grad()
def under_prior(model: nn.Module, draws: int, at_once: int = 8, **batch: Any) -> Tensor:
    """log p(x | z) with `draws` samples of z from the model's prior, shape (S, B)."""
    parts = []
    for size in _chunks(draws, at_once):
        with pyro.plate("particles", size, dim=-2):
            trace = pyro.poutine.trace(model).get_trace(**batch)
        trace.compute_log_prob(lambda name, site: site["is_observed"])
        sites = [site for site in trace.nodes.values() if site["type"] == "sample" and site["is_observed"]]
        values = [site["log_prob"].expand(size, site["log_prob"].shape[-1]) for site in sites]
        parts.append(torch.stack(values).sum(0))
    return torch.cat(parts)


def _chunks(draws: int, at_once: int) -> list[int]:
    full, remainder = divmod(draws, at_once)
    return [at_once] * full + [remainder] * bool(remainder)
