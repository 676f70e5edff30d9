"""The diagram of the model on the docs' first page, for light and dark: `python docs/figures/model.py` draws it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

HERE = Path(__file__).parent
LAYERS, THOUGHTS, WINDOW, TOKENS = 3, 2, 3, 7  # L, K, the window, T
WORDS = ("⟨bos⟩", "The", "state", "of", "the", "Union", "is")
LEFT, STEP, BOTTOM, HEIGHT = 6.55, 0.95, 1.75, 1.45  # where the first token and the first layer stand
READER = 5  # the token whose window is drawn
THOUGHT_X = 3.7


class Palette(NamedTuple):
    """Colours on one kind of page: Okabe and Ito's for the two rates and the thoughts."""

    ink: str
    quiet: str
    face: str
    fast: str
    slow: str
    thought: str


PALETTES = {
    "light": Palette("#1a1a1a", "#6b6b6b", "#f3f3f3", "#0072B2", "#B04600", "#007a58"),
    "dark": Palette("#ececec", "#a8a8a8", "#262a2e", "#56B4E9", "#F0914A", "#3fc79a"),
}


def box(axes: Axes, x: float, y: float, width: float, height: float, edge: str, face: str) -> None:
    """A rounded rectangle by its lower left corner."""
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=face,
            edgecolor=edge,
            linewidth=1.1,
        )
    )


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0.0) -> None:
    """An arrow, bent to the left of its direction by a share of its length."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9,
            linewidth=1.3,
            color=colour,
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=0,
        )
    )


def elbow(axes: Axes, points: list[tuple[float, float]], colour: str) -> None:
    """A thick line through points, with an arrow's head at its end."""
    axes.plot(*zip(*points[:-1], strict=True), color=colour, linewidth=2, solid_joinstyle="round")
    head = {"arrowstyle": "-|>,head_length=0.5,head_width=0.25", "color": colour, "linewidth": 2}
    axes.annotate("", points[-1], points[-2], arrowprops={**head, "shrinkA": 0, "shrinkB": 0})


def token_x(token: int) -> float:
    return LEFT + STEP * token


def layer_y(layer: int) -> float:
    return BOTTOM + HEIGHT * layer


def draw_decoder(axes: Axes, palette: Palette) -> None:
    """Tokens below, layers of states above them, and the window through which one state sees those before it."""
    box(
        axes,
        LEFT - 0.6,
        BOTTOM - 0.4,
        STEP * (TOKENS - 1) + 1.2,
        HEIGHT * (LAYERS - 1) + 0.8,
        palette.quiet,
        palette.face,
    )
    for token, word in enumerate(WORDS):
        x = token_x(token)
        axes.text(x, BOTTOM - 0.92, word, ha="center", va="center", color=palette.ink, fontsize=8)
        for layer in range(LAYERS):
            inside = READER - WINDOW < token <= READER
            axes.plot(x, layer_y(layer), "o", color=palette.ink if inside else palette.quiet, markersize=5)
            if layer and inside:
                end = (token_x(READER) - 0.03, layer_y(layer) - 0.1)
                axes.plot(
                    [x, end[0]],
                    [layer_y(layer - 1) + 0.1, end[1]],
                    color=palette.ink,
                    linewidth=1.0,
                    solid_capstyle="round",
                )
        arrow(axes, (x, BOTTOM - 0.7), (x, BOTTOM - 0.12), palette.quiet)
    top = layer_y(LAYERS - 1)
    for token, word in enumerate((*WORDS[1:], "strong")):
        x = token_x(token)
        arrow(axes, (x, top + 0.12), (x, top + 0.7), palette.quiet)
        axes.text(x, top + 0.92, word, ha="center", va="center", color=palette.ink, fontsize=8)
    right = token_x(TOKENS - 1) + 0.75
    axes.text(right, top + 0.92, "text x", color=palette.ink, fontsize=8, va="center")
    axes.text(
        token_x(TOKENS // 2),
        top + 1.6,
        r"decoder  $\mathbf{p_\theta(x\mid z)}$",
        color=palette.ink,
        fontsize=9,
        ha="center",
        weight="bold",
    )
    for layer in range(LAYERS):
        axes.text(right, layer_y(layer), f"layer {layer + 1}", color=palette.quiet, fontsize=7.5, va="center")
    axes.text(
        token_x(READER) + 0.25,
        layer_y(0) + HEIGHT / 2,
        f"window {WINDOW}",
        color=palette.ink,
        fontsize=7.5,
        va="center",
    )


def draw_thoughts(axes: Axes, palette: Palette) -> None:
    """K thoughts of every layer, to which all tokens of that layer cross-attend."""
    for layer in range(LAYERS):
        y = layer_y(layer)
        for thought in range(THOUGHTS):
            box(axes, THOUGHT_X + 0.55 * thought, y - 0.22, 0.44, 0.44, palette.thought, palette.face)
        arrow(axes, (THOUGHT_X + 0.55 * THOUGHTS, y), (LEFT - 0.62, y), palette.thought)
    middle = (THOUGHT_X + 0.55 * THOUGHTS + LEFT - 0.6) / 2
    axes.text(middle, layer_y(1) + 0.24, "cross-", color=palette.thought, fontsize=7.5, ha="center")
    axes.text(middle, layer_y(1) - 0.4, "attention", color=palette.thought, fontsize=7.5, ha="center")
    x = THOUGHT_X + 0.27 * THOUGHTS
    axes.text(x, layer_y(LAYERS - 1) + 1.6, "thoughts z", color=palette.ink, fontsize=9, ha="center", weight="bold")
    axes.text(
        x, layer_y(LAYERS - 1) + 0.75, "of one text:\nK for each layer", color=palette.quiet, fontsize=7.5, ha="center"
    )


def draw_distributions(axes: Axes, palette: Palette) -> None:
    """The guide and the prior, from which thoughts come, and the objective that both rates climb."""
    top = layer_y(LAYERS - 1)
    box(axes, 0.1, top - 0.75, 2.5, 1.15, palette.fast, palette.face)
    axes.text(1.35, top + 0.02, "guide  q(z)", ha="center", va="center", color=palette.ink, fontsize=9, weight="bold")
    axes.text(1.35, top - 0.42, "μ, σ: one row a text", ha="center", va="center", color=palette.ink, fontsize=7.5)
    box(axes, 0.1, BOTTOM - 0.45, 2.5, 0.9, palette.slow, palette.face)
    axes.text(
        1.35, BOTTOM - 0.02, "prior  p(z)", ha="center", va="center", color=palette.ink, fontsize=9, weight="bold"
    )
    arrow(axes, (2.62, top - 0.18), (THOUGHT_X - 0.15, layer_y(1) + 0.3), palette.thought)
    arrow(axes, (2.62, BOTTOM + 0.1), (THOUGHT_X - 0.15, layer_y(1) - 0.3), palette.thought)
    axes.text(1.35, top - 0.9, "to learn and to read a text", color=palette.quiet, fontsize=7.5, ha="center", va="top")
    axes.text(1.35, BOTTOM + 0.6, "to write a new text", color=palette.quiet, fontsize=7.5, ha="center", va="bottom")


def draw_rates(axes: Axes, palette: Palette) -> None:
    """The ELBO, and the two rates at which it is climbed."""
    box(axes, 3.75, -0.85, 5.7, 0.8, palette.ink, palette.face)
    axes.text(
        6.6,
        -0.45,
        r"ELBO  =  $\mathrm{E}_{q}\,[\log p_\theta(x \mid z)]\; -\; \mathrm{KL}(q(z)\,\|\,p(z))$",
        ha="center",
        va="center",
        color=palette.ink,
        fontsize=9,
    )
    corner, level = (-0.35, layer_y(LAYERS - 1) - 0.2), -0.45
    elbow(axes, [(3.75, level), (-0.35, level), corner, (0.1, corner[1])], palette.fast)
    elbow(
        axes,
        [(9.45, level), (token_x(TOKENS - 1) + 0.4, level), (token_x(TOKENS - 1) + 0.4, BOTTOM - 0.42)],
        palette.slow,
    )
    axes.text(-0.2, -0.75, "fast: many steps a text", color=palette.fast, fontsize=8, va="top", weight="bold")
    axes.text(-0.2, -1.15, "move q(z), the weights held", color=palette.fast, fontsize=7.5, va="top")
    axes.text(9.7, -0.75, "slow: then one step a batch", color=palette.slow, fontsize=8, va="top", weight="bold")
    axes.text(9.7, -1.15, "moves θ, and p(z) if it is learned", color=palette.slow, fontsize=7.5, va="top")


def draw(palette: Palette) -> Figure:
    """The whole diagram, 7.2 inches wide, on a transparent ground."""
    figure = Figure(figsize=(7.2, 4.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-0.5, 14.1)
    axes.set_ylim(-1.6, 6.7)
    draw_decoder(axes, palette)
    draw_thoughts(axes, palette)
    draw_distributions(axes, palette)
    draw_rates(axes, palette)
    return figure


def save(folder: Path) -> None:
    """Write `model-light.svg` and `model-dark.svg`, the same bytes each time."""
    with matplotlib.rc_context({"svg.hashsalt": "model", "svg.fonttype": "path", "mathtext.fontset": "dejavusans"}):
        for name, palette in PALETTES.items():
            draw(palette).savefig(
                folder / f"model-{name}.svg", transparent=True, metadata={"Date": None, "Title": TITLE}
            )


TITLE = "A Latent Thought Model: decoder, window, thoughts, prior and guide, and the two rates of learning"

if __name__ == "__main__":
    save(HERE)
