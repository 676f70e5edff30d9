"""Figure of a benchmark from its record, with its caption."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.timing.figures import bars
from benchmarks.timing.measures import Measure
from ltm_pyro.plots.costs import LOWER
from ltm_pyro.plots.drawing import Drawing

Record = Mapping[str, Any]
RANGE = "Bars: medians over rounds, with the range over rounds."
PAIRED = "Ratios are taken within a round."
HIGHER, LESS = "Higher is better.", "Lower is better."


def drawing(record: Record) -> Drawing | None:
    """Drawing of a record's figure; None for a benchmark without one."""
    draw = DRAWINGS.get(record["benchmark"])
    return None if draw is None else draw(record, [Measure.of_record(measure) for measure in record["measures"]])


def _training(record: Record, measures: Sequence[Measure]) -> Drawing:
    panels = [bars(_of(measures, "tokens/s"), "tokens/s"), bars(_of(measures, "times"), "ratio, or share")]
    caption = (
        "Speed of a training step, tokens/s, and its ratio to (a) a plain implementation and (b) one that does no more "
        f"than is needed; shares are of the machine's largest product of matrices. {RANGE} {PAIRED} {HIGHER}"
    )
    return Drawing("training", panels, caption, 2.4)


def _scaling(record: Record, measures: Sequence[Measure]) -> Drawing:
    from benchmarks.scaling.__main__ import panel

    caption = (
        "Seconds of a training step against the length of texts T, on logarithmic axes: medians over rounds, bands "
        f"from the least to the most of all rounds. {LESS}"
    )
    return Drawing("scaling", [panel(record["seconds"], record["lengths"])], caption, 2.4, width="single")


def _memory(record: Record, measures: Sequence[Measure]) -> Drawing:
    recipe = _of(measures, "GB")
    shown, unit = (recipe, "GB") if recipe else (_of(measures, "times"), "share of the plain loop's, (a)")
    caption = f"Peak memory of a training step, {unit}. {RANGE} {LESS}"
    return Drawing("memory", [bars(shown, unit)], caption, 0.25 * len(shown) + 0.6, width="single")


def _generation(record: Record, measures: Sequence[Measure]) -> Drawing:
    panels = [
        bars(_of(measures, "tokens/s"), "tokens/s"),
        bars(_of(measures, "times"), "speed over recomputing"),
    ]
    caption = (
        "Speed of generation, tokens/s, with a cache and by recomputing every prefix, and the ratio of both. "
        f"{RANGE} {PAIRED} {HIGHER}"
    )
    return Drawing("generation", panels, caption, 1.4, columns=1, width="single")


def _tokens(record: Record, measures: Sequence[Measure]) -> Drawing:
    from benchmarks.tokens.__main__ import panel

    caption = (
        "−ELBO of held-out texts less that of the plain loop (a), nats/token, with fresh noise, against the seconds of "
        "the fit; a point for each number of fast steps, dotted: the start of q. Bars: one standard error of the "
        f"difference, paired by text. {LOWER}"
    )
    return Drawing("tokens", [panel(record["curves"])], caption, 2.8)


def _sharding(record: Record, measures: Sequence[Measure]) -> Drawing:
    shown = _of(measures, "MB")
    caption = f"Megabytes that a process sends in a slow step; counted, the same in every round. {LESS}"
    return Drawing("sharding", [bars(shown, "MB sent by a process in a slow step")], caption, 0.2 * len(shown) + 0.6)


def _threads(record: Record, measures: Sequence[Measure]) -> Drawing:
    caption = f"Speed of training beside busy loops of other processes, tokens/s. {RANGE} {HIGHER}"
    shown = _of(measures, "tokens/s")
    return Drawing("threads", [bars(shown, "tokens/s")], caption, 0.2 * len(shown) + 0.7)


def _token_store(record: Record, measures: Sequence[Measure]) -> Drawing:
    shown = [measure for measure in measures if measure.name.endswith("to_first_batch")][:2]
    caption = f"Seconds to the first batch, of the second run on a corpus. {RANGE} {LESS}"
    return Drawing("token_store", [bars(shown, "seconds")], caption, 1.1, width="single")


def _pretrained(record: Record, measures: Sequence[Measure]) -> Drawing:
    shown = _of(measures, "times")
    caption = f"Time or memory of a pretrained decoder, as a share of transformers' own. {RANGE} {PAIRED} {LESS}"
    return Drawing("pretrained", [bars(shown, "share of transformers'")], caption, 0.25 * len(shown) + 0.7)


def _of(measures: Sequence[Measure], unit: str) -> list[Measure]:
    return [measure for measure in measures if measure.unit == unit]


DRAWINGS: dict[str, Callable[[Record, Sequence[Measure]], Drawing]] = {
    "training": _training,
    "scaling": _scaling,
    "memory": _memory,
    "generation": _generation,
    "tokens": _tokens,
    "sharding": _sharding,
    "threads": _threads,
    "token_store": _token_store,
    "pretrained": _pretrained,
}
