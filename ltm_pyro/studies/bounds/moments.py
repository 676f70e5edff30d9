"""Moments of a gradient from independent draws: its bias against a reference, its variance, its signal-to-noise ratio.

Norms in many dimensions are dominated by noise: ‖mean of N draws‖² exceeds ‖true mean‖² by trace Σ / N. All squared
norms here are free of that, being made of products of *different* draws, so that they can fall below zero.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

BLOCKS = 10  # of the jackknife
HEAVY = 0.2  # of the variance in one draw
PAIRS = 2000  # the most differences that tr Σ² is estimated from


class Reference(NamedTuple):
    """The reference of a mean gradient: draws of an unbiased estimator (M, B, G), or the exact one (1, B, G)."""

    label: str
    gradients: Tensor
    exact: bool = False


def describe(sample: Tensor, reference: Reference) -> dict[str, Any]:
    """All numbers about the draws of one estimator.

    Args:
        sample: N draws of the gradient of each of B sequences, shape (N, B, G).
        reference: of the same bound and S.

    Returns:
        by name: `norm`, ‖E g‖, `variance`, tr Var g, and `bias_squared`, ‖E g - reference‖², are means over sequences
        (of the squares); `snr` is the root of the ratio of the first two; `snr_coordinates` the mean of |mean| / sd
        over coordinates (Rainforth et al., 2018, arXiv 1802.04537), which noise alone makes `snr_coordinates_of_noise`;
        `bias_along` is the bias along the reference as a fraction of its length. `heavy_tails` warns
        that one draw makes up much of some sequence's variance, so that the errors are too small.
    """
    sample = sample.double()
    count = len(sample)
    norm2, variance = _norm_and_variance(sample.sum(0), sample.square().sum((0, 2)), count)
    snr2, error = _snr(sample)
    snr = math.sqrt(snr2) if snr2 > 0 else math.nan
    spread = sample.std(0)
    told = spread > 1e-6 * sample.mean(0).abs()
    coordinates = (sample.mean(0).abs()[told] / spread[told]).mean() if told.any() else torch.tensor(math.inf)
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
    """‖E g‖² / trace Σ, each meaned over sequences first, and its jackknife error over blocks of draws."""
    parts = sample.tensor_split(min(BLOCKS, len(sample)))
    sizes = torch.tensor([len(part) for part in parts], dtype=torch.float64, device=sample.device)
    totals = torch.stack([part.sum(0) for part in parts])  # (blocks, B, G)
    squares = torch.stack([part.square().sum((0, 2)) for part in parts])  # (blocks, B)

    def ratio(total: Tensor, square: Tensor, count: Tensor) -> Tensor:
        norm2, variance = _norm_and_variance(total, square, count[..., None])
        return norm2.mean(-1) / variance.mean(-1)

    whole = ratio(totals.sum(0), squares.sum(0), sizes.sum())
    without = ratio(totals.sum(0) - totals, squares.sum(0) - squares, sizes.sum() - sizes)  # (blocks,)
    error = ((len(parts) - 1) * without.var(correction=0)).sqrt()
    return whole.item(), error.item()


def _has_heavy_tail(sample: Tensor) -> bool:
    """Whether one draw makes up a good part of the variance of some sequence."""
    squares = (sample - sample.mean(0)).double().square().sum(-1)  # (N, B)
    share = (squares.max(0).values / squares.sum(0)).nan_to_num(0.0).max().item()
    return share > max(HEAVY, 5 / len(sample))


def _distance(sample: Tensor, reference: Reference) -> dict[str, float]:
    """‖E g - reference‖², unbiased, and whether it is more than noise, as the z of a normal distribution.

    The two-sample statistic of Chen and Qin (2010) for means in more dimensions than draws, added up over sequences.
    Where few dimensions carry the noise it is skewed; the z is that of a chi-squared variable with as many degrees of
    freedom as the noise has, (tr C)² / tr C², by the cube root of Wilson and Hilferty (1931).
    """
    pairs = zip(sample.unbind(1), reference.gradients.double().unbind(1), strict=True)
    found = torch.tensor([_squared_distance(one, other, reference.exact) for one, other in pairs], dtype=torch.float64)
    squared, noise, noise_squared = found.sum(0).tolist()  # tr C and tr C² of C, the covariance of the mean difference
    scale = reference.gradients.double().mean(0).square().sum().item()
    return {
        "bias_squared": squared / len(found),
        "bias_squared_error": math.sqrt(2 * noise_squared) / len(found),
        "bias_z": _wilson_hilferty(squared, noise, noise_squared, scale),
    }


def _wilson_hilferty(squared: float, noise: float, noise_squared: float, scale: float) -> float:
    """The z of ‖difference‖² = squared + noise; of noise alone the mean is tr C, the variance 2 tr C²."""
    if not math.isfinite(noise_squared):
        return math.nan
    if noise_squared <= 1e-24 * scale * scale:
        return z_score(squared, 0.0, scale)
    spread = 2 / 9 * noise_squared / noise**2
    return (((squared + noise) / noise) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)


def _squared_distance(one: Tensor, other: Tensor, exact: bool) -> tuple[float, float, float]:
    """The statistic for one sequence from draws (N, G) and (M, G), with tr C and tr C² of the mean difference."""
    n, m = len(one), len(other)
    if exact:
        one = one - other
        return _different(one), one.var(0).sum().item() / n, _trace_of_square(one) / (n * (n - 1))
    square = _different(one) + _different(other) - 2 * float(one.mean(0) @ other.mean(0))
    trace = (one.var(0).sum() / n + other.var(0).sum() / m).item()
    cross = _differences(one) @ _differences(other).T
    own = _trace_of_square(one) / (n * (n - 1)) + _trace_of_square(other) / (m * (m - 1))
    return square, trace, own + 2 * cross.square().mean().item() / (n * m)


def _different(draws: Tensor) -> float:
    """The mean product of two different draws, which is ‖E g‖² without bias, from (N, G)."""
    count = len(draws)
    return ((draws.sum(0).square().sum() - draws.square().sum()) / (count * (count - 1))).item()


def _differences(draws: Tensor) -> Tensor:
    """Independent vectors of mean zero and covariance Σ, (N, G) -> (at most PAIRS, G)."""
    pairs = min(len(draws) // 2, PAIRS)
    return (draws[: 2 * pairs : 2] - draws[1 : 2 * pairs : 2]) / math.sqrt(2)


def _trace_of_square(draws: Tensor) -> float:
    """tr Σ², unbiased whatever the dimension."""
    gram = (differences := _differences(draws)) @ differences.T
    pairs = len(gram)
    return ((gram.square().sum() - gram.diagonal().square().sum()) / (pairs * (pairs - 1))).item()


def _along(sample: Tensor, reference: Reference) -> dict[str, float]:
    """The bias along the reference, as a fraction of its length.

    The direction comes from one half of the reference's draws, what is compared from the other.
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
    """A value in its standard errors; zero, or infinite, where it has none beyond rounding."""
    if error > 1e-12 * scale:
        return value / error
    return 0.0 if abs(value) <= 1e-9 * scale or not value else math.copysign(math.inf, value)
