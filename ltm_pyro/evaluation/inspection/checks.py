"""Posterior predictive checks: whether texts written with a text's thoughts are like it in what can be counted."""

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
    """Different tokens, as a share of all."""
    return len(x.unique()) / len(x)


def entropy(x: Tensor) -> float:
    """Of the tokens of a text, nats."""
    shares = torch.bincount(x).double() / len(x)
    return -(shares * shares.clamp_min(1e-300).log()).sum().item()


def repetition(x: Tensor) -> float:
    """Share of the pairs of neighbours that stood there before."""
    pairs = list(zip(x[:-1].tolist(), x[1:].tolist(), strict=True))
    return 1 - len(set(pairs)) / len(pairs) if pairs else math.nan


def commonest(x: Tensor) -> float:
    """Share of the commonest token."""
    return torch.bincount(x).max().item() / len(x)


def burstiness(x: Tensor) -> float:
    """How unevenly tokens fall on the two halves of a text: half the L1 distance of their shares, from 0 to 1."""
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
    """One statistic.

    Attributes:
        name: it.
        real: its mean over texts.
        written: over texts that were written with thoughts from each text's own posterior.
        prior: over texts that were written with thoughts from the prior.
        p_value: mean over texts of the share of written ones that lie above the real one, ties counted half.
        extreme: share of the texts that lie outside the middle 90 % of theirs; 0.1 is expected, less where texts are
            what q was fitted to.
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
    """Write texts as long as each real one with thoughts from its posterior, and compare.

    Every replicate is as long as its text, so that no statistic differs by length alone. (Gelman et al., 1996.)

    Args:
        model, guide, fast: as for an inspection.
        texts: token ids, (T,) each, on the model's device.
        replicates: of each.
        statistics: of one text's token ids.
    """
    real: dict[str, list[float]] = {name: [] for name in statistics}
    written: dict[str, list[list[float]]] = {name: [] for name in statistics}
    prior: dict[str, list[list[float]]] = {name: [] for name in statistics}
    for x in texts:
        rows = x.expand(replicates, -1)
        fast.fit(model, guide, rows)
        with torch.no_grad():
            z = guide(rows)
        for kept, thoughts in ((written, z), (prior, thoughts_from_prior(model, replicates))):
            copies = torch.stack(list(write(model, thoughts, rows[:, :0], len(x))), 1)
            for name, statistic in statistics.items():
                kept[name].append([statistic(copy.cpu()) for copy in copies])
        for name, statistic in statistics.items():
            real[name].append(statistic(x.cpu()))
    return [_check(name, real[name], written[name], prior[name]) for name in statistics]


def _check(name: str, real: list[float], written: list[list[float]], prior: list[list[float]]) -> Check:
    own, copies = torch.tensor(real).double()[:, None], torch.tensor(written).double()
    above = ((copies > own).double() + 0.5 * (copies == own)).mean(1)
    extreme = ((above < 0.05) | (above > 0.95)).double().mean().item()
    means = (own.mean().item(), copies.mean().item(), torch.tensor(prior).double().mean().item())
    return Check(name, *means, above.mean().item(), extreme)


def check_rows(checks: Sequence[Check]) -> list[list[str]]:
    """A table's rows, the header first."""
    header = ["statistic", "real", "written, z from q", "written, z from the prior", "p-value, mean", "outside 90 %"]
    return [header, *([c.name, *(number(v, 3) for v in c[1:])] for c in checks)]
