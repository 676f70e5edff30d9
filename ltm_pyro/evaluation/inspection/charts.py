"""Interactive charts of an inspection's page: KL by dimension, bounds by fast steps, interpolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ltm_pyro.report import View, inert
from ltm_pyro.tables import with_error

if TYPE_CHECKING:
    from ltm_pyro.evaluation.inspection import Inspection
    from ltm_pyro.evaluation.inspection.dial import StepSweepPoint
    from ltm_pyro.evaluation.inspection.path import InterpolationPoint
    from ltm_pyro.evaluation.score import Score

APART = 0.13  # distance of either bound from its number of fast steps, of the distance between two of them
BOUNDS = (("elbo", "−ELBO", "circle"), ("importance_weighted", "−importance-weighted bound", "square"))


def thought_views(inspection: Inspection) -> list[View]:
    """KL of each dimension of a thought, largest first, nats per text; a view for each of the L·K thoughts."""
    return [
        _thought(f"layer {layer}, thought {thought}", sorted(kl.tolist(), reverse=True))
        for layer, row in enumerate(inspection.kl, 1)
        for thought, kl in enumerate(row, 1)
    ]


def _thought(name: str, values: Sequence[float]) -> View:
    from plotly.graph_objects import Bar, Figure

    ranks = list(range(1, len(values) + 1))
    figure = Figure(Bar(x=ranks, y=values, hovertemplate="dimension %{x}: %{y:.4f} nats<extra></extra>"))
    figure.update_layout(
        height=280, bargap=0.1, xaxis_title_text="dimension, largest first", yaxis_title_text="KL(q ‖ p), nats/text"
    )
    figure.update_yaxes(rangemode="tozero")
    extent = f"from {values[0]:.4f} to {values[-1]:.4f} nats per text, {sum(values):.3f} together"
    return View(
        name,
        figure,
        f"Bar chart: KL of the {len(values)} dimensions of {name}, {extent}.",
        [["rank", "KL, nats/text"], *([str(rank), f"{kl:.5f}"] for rank, kl in zip(ranks, values, strict=True))],
        f"KL of the {len(values)} dimensions of this thought, mean over texts: {extent}. Each thought has a scale of "
        "its own.",
    )


def sweep_view(dial: Sequence[StepSweepPoint]) -> View:
    """Costs by fast steps, nats per token, with one standard error over texts."""
    values = {key: [_cost(getattr(point, key)) for point in dial] for key, _, _ in BOUNDS}
    first, last = dial[0], dial[-1]
    description = (
        f"Line chart: −ELBO from {first.elbo.nats_per_token:.4f} nats per token at {first.steps} fast steps to "
        f"{last.elbo.nats_per_token:.4f} at {last.steps}; −importance-weighted bound from "
        f"{first.importance_weighted.nats_per_token:.4f} to {last.importance_weighted.nats_per_token:.4f}."
    )
    return _by_steps([point.steps for point in dial], values, "cost, nats/token", description)


def change_view(dial: Sequence[StepSweepPoint]) -> View:
    """Costs less those at the fewest fast steps, nats per token, with one standard error of the paired differences."""
    values = {key: [getattr(point, key).minus(getattr(dial[0], key)) for point in dial] for key, _, _ in BOUNDS}
    description = "Line chart: " + "; ".join(
        f"{name} changes by {with_error(*values[key][-1])} nats per token" for key, name, _ in BOUNDS
    )
    steps = [point.steps for point in dial]
    return _by_steps(
        steps,
        values,
        f"cost less that at {steps[0]}, nats/token",
        f"{description} from {steps[0]} to {steps[-1]} steps.",
    )


def _cost(score: Score) -> tuple[float, float]:
    return score.nats_per_token, score.standard_error


def _by_steps(
    steps: Sequence[int], values: Mapping[str, Sequence[tuple[float, float]]], label: str, description: str
) -> View:
    """Both bounds by fast steps, set apart sideways, so that their error bars do not lie on each other."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure(
        [
            Scatter(
                x=[index + (2 * place - 1) * APART for index in range(len(steps))],
                y=[value for value, _ in values[key]],
                error_y={"array": [error for _, error in values[key]], "thickness": 1.5, "width": 4},
                mode="lines+markers",
                marker={"symbol": symbol, "size": 8},
                name=name,
                customdata=list(steps),
                hovertemplate="%{customdata} steps: %{y:.4f} ± %{error_y.array:.4f} nats/token<extra></extra>",
            )
            for place, (key, name, symbol) in enumerate(BOUNDS)
        ]
    )
    ticks = {"tickmode": "array", "tickvals": list(range(len(steps))), "ticktext": [str(count) for count in steps]}
    figure.update_layout(xaxis={"title": {"text": "fast steps"}, **ticks}, yaxis_title_text=label)
    columns = [[with_error(value, error) for value, error in values[key]] for key, _, _ in BOUNDS]
    rows = [["fast steps", *(name for _, name, _ in BOUNDS)]]
    rows += [[str(count), *cells] for count, *cells in zip(steps, *columns, strict=True)]
    return View(label, figure, description, rows)


def path_views(path: Sequence[InterpolationPoint], ends: tuple[str, str], texts: Sequence[str]) -> list[View]:
    """Cost of both texts along the interpolation, nats per token; a view for each of its points.

    Args:
        path: points of the interpolation.
        ends: names of the two texts.
        texts: the text generated at each point.
    """
    return [_place(path, ends, point, text) for point, text in zip(path, texts, strict=True)]


def _place(path: Sequence[InterpolationPoint], ends: tuple[str, str], chosen: InterpolationPoint, text: str) -> View:
    from plotly.graph_objects import Figure, Scatter

    shares = [point.share for point in path]
    costs = {"first": [point.first for point in path], "second": [point.second for point in path]}
    figure = Figure(
        [
            Scatter(
                x=shares,
                y=costs[side],
                mode="lines+markers",
                marker={"symbol": symbol, "size": 8},
                name=f"{side}: {inert(name)}",
                hovertemplate="%{x:.0%} of the way: %{y:.4f} nats/token<extra></extra>",
            )
            for side, name, symbol in zip(costs, ends, ("circle", "square"), strict=True)
        ]
    )
    figure.update_layout(
        xaxis={"title": {"text": "share of the way to the second text"}, "tickformat": ".0%"},
        yaxis_title_text="−log p(x | z), nats/token",
        shapes=[{"type": "line", "x0": chosen.share, "x1": chosen.share, "yref": "paper", "y0": 0, "y1": 1}],
    )
    figure.update_shapes(line={"dash": "dash", "width": 1.5, "color": "gray"})
    description = (
        f"Line chart of the cost of two texts, nats per token: {ends[0]} from {costs['first'][0]:.3f} to "
        f"{costs['first'][-1]:.3f}, {ends[1]} from {costs['second'][0]:.3f} to {costs['second'][-1]:.3f}."
    )
    rows = [["share of the way", "first text, nats/token", "second text, nats/token"]]
    rows += [[f"{point.share:.1%}", f"{point.first:.4f}", f"{point.second:.4f}"] for point in path]
    note = f"Here the first text costs {chosen.first:.3f}, the second {chosen.second:.3f} nats/token."
    return View(f"{chosen.share:.1%}", figure, description, rows, note, text)
