r"""A law of a loss against compute, fitted to measured cells, with intervals over texts and seeds."""

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

APART = 1.05  # the least ratio of two budgets that count as different
LEAST: dict[Kind, tuple[int, float]] = {"power": (5, 4.0), "logarithmic": (3, 1.5)}  # different budgets, and their span
EXPONENTS = 0.02, 5.0  # beyond them a power law is, over any span there is, a straight line in log C, or a step
COARSE, FINE, ZOOMS = 60, 41, 5


@dataclass(frozen=True)
class Cell:
    """One model at one budget.

    Attributes:
        compute: C, what it spent.
        nats: of each text in each seed's run, shape (seeds, texts).
        tokens: of each text, shape (texts,), the same texts in every cell.
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
        parameters: a, b and, of the power law, c.
        intervals: of each, from the bootstrap.
        reference: C0.
        residual: root mean square of what the law leaves of the cells' losses, on its degrees of freedom.
        noise: what of it the spread over seeds would explain; NaN if no cell has several.
        cells, budgets: how many there are, and how many different budgets.
        seeds: the least that a cell has.
        level: of the intervals.
        remark: why it is not the power law; empty if it is.
        draws: the bootstrap's parameters, shape (draws, parameters).
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
        """The law's loss at some budgets, shape (N,)."""
        return _curve(self.kind, np.array([list(self.parameters.values())]), compute / self.reference)[0]

    def band(self, compute: Array) -> tuple[Array, Array]:
        """The bootstrap's interval of the law's loss at each budget, two of shape (N,)."""
        tail = 50 * (1 - self.level)
        low, high = np.percentile(_curve(self.kind, self.draws, compute / self.reference), [tail, 100 - tail], axis=0)
        return low, high

    def to_dict(self) -> dict[str, Any]:
        """All of it but the draws, for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "draws"}


def fit_law(cells: Sequence[Cell], draws: int = 1000, seed: int = 0, level: float = 0.95) -> Law:
    r"""Fit a law by least squares over cells.

    A power law needs five different budgets over a span of four; with fewer, or where its exponent is not to be told
    from a line's, it is :math:`L = a + b \ln C`. Given c, a and b are those of a linear regression; c is searched for.

    The intervals are of texts and seeds. Each draw takes the texts anew, the same in all cells, and for each cell's
    seeds deviations from the pool of all cells, as a few seeds alone tell too little of how they spread: widened by
    :math:`\sqrt{n / (n - 1)}`, being deviations from a mean of n, and by the root of an inverse :math:`\chi^2`, as in
    Student's t. One seed a cell leaves the intervals to the texts alone. What the law itself cannot follow is not in
    them: compare `residual` with `noise`.

    Args:
        cells: of one text.
        draws: of the bootstrap.
        seed: of the bootstrap.
        level: of the intervals.

    Raises:
        InputError: if there are too few cells for any law.
    """
    compute = np.array([cell.compute for cell in cells])
    kind, remark = _kind(compute)
    reference = float(np.exp(np.log(compute).mean()))
    x = compute / reference
    losses = np.array([cell.losses.mean() for cell in cells])
    if kind == "power":
        found = _fit(kind, x, losses[None])[0]
        edge = [bound for bound in EXPONENTS if math.isclose(found[-1], bound, rel_tol=1e-3)]
        if edge:
            kind, remark = "logarithmic", f"the best exponent is at the edge of what is searched, {edge[0]:g}"
    found = _fit(kind, x, losses[None])[0]
    sampled = _fit(kind, x, _resampled(cells, draws, np.random.default_rng(seed)))
    tail = 50 * (1 - level)
    lows, highs = np.percentile(sampled, [tail, 100 - tail], axis=0)
    names = ("a", "b", "c")[: len(found)]
    left = losses - _curve(kind, found[None], x)[0]
    spread = _deviations(cells)
    return Law(
        kind=kind,
        parameters=dict(zip(names, map(float, found), strict=True)),
        intervals={n: (float(low), float(high)) for n, low, high in zip(names, lows, highs, strict=True)},
        reference=reference,
        residual=math.sqrt(float((left**2).sum()) / (len(cells) - len(found))) if len(cells) > len(found) else math.nan,
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
    """How many budgets differ from the one below by 5 % or more."""
    count, last = 0, 0.0
    for one in np.sort(compute):
        if one >= last * APART:
            count, last = count + 1, one
    return count


def _kind(compute: Array) -> tuple[Kind, str]:
    """The richest law that so many budgets can tell, and why it is no richer."""
    budgets = different(compute)
    span = float(compute.max() / compute.min()) if len(compute) else 1.0
    there = f"there are {budgets} different budgets (5 % apart) over a factor of {span:.3g}"
    for kind, (count, least) in LEAST.items():
        if budgets >= count and span >= least:
            if kind == "power":
                return kind, ""
            more, wider = LEAST["power"]
            return kind, f"a power law needs {more} different budgets over a factor of {wider:g}, and {there}"
    count, least = LEAST["logarithmic"]
    raise InputError(
        f"no law can be fitted: it needs {count} different budgets over a factor of {least:g}, and {there}. Add "
        "values of fast_steps, layers or width to the grid"
    )


def _fit(kind: Kind, x: Array, losses: Array) -> Array:
    """Parameters by least squares of each row of losses, (N, cells) -> (N, 2 or 3)."""
    log_x = np.log(x)
    if kind == "logarithmic":
        return np.stack([each[:, 0] for each in _regress(log_x[None, None], losses)[:2]], -1)
    exponents = np.geomspace(*EXPONENTS, COARSE)[None].repeat(len(losses), 0)  # (N, candidates)
    rows = np.arange(len(losses))
    for _ in range(1 + ZOOMS):
        above, slope, left = _regress(np.exp(-exponents[..., None] * log_x), losses)
        best = left.argmin(-1)
        found = np.stack([each[rows, best] for each in (above, slope, exponents)], -1)
        low, high = (exponents[rows, np.clip(best + step, 0, exponents.shape[1] - 1)] for step in (-1, 1))
        exponents = np.geomspace(low, high, FINE, axis=-1)
    return found


def _regress(features: Array, losses: Array) -> tuple[Array, Array, Array]:
    """Intercept, slope and squared error of each row of losses on each of its features.

    Args:
        features: shape (N or 1, candidates, cells).
        losses: shape (N, cells).

    Returns:
        Three of shape (N, candidates).
    """
    middle = features.mean(-1)
    centred = features - middle[..., None]
    wanted = (losses - losses.mean(-1, keepdims=True))[:, None]
    slope = (centred * wanted).sum(-1) / (centred**2).sum(-1)
    left = ((wanted - slope[..., None] * centred) ** 2).sum(-1)
    return losses.mean(-1)[:, None] - slope * middle, slope, left


def _resampled(cells: Sequence[Cell], draws: int, generator: np.random.Generator) -> Array:
    """The cells' losses with texts and seeds drawn anew, shape (draws, cells)."""
    texts = len(cells[0].tokens)
    taken = generator.multinomial(texts, np.full(texts, 1 / texts), size=draws).astype(float)  # (draws, texts)
    found = taken @ np.stack([cell.nats.mean(0) for cell in cells], -1) / (taken @ cells[0].tokens)[:, None]
    pool = _deviations(cells)
    if len(pool):
        free = len(pool) - sum(len(cell.nats) > 1 for cell in cells)
        scale = np.sqrt(free / generator.chisquare(free, draws))  # how little so many seeds tell of their own spread
        for place, cell in enumerate(cells):
            found[:, place] += scale * generator.choice(pool, (draws, len(cell.nats))).mean(-1)
    return found


def _deviations(cells: Sequence[Cell]) -> Array:
    """How far each seed's loss is from its cell's mean, widened, of the cells that have several."""
    several = [cell.losses for cell in cells if len(cell.nats) > 1]
    parts = [(losses - losses.mean()) * math.sqrt(len(losses) / (len(losses) - 1)) for losses in several]
    return np.concatenate([*parts, np.zeros(0)])


def _curve(kind: Kind, parameters: Array, x: Array) -> Array:
    """Losses at x = C / C0 under each row of parameters, (P, 2 or 3) and (N,) -> (P, N)."""
    a, b = parameters[:, :1], parameters[:, 1:2]
    return a + b * (np.log(x) if kind == "logarithmic" else x ** -parameters[:, 2:])
