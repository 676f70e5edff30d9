"""A run scored on text sets of the field."""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs.loading import load
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scoring import score_run
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.data import Sequences
    from ltm_pyro.suites.zero_shot import TextSet


SETS = "Cost of each text set. Bars: one standard error over sequences. Costs: lower is better."


def score(
    run: Run,
    options: Namespace,
    name: str,
    file: str | None,
    found: dict[str, list[dict[str, Any]]],
    missing: dict[str, str],
) -> None:
    """Score one set, unless it has been, or it is not to be had."""
    from ltm_pyro.suites.zero_shot import SETS, records_of

    chosen = SETS[name]
    source = file or chosen.hub
    if chosen.title in found:
        if (before := found[chosen.title][0].get("source", source)) != source:
            raise InputError(f"{chosen.title} was scored from {before}, not from {source}: leave out --resume")
        return
    try:
        sequences = _sequences(run, chosen, file, options)
    except InputError as error:
        if file is not None:
            raise
        missing[chosen.title] = f"{error}; as --files {name}=PATH"
        return
    blueprint, device = load(run, options.checkpoint)
    sizes = {"draws": options.draws, "limit": options.limit, "batch_size": options.batch_size, "seed": options.seed}
    evaluation = score_run(run, blueprint.with_fast_steps(options.fast_steps), device, sequences, **sizes)
    found[chosen.title] = [{**record, "source": source} for record in records_of(evaluation)]


def field_of(chosen: TextSet, file: str) -> str | None:
    """The field of a local file that holds its text: the hub's, or `text`, the default.

    Raises:
        InputError: if it has neither, or its first document cannot be read.
    """
    from ltm_pyro import data
    from ltm_pyro.data.fields import NoFieldError

    try:
        next(iter(data.Corpus(file, chosen.field)), None)
    except NoFieldError:
        try:
            next(iter(data.Corpus(file)), None)
        except NoFieldError as error:
            raise InputError(
                f"{error.found} Call the one to read {chosen.field!r}, as the hub does, or 'text'"
            ) from error
        return None
    return chosen.field


def _sequences(run: Run, chosen: TextSet, file: str | None, options: Namespace) -> Sequences:
    """A set's text after its de-tokenisation, cut as the run's own."""
    from ltm_pyro import data

    source = chosen.hub if file is None else file
    field = chosen.field if file is None else field_of(chosen, file)
    plain = list(islice(data.Corpus(source, field), options.documents))
    texts = (document._replace(text=chosen.detokenise(document.text)) for document in plain)
    documents = [text for text in texts if text.text.strip()]
    sequences = data.cut(options.mode or run.config.data.mode, documents, run.tokenizer, run.config.data.length)
    if not len(sequences):
        raise InputError(f"{source} gives no sequence to score: it is too small")
    return sequences


def finish(folder: ComparisonFolder, found: dict[str, list[dict[str, Any]]], missing: dict[str, str]) -> None:
    from ltm_pyro.plots import plot_text_sets, save_figure
    from ltm_pyro.suites.zero_shot import table

    if not found:
        sys.stdout.write(table(found, missing) + "\n")
        raise InputError("none of the sets could be had; give files of them, --files SET=PATH")
    records = [{"set": title, **record} for title, own in found.items() for record in own]

    def draw() -> list[str]:
        return [path.name for path in save_figure(folder.path / "sets", [partial(plot_text_sets, records)], SETS)]

    folder.finish(table(found, missing), records, draw)
