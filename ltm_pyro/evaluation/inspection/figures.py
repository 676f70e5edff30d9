"""Figures of an inspection."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.evaluation.inspection.report import properties
from ltm_pyro.plots.captions import CAPTIONS
from ltm_pyro.plots.drawing import Drawing
from ltm_pyro.plots.saving import save_drawings

if TYPE_CHECKING:
    from ltm_pyro.evaluation.inspection import Details, Inspection


def draw(stem: Path, found: Inspection, details: Details, names: Sequence[str], tokens: Sequence[str]) -> list[str]:
    """Write every figure that has data; returns the file names.

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

    caption = f"Mean over {len(inspection.ids)} texts. {CAPTIONS['plot_thoughts']}"
    return Drawing("thoughts", [partial(plot_thoughts, inspection.kl.sum(-1).tolist())], caption)


def _probe(inspection: Inspection) -> Drawing:
    from ltm_pyro.plots import plot_probe

    caption = f"{len(inspection.ids)} texts; right, less the cost with no layer from q. {CAPTIONS['plot_probe']}"
    sides = (inspection.probe, inspection.probe_bound)
    free, paid = ([(score.nats_per_token, score.standard_error) for score in scores] for scores in sides)
    less_free, less_paid = ([score.minus(scores[0]) for score in scores] for scores in sides)
    panels = [partial(plot_probe, free, paid), partial(plot_probe, less_free, less_paid, against_none=True)]
    return Drawing("probe", panels, caption)


def _map(inspection: Inspection, names: Sequence[str]) -> Drawing:
    from ltm_pyro.plots import plot_latent_map

    years = [properties(name).get("year") for name in names]
    colours: dict[str, Any] = {"values": years, "label": "year of the text"} if all(years) else {}
    caption = f"{len(inspection.ids)} texts. {CAPTIONS['plot_latent_map']}"
    panel = partial(plot_latent_map, inspection.places.tolist(), inspection.shares, **colours)
    return Drawing("map", [panel], caption, height=2.6, width="single")


def _closer(details: Details, tokens: Sequence[str]) -> list[Drawing]:
    from ltm_pyro.plots import plot_attention, plot_fast_step_sweep, plot_interpolation

    figures = []
    if details.dial:
        caption = (
            f"{len(details.dial[0].elbo.nats)} texts; right, less the same bound at {details.dial[0].steps} steps. "
            f"{CAPTIONS['plot_fast_step_sweep']}"
        )
        panels = [
            partial(plot_fast_step_sweep, details.dial),
            partial(plot_fast_step_sweep, details.dial, against_start=True),
        ]
        figures.append(Drawing("dial", panels, caption))
    if details.way:
        panel = partial(plot_interpolation, details.way)
        figures.append(Drawing("way", [panel], CAPTIONS["plot_interpolation"], width="single"))
    if details.texts:
        shares = details.texts[0].reading.attention.tolist()
        height = 0.2 * sum(map(len, shares)) + 1.3
        panels = [partial(plot_attention, tokens, shares)]
        figures.append(Drawing("reading", panels, CAPTIONS["plot_attention"], height))
    return figures
