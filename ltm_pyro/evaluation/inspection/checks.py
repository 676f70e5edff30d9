"""Posterior predictive checks: statistics of texts against those of replicates generated with their thoughts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ltm_pyro.generation import thoughts_from_prior, write
from ltm_pyro.inference import FastLoop
from ltm_pyro.tables import number


def tokens_used(x: Tensor) -> float:
    """Number of different tokens over the number of tokens."""
    return len(x.unique()) / len(x)


def entropy(x: Tensor) -> float:
    """Entropy of the token frequencies of a text, nats."""
    shares = torch.bincount(x).double() / len(x)
    return -(shares * shares.clamp_min(1e-300).log()).sum().item()


def repetition(x: Tensor) -> float:
    """Share of adjacent token pairs that repeat an earlier pair."""
    pairs = list(zip(x[:-1].tolist(), x[1:].tolist(), strict=True))
    return 1 - len(set(pairs)) / len(pairs) if pairs else math.nan


def commonest(x: Tensor) -> float:
    """Relative frequency of the most frequent token."""
    return torch.bincount(x).max().item() / len(x)


def burstiness(x: Tensor) -> float:
    """Total variation distance between the token frequencies of the two halves of a text, from 0 to 1."""
    half = len(x) // 2
    if not half:
        return math.nan
    counts = [torch.bincount(part, minlength=int(x.max()) + 1).double() for part in (x[:half], x[half : 2 * half])]
    return ((counts[0] - counts[1]).abs().sum() / (2 * half)).item()


STATISTICS: dict[str, Callable[[Tensor], float]] = {
    "different tokens, share": tokens_used,
    "entropy of tokens, nats": entropy,
    "repeated pairs, share": repetition,
    "commonest token, share": commonest,
    "difference of the halves": burstiness,
}


class Check(NamedTuple):
    """Posterior predictive check of one statistic.

    Attributes:
        name: name of the statistic.
        real: mean over the real texts.
        written: mean over replicates generated with thoughts from each text's posterior.
        prior: mean over replicates generated with thoughts from the prior.
        p_value: share of a text's replicates with a larger value, ties counted half; mean over texts.
        extreme: share of texts outside the middle 90 % of their replicates; 0.1 is expected, less if q was fitted to
            the same texts.
    """

    name: str
    real: float
    written: float
    prior: float
    p_value: float
    extreme: float


def predictive_checks(
    model: Any,
    guide: Any,
    fast: FastLoop,
    texts: Sequence[Tensor],
    replicates: int = 20,
    statistics: dict[str, Callable[[Tensor], float]] = STATISTICS,
) -> list[Check]:
    """Generate replicates of each text with thoughts from its posterior, and compare their statistics.

    Every replicate is as long as its text, so that no statistic differs by length alone. (Gelman et al., 1996.)

    Args:
        model, guide, fast: as for an inspection.
        texts: token ids, (T,) each, on the model's device.
        replicates: number of replicates of each text.
        statistics: functions of one text's token ids, by name.
    """
    real: dict[str, list[float]] = {name: [] for name in statistics}
    posterior: dict[str, list[list[float]]] = {name: [] for name in statistics}
    prior: dict[str, list[list[float]]] = {name: [] for name in statistics}
    for x in texts:
        rows = x.expand(replicates, -1)
        fast.fit(model, guide, rows)
        with torch.no_grad():
            z = guide(rows)
        for results, thoughts in ((posterior, z), (prior, thoughts_from_prior(model, replicates))):
            copies = torch.stack(list(write(model, thoughts, rows[:, :0], len(x))), 1)
            for name, statistic in statistics.items():
                results[name].append([statistic(copy.cpu()) for copy in copies])
        for name, statistic in statistics.items():
            real[name].append(statistic(x.cpu()))
    return [_check(name, real[name], posterior[name], prior[name]) for name in statistics]


def _check(name: str, real: list[float], posterior: list[list[float]], prior: list[list[float]]) -> Check:
    texts, copies = torch.tensor(real).double()[:, None], torch.tensor(posterior).double()
    above = ((copies > texts).double() + 0.5 * (copies == texts)).mean(1)
    extreme = ((above < 0.05) | (above > 0.95)).double().mean().item()
    means = (texts.mean().item(), copies.mean().item(), torch.tensor(prior).double().mean().item())
    return Check(name, *means, above.mean().item(), extreme)


def check_rows(checks: Sequence[Check]) -> list[list[str]]:
    """Rows of a table, the header first."""
    header = ["statistic", "real", "written, z from q", "written, z from the prior", "p-value, mean", "outside 90 %"]
    return [header, *([c.name, *(number(v, 3) for v in c[1:])] for c in checks)]
