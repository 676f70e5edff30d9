"""Comparison of the aggregated posterior with the prior: moments, densities and a two-sample test."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor

from ltm_pyro.data import Batch
from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
from ltm_pyro.inference import FastLoop
from ltm_pyro.models import AbstractModel, AbstractPrior
from ltm_pyro.models.priors import Density

AT_ONCE = 32  # thoughts whose density is computed at once: a mixture keeps all its components in memory


class MMD(NamedTuple):
    """Maximum mean discrepancy (MMD) of two samples, with the result of a permutation test.

    Attributes:
        squared: unbiased estimate of MMD²; about zero, of either sign, if both samples have the same distribution.
        null_95: 95 % quantile of MMD² under permutation.
        p_value: share of permutations with an MMD² at least as large, the observed split included.
    """

    squared: float
    null_95: float
    p_value: float


@dataclass(frozen=True)
class Aggregate:
    r"""Statistics of thoughts from the aggregated posterior :math:`\bar q(z) = \frac1N \sum_n q_n(z)` and from p(z).

    The best prior for a set of texts is their aggregated posterior: the KL between the two is a cost without gain
    (Hoffman and Johnson, 2016, ELBO surgery), and texts generated from the prior start from thoughts of no text.

    Attributes:
        sequences: N; one z from each sequence's posterior, and N from the prior.
        mmd: MMD between both samples of whole z.
        norms, prior_norms: E‖z_lk‖ by layer, under q̄ and under p.
        variances, prior_variances: variance of a dimension over sequences, mean by layer, under q̄ and under p.
        log_prior, log_prior_error: mean of log p(z) under q̄, nats per sequence; NaN if the density is not exact.
        own_log_prior, own_log_prior_error: mean of log p(z) under p; if it is higher than under q̄, samples of q̄ lie
            outside the prior's mass.
    """

    sequences: int
    mmd: MMD
    norms: list[float]
    prior_norms: list[float]
    variances: list[float]
    prior_variances: list[float]
    log_prior: float
    log_prior_error: float
    own_log_prior: float
    own_log_prior_error: float

    def to_record(self) -> dict[str, Any]:
        """Flat dictionary of plain numbers; layers are counted from 1."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, list | MMD)}
        record = {"mmd2": self.mmd.squared, "mmd2_null_95": self.mmd.null_95, "mmd_p_value": self.mmd.p_value}
        for name in ("norm", "prior_norm", "variance", "prior_variance"):
            record |= {f"{name}_layer_{layer}": value for layer, value in enumerate(getattr(self, f"{name}s"), 1)}
        return {**record, **plain}


def aggregate_against_prior(
    model: AbstractModel,
    guide: Any,
    fast: FastLoop,
    batches: Iterable[Batch],
    permutations: int = 999,
    seed: int = 0,
) -> Aggregate:
    """Fit q to every sequence, draw one z from each posterior, and compare with as many samples of the prior.

    Args:
        model, guide: a model with latent thoughts; the guide is reinitialised for every batch.
        fast: the fast loop that fits the guide.
        batches: held-out sequences, on the model's device.
        permutations: number of permutations; the p-value is at least 1 / (permutations + 1).
        seed: seed of all noise; the global random state is left as it was.
    """
    prior = model.prior
    assert prior is not None
    with evaluation_mode(model, guide, seed):
        z = torch.cat([_fitted(model, guide, fast, batch) for batch in batches])  # (N, L, K, D)
        return _compared(z, prior, permutations, next(model.parameters()).device)


def mmd(a: Tensor, b: Tensor, permutations: int = 999) -> MMD:
    r"""Maximum mean discrepancy of two samples, with a permutation test that both come from one distribution.

    .. math:: \frac{1}{n(n-1)} \sum_{i \ne j} \left[k(a_i, a_j) + k(b_i, b_j)\right]
        - \frac{2}{n^2} \sum_{ij} k(a_i, b_j)

    for samples of equal size n, with :math:`k(x, y) = e^{-\|x - y\|^2 / m}`, m the median of the squared distances in
    the pooled sample, so that the kernel is symmetric in both. Draws from torch's global generator.

    Args:
        a, b: samples of shape (N, L, K, D) and (M, L, K, D); all results are NaN if N or M is below two.
        permutations: number of permutations of the test.

    (Gretton et al., 2012, A Kernel Two-Sample Test, lemma 6.)
    """
    if min(len(a), len(b)) < 2:
        return MMD(math.nan, math.nan, math.nan)
    distances = _squared_distances(torch.cat([a, b]))
    count = len(distances)
    pairs = distances[~torch.eye(count, dtype=torch.bool)]
    kernel = torch.exp(-distances / pairs.median().clamp_min(torch.finfo(distances.dtype).tiny)).fill_diagonal_(0)
    observed = torch.arange(count) < len(a)
    shuffled = torch.rand(permutations, count).argsort(-1) < len(a)
    squared, null = _discrepancies(kernel, observed[None])[0], _discrepancies(kernel, shuffled)
    exceedances = int((null >= squared - 1e-12).sum())
    return MMD(squared.item(), null.quantile(0.95).item(), (1 + exceedances) / (1 + permutations))


def _discrepancies(kernel: Tensor, first: Tensor) -> Tensor:
    """MMD² of each split of the pooled sample, (P,), from a kernel without its diagonal and (P, N + M) masks."""
    ours, theirs = first.to(kernel), (~first).to(kernel)
    n, m = ours.sum(-1), theirs.sum(-1)
    inner = ((ours @ kernel) * ours).sum(-1) / (n * (n - 1)) + ((theirs @ kernel) * theirs).sum(-1) / (m * (m - 1))
    return inner - 2 * ((ours @ kernel) * theirs).sum(-1) / (n * m)


def _squared_distances(z: Tensor) -> Tensor:
    """Pairwise squared distances of (N, L, K, D), in float64, shape (N, N)."""
    total = torch.zeros(len(z), len(z), dtype=torch.float64)
    for layer in z.unbind(1):
        flat = layer.flatten(1).double()
        flat = flat - flat.mean(0)  # near the origin differences keep their digits
        norms = flat.square().sum(-1)
        total += norms[:, None] + norms - 2 * flat @ flat.T
    return total.clamp_min(0)


def _fitted(model: AbstractModel, guide: Any, fast: FastLoop, batch: Batch) -> Tensor:
    """One z from every sequence's fitted posterior, (B, L, K, D)."""
    fast.fit(model, guide, **batch.inputs)
    with torch.no_grad():
        return pyro.poutine.trace(guide).get_trace(**batch.inputs).nodes["z"]["value"].cpu()


@torch.no_grad()
def _compared(z: Tensor, prior: AbstractPrior, permutations: int, device: torch.device) -> Aggregate:
    prior_z = torch.cat([prior().sample((len(part),)).cpu() for part in z.split(AT_ONCE)])
    densities = [_log_prior(sample, prior, device) for sample in (z, prior_z)]
    return Aggregate(
        len(z),
        mmd(z, prior_z, permutations),
        _norms(z),
        _norms(prior_z),
        _variances(z),
        _variances(prior_z),
        *densities[0],
        *densities[1],
    )


def _norms(z: Tensor) -> list[float]:
    return z.double().norm(dim=-1).mean((0, 2)).tolist()


def _variances(z: Tensor) -> list[float]:
    return z.double().var(0).mean((1, 2)).tolist()


def _log_prior(z: Tensor, prior: AbstractPrior, device: torch.device) -> tuple[float, float]:
    """Mean of log p(z) with its standard error; NaN if the prior declares that its density is not exact."""
    if prior.density is not Density.EXACT:
        return math.nan, math.nan
    p = prior()
    nats = torch.cat([p.log_prob(part.to(device)).double().cpu() for part in z.split(AT_ONCE)])
    return nats.mean().item(), (nats.std() / len(nats) ** 0.5).item()
