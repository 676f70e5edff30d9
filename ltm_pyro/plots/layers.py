"""KL by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_layers(rows: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """KL of every layer, nats/token, a line for each variant; the decoder ignores a layer with a KL of zero.

    Args:
        rows: summaries or records of a comparison of priors, with `kl_layer_1` and so on.
        axes: the Axes to draw on.
        look: styles by name from `looks`, to share among figures.
    """
    styles = look or looks((row["variant"], row["variant"]) for row in rows)
    count = 1
    for row in rows:
        layers = [key for key in row if key.startswith("kl_layer_") and key.removeprefix("kl_layer_").isdecimal()]
        count = max(count, len(layers))
        name, values = row["variant"], [row[key] for key in layers]
        axes.plot(range(1, len(layers) + 1), values, label=name, **styles[name])
    axes.set_xticks(range(1, count + 1))
    axes.set_xlabel("layer")
    axes.set_ylabel("KL(q ‖ p), nats/token")
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), None)
    return axes
