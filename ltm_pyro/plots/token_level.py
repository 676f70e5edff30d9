"""Bounds by fast steps, attention of tokens to thoughts, and costs along an interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.costs import NAMES
from ltm_pyro.plots.style import colour, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = 32  # most tokens of a text in a figure
BOUNDS = {"elbo": "o", "importance_weighted": "s"}


def plot_fast_step_sweep(dial: Sequence[Any], axes: Axes, against_start: bool = False) -> Axes:
    """Both bounds, as costs, against the number of fast steps, with one standard error over texts.

    All settings share the same texts: compare them by their differences with paired errors.

    Args:
        dial: points with `steps`, and the scores `elbo` and `importance_weighted`.
        axes: the Axes to draw on.
        against_start: draw the difference of each bound to its value at the first setting, with paired errors.
    """
    axes.set_xscale("symlog", base=2, linthresh=1)
    for place, (key, marker) in enumerate(BOUNDS.items()):
        scores = [getattr(point, key) for point in dial]
        pairs = [score.minus(scores[0]) if against_start else _with_error(score) for score in scores]
        values, errors = [value for value, _ in pairs], [error if error == error else 0.0 for _, error in pairs]
        look: dict[str, Any] = {"color": colour(place + 1), "marker": marker}
        bars = axes.errorbar([point.steps for point in dial], values, errors, label=NAMES[key], **look)
        set_aside(axes, bars, place, len(BOUNDS), apart=5)
    if against_start:
        axes.axhline(0, color="0.6", linewidth=1, zorder=0)
    axes.set_xticks([point.steps for point in dial], [str(point.steps) for point in dial])
    axes.set_xlabel("fast steps")
    axes.set_ylabel(f"cost less that at {dial[0].steps} steps,\nnats/token" if against_start else "cost, nats/token")
    return axes


def _with_error(score: Any) -> tuple[float, float]:
    return score.nats_per_token, score.standard_error


def plot_interpolation(way: Sequence[Any], axes: Axes) -> Axes:
    """Costs of two texts along the interpolation from the first text's thoughts to the second's.

    Args:
        way: points with `share`, and the costs `first` and `second`, nats per token.
        axes: the Axes to draw on.
    """
    for place, (key, marker) in enumerate((("first", "o"), ("second", "s")), 1):
        values = [getattr(stage, key) for stage in way]
        axes.plot([stage.share for stage in way], values, color=colour(place), marker=marker, label=f"{key} text")
    axes.set_xlabel("share of the way from the first text's thoughts")
    axes.set_ylabel("−log p(x | z), nats/token")
    return axes


def plot_attention(tokens: Sequence[str], shares: Sequence[Sequence[Sequence[float]]], axes: Axes) -> Axes:
    """Share of each token's attention on each thought of a layer, for the first tokens of a text.

    The colour scale is symmetric about an even share, 1/K, and spans the largest deviation.

    Args:
        tokens: tokens of the text.
        shares: shares of every thought of every layer, (L, K, T).
        axes: the Axes to draw on.
    """
    even = 1 / len(shares[0])
    rows = [list(row[:FIRST]) for layer in shares for row in layer]
    reach = max(0.005, *(abs(share - even) for row in rows for share in row))
    scale: dict[str, Any] = {"cmap": "RdBu_r", "vmin": even - reach, "vmax": even + reach}
    image = axes.imshow(rows, aspect="auto", interpolation="nearest", **scale)
    labels = [word.replace("$", r"\$").strip() or "·" for word in tokens[:FIRST]]
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    names = [f"{layer}.{k}" for layer, row in enumerate(shares, 1) for k in range(1, len(row) + 1)]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylabel("layer.thought")
    axes.set_xlabel("token")
    axes.figure.colorbar(
        image, ax=axes, label=f"share of attention\n(white: even, {even:.2g})", fraction=0.05, pad=0.02
    )
    return axes
