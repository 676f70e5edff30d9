"""KL of each thought, cost of a text by layers from q, and map of posterior means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.plots.style import colour, set_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pairs = Sequence[Sequence[float]]


def plot_thoughts(kl: Sequence[Sequence[float]], axes: Axes) -> Axes:
    """KL of every thought, nats per text, from (L, K) values; a bar for each, coloured by layer."""
    thoughts = len(kl[0])
    for layer, row in enumerate(kl):
        places = [layer * (thoughts + 1) + k for k in range(thoughts)]
        axes.bar(places, [float(value) for value in row], color=colour(layer + 1), label=f"layer {layer + 1}")
    ticks = [(layer * (thoughts + 1) + k, f"{k + 1}") for layer in range(len(kl)) for k in range(thoughts)]
    if len(ticks) <= 32:
        axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
    else:
        axes.set_xticks([])
    axes.set_xlabel("thought of each layer")
    axes.set_ylabel("KL(q ‖ p), nats/text")
    return axes


def plot_probe(free: Pairs, paid: Pairs, axes: Axes, against_none: bool = False) -> Axes:
    """Cost by the number of layers from q: two sequences of L + 1 (value, error) pairs, nats per token.

    Args:
        free: reconstruction, −E log p(x | z).
        paid: reconstruction plus the KL of these layers.
        axes: the Axes to draw on.
        against_none: the pairs are differences to the cost with no layer from q, with paired errors.
    """
    for place, (pairs, name, marker) in enumerate(
        ((free, "−log p(x | z)", "o"), (paid, "with the KL of these layers paid", "s"))
    ):
        values, errors = ([pair[i] for pair in pairs] for i in (0, 1))
        errors = [error if error == error else 0.0 for error in errors]
        look: dict[str, Any] = {"color": colour(place + 1), "marker": marker}
        bars = axes.errorbar(range(len(pairs)), values, errors, label=name, **look)
        set_aside(axes, bars, place, 2, apart=7)
    if against_none:
        axes.axhline(0, color="0.6", linewidth=1, zorder=0)
    axes.set_xticks(range(len(free)))
    axes.set_xlim(-0.3, len(free) - 0.7)
    axes.set_xlabel("layers whose thoughts are from q")
    axes.set_ylabel("cost less that of no layer,\nnats/token" if against_none else "cost, nats/token")
    return axes


def plot_latent_map(
    places: Pairs,
    shares: Sequence[float],
    axes: Axes,
    values: Sequence[float] = (),
    label: str = "order of the texts",
) -> Axes:
    """Posterior means on their first two principal axes, (N, 2), in standard deviations of the prior.

    Args:
        places: coordinates of the texts.
        shares: share of the variance of each axis.
        axes: the Axes to draw on.
        values: value of each text, shown by colour; the order of the texts if left out.
        label: label of these values.
    """
    coloured = values or range(1, len(places) + 1)
    dots = axes.scatter([x for x, _ in places], [y for _, y in places], c=coloured, s=12)
    axes.figure.colorbar(dots, ax=axes, label=label)
    axes.set_xlabel(f"first principal axis,\nprior s.d. ({shares[0]:.0%} of variance)")
    axes.set_ylabel(f"second principal axis,\nprior s.d. ({shares[1]:.0%} of variance)")
    return axes
