r"""Scaling law of a loss against compute, fitted to measured cells, with intervals over texts and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ltm_pyro.errors import InputError

Array = NDArray[np.float64]
Kind = Literal["power", "logarithmic"]

APART = 1.05  # least ratio of budgets that count as different
LEAST: dict[Kind, tuple[int, float]] = {"power": (5, 4.0), "logarithmic": (3, 1.5)}  # different budgets, and their span
EXPONENTS = 0.02, 5.0  # outside this range a power law is a straight line in log C, or a step
COARSE, FINE, ZOOMS = 60, 41, 5


@dataclass(frozen=True)
class Cell:
    """Losses of a model at one budget.

    Attributes:
        compute: C, the compute spent.
        nats: nats of each text for each seed, shape (seeds, texts).
        tokens: tokens of each text, shape (texts,), the same texts in every cell.
    """

    compute: float
    nats: Array
    tokens: Array

    @property
    def losses(self) -> Array:
        """Nats per token of each seed, shape (seeds,)."""
        return self.nats.sum(-1) / self.tokens.sum()


@dataclass(frozen=True)
class Law:
    r""":math:`L = a + b\,(C / C_0)^{-c}`, or :math:`L = a + b \ln (C / C_0)`, with C0 the budgets' geometric mean.

    Attributes:
        kind: `power` or `logarithmic`.
        parameters: a, b and, for the power law, c.
        intervals: bootstrap interval of each parameter.
        reference: C0.
        residual: root mean square of the residuals of the cells' losses, by degrees of freedom.
        noise: residual expected from the spread over seeds alone; NaN if no cell has several seeds.
        cells, budgets: numbers of cells and of different budgets.
        seeds: least number of seeds of a cell.
        level: level of the intervals.
        remark: reason for the logarithmic law; empty for the power law.
        draws: parameters of the bootstrap, shape (draws, parameters).
    """

    kind: Kind
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    reference: float
    residual: float
    noise: float
    cells: int
    budgets: int
    seeds: int
    level: float
    remark: str
    draws: Array

    def __call__(self, compute: Array) -> Array:
        """Loss of the law at given budgets, shape (N,)."""
        return _curve(self.kind, np.array([list(self.parameters.values())]), compute / self.reference)[0]

    def band(self, compute: Array) -> tuple[Array, Array]:
        """Bootstrap interval of the law's loss at each budget, two arrays of shape (N,); empty without draws."""
        if not len(self.draws):
            return np.empty(0), np.empty(0)
        tail = 50 * (1 - self.level)
        low, high = np.percentile(_curve(self.kind, self.draws, compute / self.reference), [tail, 100 - tail], axis=0)
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, without the draws."""
        return {name: value for name, value in asdict(self).items() if name != "draws"}


def fit_law(cells: Sequence[Cell], draws: int = 1000, seed: int = 0, level: float = 0.95) -> Law:
    r"""Fit a law by least squares over cells.

    A power law needs five different budgets over a factor of four; with fewer, or if the best exponent lies at the edge
    of the search range, the law is :math:`L = a + b \ln C`. Given c, linear regression gives a and b; a grid search
    gives c.

    The intervals cover texts and seeds. Each draw of the bootstrap resamples the texts, the same in all cells, and the
    seeds of each cell, as deviations from the pool of all cells, since a few seeds alone estimate their spread poorly.
    The deviations are widened by :math:`\sqrt{n / (n - 1)}`, being deviations from a mean of n, and by the root of an
    inverse :math:`\chi^2`, as in Student's t. With one seed per cell the intervals cover the texts alone. The intervals
    do not cover a misfit of the law: compare `residual` with `noise`.

    Args:
        cells: cells with the same texts.
        draws: number of draws of the bootstrap.
        seed: seed of the bootstrap.
        level: level of the intervals.

    Raises:
        InputError: if there are too few cells for any law.
    """
    compute = np.array([cell.compute for cell in cells])
    kind, remark = _kind(compute)
    reference = float(np.exp(np.log(compute).mean()))
    x = compute / reference
    losses = np.array([cell.losses.mean() for cell in cells])
    if kind == "power":
        fitted = _fit(kind, x, losses[None])[0]
        edge = [bound for bound in EXPONENTS if math.isclose(fitted[-1], bound, rel_tol=1e-3)]
        if edge:
            kind, remark = "logarithmic", f"the best exponent is at the edge of the search range, {edge[0]:g}"
    fitted = _fit(kind, x, losses[None])[0]
    sampled = _fit(kind, x, _resampled(cells, draws, np.random.default_rng(seed)))
    tail = 50 * (1 - level)
    lows, highs = np.percentile(sampled, [tail, 100 - tail], axis=0)
    names = ("a", "b", "c")[: len(fitted)]
    residuals = losses - _curve(kind, fitted[None], x)[0]
    spread = _deviations(cells)
    return Law(
        kind=kind,
        parameters=dict(zip(names, map(float, fitted), strict=True)),
        intervals={n: (float(low), float(high)) for n, low, high in zip(names, lows, highs, strict=True)},
        reference=reference,
        residual=math.sqrt(float((residuals**2).sum()) / (len(cells) - len(fitted)))
        if len(cells) > len(fitted)
        else math.nan,
        noise=math.sqrt(float((spread**2).mean() * np.mean([1 / len(cell.nats) for cell in cells])))
        if len(spread)
        else math.nan,
        cells=len(cells),
        budgets=different(compute),
        seeds=min(len(cell.nats) for cell in cells),
        level=level,
        remark=remark,
        draws=sampled,
    )


def different(compute: Array) -> int:
    """Number of different budgets, which are at least 5 % apart."""
    count, last = 0, 0.0
    for budget in np.sort(compute):
        if budget >= last * APART:
            count, last = count + 1, budget
    return count


def _kind(compute: Array) -> tuple[Kind, str]:
    """Kind of law that the budgets allow, and the reason if it is not the power law."""
    budgets = different(compute)
    span = float(compute.max() / compute.min()) if len(compute) else 1.0
    status = f"there are {budgets} different budgets (5 % apart) over a factor of {span:.3g}"
    for kind, (count, least) in LEAST.items():
        if budgets >= count and span >= least:
            if kind == "power":
                return kind, ""
            more, wider = LEAST["power"]
            return kind, f"a power law needs {more} different budgets over a factor of {wider:g}, and {status}"
    count, least = LEAST["logarithmic"]
    raise InputError(
        f"no law can be fitted: it needs {count} different budgets over a factor of {least:g}, and {status}. Add "
        "values of fast_steps, layers or width to the grid"
    )


def _fit(kind: Kind, x: Array, losses: Array) -> Array:
    """Parameters by least squares of each row of losses, (N, cells) -> (N, 2 or 3)."""
    log_x = np.log(x)
    if kind == "logarithmic":
        return np.stack([column[:, 0] for column in _regress(log_x[None, None], losses)[:2]], -1)
    exponents = np.geomspace(*EXPONENTS, COARSE)[None].repeat(len(losses), 0)  # (N, candidates)
    rows = np.arange(len(losses))
    for _ in range(1 + ZOOMS):
        intercept, slope, error = _regress(np.exp(-exponents[..., None] * log_x), losses)
        best = error.argmin(-1)
        parameters = np.stack([values[rows, best] for values in (intercept, slope, exponents)], -1)
        low, high = (exponents[rows, np.clip(best + step, 0, exponents.shape[1] - 1)] for step in (-1, 1))
        exponents = np.geomspace(low, high, FINE, axis=-1)
    return parameters


def _regress(features: Array, losses: Array) -> tuple[Array, Array, Array]:
    """Intercept, slope and squared error of the regression of each row of losses on each of its features.

    Args:
        features: shape (N or 1, candidates, cells).
        losses: shape (N, cells).

    Returns:
        Three arrays of shape (N, candidates).
    """
    middle = features.mean(-1)
    centred = features - middle[..., None]
    target = (losses - losses.mean(-1, keepdims=True))[:, None]
    slope = (centred * target).sum(-1) / (centred**2).sum(-1)
    error = ((target - slope[..., None] * centred) ** 2).sum(-1)
    return losses.mean(-1)[:, None] - slope * middle, slope, error


def _resampled(cells: Sequence[Cell], draws: int, generator: np.random.Generator) -> Array:
    """Losses of the cells with resampled texts and seeds, shape (draws, cells)."""
    texts = len(cells[0].tokens)
    counts = generator.multinomial(texts, np.full(texts, 1 / texts), size=draws).astype(float)  # (draws, texts)
    losses = counts @ np.stack([cell.nats.mean(0) for cell in cells], -1) / (counts @ cells[0].tokens)[:, None]
    pool = _deviations(cells)
    if len(pool):
        free = len(pool) - sum(len(cell.nats) > 1 for cell in cells)
        scale = np.sqrt(free / generator.chisquare(free, draws))  # uncertainty of the estimated spread
        for place, cell in enumerate(cells):
            losses[:, place] += scale * generator.choice(pool, (draws, len(cell.nats))).mean(-1)
    return losses


def _deviations(cells: Sequence[Cell]) -> Array:
    """Deviations of each seed's loss from its cell's mean, widened, for cells with several seeds."""
    several = [cell.losses for cell in cells if len(cell.nats) > 1]
    parts = [(losses - losses.mean()) * math.sqrt(len(losses) / (len(losses) - 1)) for losses in several]
    return np.concatenate([*parts, np.zeros(0)])


def _curve(kind: Kind, parameters: Array, x: Array) -> Array:
    """Losses at x = C / C0 under each row of parameters, (P, 2 or 3) and (N,) -> (P, N)."""
    a, b = parameters[:, :1], parameters[:, 1:2]
    return a + b * (np.log(x) if kind == "logarithmic" else x ** -parameters[:, 2:])
