"""Figures of an inspection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.evaluation.inspection.report import properties
from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.saving import Drawing, save_drawings

if TYPE_CHECKING:
    from ltm_pyro.evaluation.inspection import Details, Inspection

ERRORS = "Bars: one standard error over texts; on the right, of differences text by text"


def draw(stem: Path, found: Inspection, details: Details, names: Sequence[str], tokens: Sequence[str]) -> list[str]:
    """Write every figure that has data, as PNG and SVG; returns the file names.

    Args:
        stem: common start of all paths.
        found, details, names, tokens: as for `drawings`.
    """
    return save_drawings(stem.parent, drawings(found, details, names, tokens), prefix=f"{stem.name}-")


def drawings(found: Inspection, details: Details, names: Sequence[str], tokens: Sequence[str] = ()) -> list[Drawing]:
    """Drawings of every figure that has data.

    Args:
        found, details: results of the inspection.
        names: names of the texts, in order.
        tokens: tokens of the first text with an attribution by token.
    """
    return [_thoughts(found), _probe(found), _map(found, names), *_closer(details, tokens)]


def _thoughts(inspection: Inspection) -> Drawing:
    from ltm_pyro.plots import plot_thoughts

    caption = (
        f"KL of each thought, mean over {len(inspection.ids)} texts: what it carries, before the decoder earns it back."
    )
    return Drawing("thoughts", [partial(plot_thoughts, inspection.kl.sum(-1).tolist())], caption)


def _probe(inspection: Inspection) -> Drawing:
    from ltm_pyro.plots import plot_probe

    caption = (
        f"Cost of {len(inspection.ids)} texts with the thoughts of the first layers from q and the others from the "
        f"prior; right, less the cost with no layer from q. {ERRORS}. {LOWER}"
    )
    sides = (inspection.probe, inspection.probe_bound)
    free, paid = ([(score.nats_per_token, score.standard_error) for score in scores] for scores in sides)
    less_free, less_paid = ([score.minus(scores[0]) for score in scores] for scores in sides)
    panels = [partial(plot_probe, free, paid), partial(plot_probe, less_free, less_paid, against_none=True)]
    return Drawing("probe", panels, caption)


def _map(inspection: Inspection, names: Sequence[str]) -> Drawing:
    from ltm_pyro.plots import plot_latent_map

    years = [properties(name).get("year") for name in names]
    colours: dict[str, Any] = {"values": years, "label": "year of the text"} if all(years) else {}
    caption = f"Posterior means of {len(inspection.ids)} texts on their first two principal axes, a dot a text."
    panel = partial(plot_latent_map, inspection.places.tolist(), inspection.shares, **colours)
    return Drawing("map", [panel], caption, height=3.2, wide=False)


def _closer(details: Details, tokens: Sequence[str]) -> list[Drawing]:
    from ltm_pyro.plots import plot_attention, plot_fast_step_sweep, plot_interpolation

    figures = []
    if details.dial:
        caption = (
            f"Bounds of {len(details.dial[0].elbo.nats)} texts, q fitted from its start with so many fast steps; "
            f"right, less the same bound at {details.dial[0].steps} steps. {ERRORS}. {LOWER}"
        )
        panels = [
            partial(plot_fast_step_sweep, details.dial),
            partial(plot_fast_step_sweep, details.dial, against_start=True),
        ]
        figures.append(Drawing("dial", panels, caption))
    if details.way:
        caption = f"What two texts cost with the thoughts on the great circle between theirs, one draw of z. {LOWER}"
        figures.append(Drawing("way", [partial(plot_interpolation, details.way)], caption))
    if details.texts:
        shares = details.texts[0].reading.attention.tolist()
        caption = (
            "Share of each token's attention that each thought of a layer has, mean over heads and draws, at the first "
            "tokens of a text; the shares of a layer add up to 1."
        )
        height = 0.2 * sum(map(len, shares)) + 1.5
        figures.append(Drawing("reading", [partial(plot_attention, tokens, shares)], caption, height))
    return figures
