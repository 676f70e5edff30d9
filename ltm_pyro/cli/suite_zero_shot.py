"""`ltm evaluate RUN --suite zero-shot`: perplexity on the field's text sets, nothing learned from them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import did_you_mean, parse, refuse_below
from ltm_pyro.cli.comparison_folder import ComparisonFolder
from ltm_pyro.cli.evaluate import score_run
from ltm_pyro.cli.loading import add_trust_code, load, open_run
from ltm_pyro.cli.session import say
from ltm_pyro.cli.suites import folder_of, local_files, settings_of
from ltm_pyro.errors import InputError
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation.zero_shot import TextSet

FOLDER = "evaluation/zero-shot"
SETS = "Cost of each text set. Bars: one standard error over sequences. Costs: lower is better."


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    from ltm_pyro.evaluation.zero_shot import SETS

    options = parse(_parser(), words)
    refuse_below(options, draws=1, batch_size=1, limit=1, documents=1, fast_steps=0, seed=0)
    sets = _chosen(options)
    run = open_run(options.run, options.trust_code)
    files = local_files(options.files, options.sets, f"SET=PATH, with one of {', '.join(options.sets)}")
    settings = settings_of(run, options, "sets", "files")
    folder = folder_of(run, FOLDER, options, _parser(), settings)
    found = folder.done() if options.resume else folder.others(SETS[name].title for name in sets)
    folder.begin(["evaluate", *words])
    missing: dict[str, str] = {}
    for name, file in files.items():
        _field(SETS[name], file)  # before anything is scored
    try:
        for name in sets:
            _score(run, options, name, files.get(name), found, missing)
            folder.keep(found)
    except KeyboardInterrupt:
        say(f"interrupted: {len(found)} of {len(sets)} sets are scored; go on with the same command and --resume")
        _finish(folder, found, missing)
        raise
    _finish(folder, found, missing)
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    from ltm_pyro.evaluation.zero_shot import SETS

    parser = ArgumentParser(prog="ltm evaluate RUN --suite zero-shot", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--suite", default="zero-shot", help="this one")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help=f"which: {', '.join(SETS)}")
    parser.add_argument(
        "--files",
        nargs="+",
        default=[],
        metavar="SET=PATH",
        help="a local file or folder in the place of a set's data on the hub, spelled as that is",
    )
    parser.add_argument("--mode", default=None, help="windows or documents; the run's own if left out")
    parser.add_argument("--documents", type=int | None, default=None, help="the most documents to read of each set")
    parser.add_argument("--limit", type=int | None, default=None, help="the most sequences to score of each set")
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z per sequence")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--batch_size", type=int, default=32, help="sequences at once")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted evaluation, or add sets")
    add_trust_code(parser)
    return parser


def _chosen(options: Namespace) -> list[str]:
    from ltm_pyro.evaluation.zero_shot import SETS

    if options.mode not in (None, "windows", "documents"):
        raise InputError(f"--mode {options.mode}: expected windows or documents")
    for name in options.sets:
        if name not in SETS:
            raise InputError(f"--sets {name}: {did_you_mean(name, SETS)}The sets are {', '.join(SETS)}")
    return list(dict.fromkeys(options.sets))


def _score(
    run: Run,
    options: Namespace,
    name: str,
    file: str | None,
    found: dict[str, list[dict[str, Any]]],
    missing: dict[str, str],
) -> None:
    """Score one set, unless it has been, or it is not to be had."""
    from ltm_pyro.evaluation.zero_shot import SETS, records_of

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


def _field(chosen: TextSet, file: str) -> str | None:
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
    field = chosen.field if file is None else _field(chosen, file)
    plain = list(islice(data.Corpus(source, field), options.documents))
    texts = (document._replace(text=chosen.detokenise(document.text)) for document in plain)
    documents = [text for text in texts if text.text.strip()]
    sequences = data.cut(options.mode or run.config.data.mode, documents, run.tokenizer, run.config.data.length)
    if not len(sequences):
        raise InputError(f"{source} gives no sequence to score: it is too small")
    return sequences


def _finish(folder: ComparisonFolder, found: dict[str, list[dict[str, Any]]], missing: dict[str, str]) -> None:
    from ltm_pyro.evaluation.zero_shot import table
    from ltm_pyro.plots import plot_text_sets, save_figure

    if not found:
        sys.stdout.write(table(found, missing) + "\n")
        raise InputError("none of the sets could be had; give files of them, --files SET=PATH")
    records = [{"set": title, **record} for title, own in found.items() for record in own]

    def draw() -> list[str]:
        return [path.name for path in save_figure(folder.path / "sets", [partial(plot_text_sets, records)], SETS)]

    folder.finish(table(found, missing), records, draw)
