"""The fast loop, a text token by token, and the way from one text to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.looks import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST = 32  # tokens of a text that a figure has room for


def plot_dial(dial: Sequence[Any], axes: Axes) -> Axes:
    """Both bounds against the number of fast steps, with one standard error over texts.

    Args:
        dial: with `steps`, `elbo` and `importance_weighted`, scores.
        axes: where to draw.
    """
    for key, name, colour, marker in (
        ("elbo", "ELBO", COLOURS[1], "o"),
        ("importance_weighted", "importance-weighted", COLOURS[2], "s"),
    ):
        scores = [getattr(one, key) for one in dial]
        values, errors = [score.nats_per_token for score in scores], [score.standard_error for score in scores]
        errors = [error if error == error else 0.0 for error in errors]
        axes.errorbar(
            [one.steps for one in dial], values, errors, color=colour, marker=marker, markersize=4.5, label=name
        )
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_xticks([one.steps for one in dial], [str(one.steps) for one in dial])
    axes.set_xlabel("fast steps")
    axes.set_ylabel("cost (bound), nats/token")
    axes.legend()
    return axes


def plot_way(way: Sequence[Any], axes: Axes) -> Axes:
    """What two texts cost with the thoughts on the way from the first's to the second's.

    Args:
        way: with `share`, `first` and `second`, nats per token.
        axes: where to draw.
    """
    for key, name, colour, marker in (
        ("first", "first text", COLOURS[1], "o"),
        ("second", "second text", COLOURS[2], "s"),
    ):
        values = [getattr(stage, key) for stage in way]
        axes.plot([stage.share for stage in way], values, color=colour, marker=marker, markersize=4.5, label=name)
    axes.set_xlabel("share of the way")
    axes.set_ylabel("−log p(x | z), nats/token")
    axes.legend()
    return axes


def plot_reading(words: Sequence[str], shares: Sequence[Sequence[float]], axes: Axes) -> Axes:
    """How much of each token's attention each thought has, the first tokens of a text.

    Args:
        words: its tokens.
        shares: of every thought, all layers' one after another, (L K, T).
        axes: where to draw.
    """
    shown = [list(row[:FIRST]) for row in shares]
    image = axes.imshow(shown, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    labels = [word.replace("$", r"\$").strip() or "·" for word in words[:FIRST]]
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=5)
    axes.set_yticks(range(len(shown)), [str(place) for place in range(1, len(shown) + 1)])
    axes.set_ylabel("thought, by layer")
    axes.set_xlabel("token")
    axes.figure.colorbar(image, ax=axes, label="share of attention")
    return axes
