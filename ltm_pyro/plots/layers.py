"""The KL by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import Looks, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_layers(rows: Sequence[dict[str, Any]], axes: Axes, look: Looks | None = None) -> Axes:
    """The KL of every layer, nats/token, a line for each variant; a layer at zero is one that the decoder ignores.

    Args:
        rows: summaries or records of a comparison of priors, with `kl_layer_1` and so on.
        axes: where to draw.
        look: colours and markers by name, as `looks` makes them, to share among figures.
    """
    looked = look or looks((row["variant"], row["variant"]) for row in rows)
    most = 1
    for row in rows:
        layers = [key for key in row if key.startswith("kl_layer_") and key.removeprefix("kl_layer_").isdecimal()]
        most = max(most, len(layers))
        name, values = row["variant"], [row[key] for key in layers]
        axes.plot(range(1, len(layers) + 1), values, label=name, **looked[name])
    axes.set_xticks(range(1, most + 1))
    axes.set_xlabel("layer")
    axes.set_ylabel("KL(q ‖ p), nats/token")
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), None)
    return axes
