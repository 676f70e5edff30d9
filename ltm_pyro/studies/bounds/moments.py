"""Moments of gradient estimators from independent draws: bias against a reference, variance, signal-to-noise ratio.

Norms in many dimensions are dominated by noise: ‖mean of N draws‖² exceeds ‖true mean‖² by trace Σ / N on average. All
squared norms here are unbiased, since they are means of products of *different* draws, and so can be negative.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCKS = 10  # blocks of the jackknife
HEAVY = 0.2  # share of the variance in one draw that counts as a heavy tail
PAIRS = 2000  # largest number of differences for the estimate of tr Σ²


class Reference(NamedTuple):
    """Reference of a mean gradient: draws of an unbiased estimator (M, B, G), or the exact gradient (1, B, G)."""

    label: str
    gradients: Tensor
    exact: bool = False


def describe(sample: Tensor, reference: Reference) -> dict[str, Any]:
    """Statistics of the draws of an estimator.

    Args:
        sample: N draws of the gradient of each of B sequences, shape (N, B, G).
        reference: reference for the same bound and S.

    Returns:
        Numbers by name: `norm`, ‖E g‖, `variance`, tr Var g, and `bias_squared`, ‖E g - reference‖², are means over
        sequences (of the squares); `snr` is the root of the ratio of the first two; `snr_coordinates` the mean of
        |mean| / sd over coordinates (Rainforth et al., 2018, arXiv 1802.04537), whose value for pure noise is
        `snr_coordinates_of_noise`; `bias_along` is the bias along the reference as a fraction of its length.
        `heavy_tails` warns that a single draw makes up much of a sequence's variance, so that the errors are too small.
    """
    sample = sample.double()
    count = len(sample)
    norm2, variance = _norm_and_variance(sample.sum(0), sample.square().sum((0, 2)), count)
    snr2, error = _snr(sample)
    snr = math.sqrt(snr2) if snr2 > 0 else math.nan
    spread = sample.std(0)
    mask = spread > 1e-6 * sample.mean(0).abs()
    coordinates = (sample.mean(0).abs()[mask] / spread[mask]).mean() if mask.any() else torch.tensor(math.inf)
    return {
        "norm": math.sqrt(max(0.0, norm2.mean().item())),
        "variance": variance.mean().item(),
        "snr": snr,
        "snr_error": error / (2 * snr) if snr2 > 0 else math.nan,
        "snr_coordinates": coordinates.item(),
        "snr_coordinates_of_noise": math.sqrt(2 / (math.pi * count)),
        **_distance(sample, reference),
        **_along(sample, reference),
        "heavy_tails": _has_heavy_tail(sample) or (not reference.exact and _has_heavy_tail(reference.gradients)),
        "draws": count,
        "reference": reference.label,
        "reference_draws": None if reference.exact else len(reference.gradients),
    }


def _norm_and_variance(total: Tensor, squares: Tensor, count: int | Tensor) -> tuple[Tensor, Tensor]:
    """‖E g‖² and trace Σ of every sequence from the sums of N draws, (..., B, G) and (..., B) -> (..., B) each."""
    mean2 = total.square().sum(-1) / count**2
    variance = (squares - count * mean2).clamp(min=0) / (count - 1)
    return mean2 - variance / count, variance


def _snr(sample: Tensor) -> tuple[float, float]:
    """Mean over sequences of ‖E g‖² over that of trace Σ, with a jackknife error over blocks of draws."""
    parts = sample.tensor_split(min(BLOCKS, len(sample)))
    sizes = torch.tensor([len(part) for part in parts], dtype=torch.float64, device=sample.device)
    totals = torch.stack([part.sum(0) for part in parts])  # (blocks, B, G)
    squares = torch.stack([part.square().sum((0, 2)) for part in parts])  # (blocks, B)

    def ratio(total: Tensor, square: Tensor, count: Tensor) -> Tensor:
        norm2, variance = _norm_and_variance(total, square, count[..., None])
        return norm2.mean(-1) / variance.mean(-1)

    estimate = ratio(totals.sum(0), squares.sum(0), sizes.sum())
    leave_one_out = ratio(totals.sum(0) - totals, squares.sum(0) - squares, sizes.sum() - sizes)  # (blocks,)
    error = ((len(parts) - 1) * leave_one_out.var(correction=0)).sqrt()
    return estimate.item(), error.item()


def _has_heavy_tail(sample: Tensor) -> bool:
    """True if a single draw makes up a large part of the variance of a sequence."""
    squares = (sample - sample.mean(0)).double().square().sum(-1)  # (N, B)
    share = (squares.max(0).values / squares.sum(0)).nan_to_num(0.0).max().item()
    return share > max(HEAVY, 5 / len(sample))


def _distance(sample: Tensor, reference: Reference) -> dict[str, float]:
    """Unbiased estimate of ‖E g - reference‖², with a z-score for its significance.

    The estimate is the two-sample statistic of Chen and Qin (2010) for means in more dimensions than draws, summed over
    sequences. It is skewed if few dimensions carry the noise; the z-score therefore treats it as a chi-squared variable
    with the effective degrees of freedom of the noise, (tr C)² / tr C², by the cube root of Wilson and Hilferty (1931).
    """
    pairs = zip(sample.unbind(1), reference.gradients.double().unbind(1), strict=True)
    rows = torch.tensor([_squared_distance(a, b, reference.exact) for a, b in pairs], dtype=torch.float64)
    squared, noise, noise_squared = rows.sum(0).tolist()  # tr C and tr C² of C, the covariance of the mean difference
    scale = reference.gradients.double().mean(0).square().sum().item()
    return {
        "bias_squared": squared / len(rows),
        "bias_squared_error": math.sqrt(2 * noise_squared) / len(rows),
        "bias_z": _wilson_hilferty(squared, noise, noise_squared, scale),
    }


def _wilson_hilferty(squared: float, noise: float, noise_squared: float, scale: float) -> float:
    """z-score of ‖difference‖² = squared + noise, which under pure noise has mean tr C and variance 2 tr C²."""
    if not math.isfinite(noise_squared):
        return math.nan
    if noise_squared <= 1e-24 * scale * scale:
        return z_score(squared, 0.0, scale)
    spread = 2 / 9 * noise_squared / noise**2
    return (((squared + noise) / noise) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def _squared_distance(sample: Tensor, reference: Tensor, exact: bool) -> tuple[float, float, float]:
    """Statistic of one sequence from draws (N, G) and (M, G), with tr C and tr C² of the mean difference."""
    n, m = len(sample), len(reference)
    if exact:
        sample = sample - reference
        return _different(sample), sample.var(0).sum().item() / n, _trace_of_square(sample) / (n * (n - 1))
    square = _different(sample) + _different(reference) - 2 * float(sample.mean(0) @ reference.mean(0))
    trace = (sample.var(0).sum() / n + reference.var(0).sum() / m).item()
    cross = _differences(sample) @ _differences(reference).T
    within = _trace_of_square(sample) / (n * (n - 1)) + _trace_of_square(reference) / (m * (m - 1))
    return square, trace, within + 2 * cross.square().mean().item() / (n * m)


def _different(draws: Tensor) -> float:
    """Mean product of two different draws, an unbiased estimate of ‖E g‖², from (N, G)."""
    count = len(draws)
    return ((draws.sum(0).square().sum() - draws.square().sum()) / (count * (count - 1))).item()


def _differences(draws: Tensor) -> Tensor:
    """Independent vectors of mean zero and covariance Σ, (N, G) -> (at most PAIRS, G)."""
    pairs = min(len(draws) // 2, PAIRS)
    return (draws[: 2 * pairs : 2] - draws[1 : 2 * pairs : 2]) / math.sqrt(2)


def _trace_of_square(draws: Tensor) -> float:
    """Estimate of tr Σ², unbiased in any dimension."""
    gram = (differences := _differences(draws)) @ differences.T
    pairs = len(gram)
    return ((gram.square().sum() - gram.diagonal().square().sum()) / (pairs * (pairs - 1))).item()


def _along(sample: Tensor, reference: Reference) -> dict[str, float]:
    """Bias along the reference, as a fraction of the reference's length.

    One half of the reference's draws gives the direction, the other half the projections to compare with.
    """
    gradients = reference.gradients.double()
    half = len(gradients) // 2
    first, second = (gradients, gradients) if reference.exact else (gradients[:half], gradients[half:])
    direction = torch.nn.functional.normalize(first.mean(0), dim=-1)  # (B, G)
    ours, theirs = ((draws * direction).sum(-1) for draws in (sample, second))  # (N, B), (M, B)
    difference = (ours.mean(0) - theirs.mean(0)).mean().item()
    variance = ours.var(0) / len(ours)
    if not reference.exact:
        variance = variance + theirs.var(0) / len(theirs)
    error, length = variance.sum().sqrt().item() / variance.numel(), theirs.mean().item()
    relative = 1 / length if length else math.nan
    return {
        "bias_along": difference * relative,
        "bias_along_error": error * abs(relative),
        "bias_along_z": z_score(difference, error, abs(length)),
    }


def z_score(value: float, error: float, scale: float) -> float:
    """Value over its standard error; zero or infinite if the error is zero up to rounding."""
    if error > 1e-12 * scale:
        return value / error
    return 0.0 if abs(value) <= 1e-9 * scale or not value else math.copysign(math.inf, value)
