"""What each thought carries, and what the text costs with the first layers' thoughts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ltm_pyro.plots.looks import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Pairs = Sequence[Sequence[float]]


def plot_thoughts(kl: Sequence[Sequence[float]], axes: Axes) -> Axes:
    """KL of every thought, nats per text, from (L, K); a bar for each, coloured by layer."""
    thoughts = len(kl[0])
    for layer, row in enumerate(kl):
        places = [layer * (thoughts + 1) + k for k in range(thoughts)]
        axes.bar(places, [float(value) for value in row], color=COLOURS[(layer + 1) % len(COLOURS)])
    axes.set_xticks(
        [layer * (thoughts + 1) + (thoughts - 1) / 2 for layer in range(len(kl))],
        [f"{layer}" for layer in range(1, len(kl) + 1)],
    )
    axes.set_xlabel("layer (a bar for each thought)")
    axes.set_ylabel("KL(q ‖ p), nats/text")
    return axes


def plot_probe(free: Pairs, paid: Pairs, axes: Axes) -> Axes:
    """Nats per token against how many layers' thoughts are from q: two sequences of L + 1 (value, error) pairs."""
    for pairs, name, colour, marker in ((free, "reconstruction", COLOURS[1], "o"), (paid, "KL paid", COLOURS[2], "s")):
        values, errors = ([pair[i] for pair in pairs] for i in (0, 1))
        axes.errorbar(range(len(pairs)), values, errors, color=colour, marker=marker, markersize=4.5, label=name)
    axes.set_xticks(range(len(free)))
    axes.set_xlabel("layers whose thoughts are from q")
    axes.set_ylabel("nats/token")
    axes.legend()
    return axes


def plot_places(places: Pairs, shares: Sequence[float], axes: Axes) -> Axes:
    """Posterior means on their first two principal axes, (N, 2); colour follows the order of the texts."""
    axes.scatter([x for x, _ in places], [y for _, y in places], c=range(len(places)), cmap="viridis", s=9)
    axes.set_xlabel(f"first axis, {shares[0]:.0%} of variance")
    axes.set_ylabel(f"second axis, {shares[1]:.0%} of variance")
    return axes
