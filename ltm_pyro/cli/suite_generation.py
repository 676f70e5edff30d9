"""`ltm evaluate RUN --suite generation`: what the text that a run writes is like, beside real text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.suites import folder_of
from ltm_pyro.device import chosen_device
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import add_device, add_trust_code, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import add_corpus_at
from ltm_pyro.suites.generation.texts import INTERPOLATED, KINDS, PROMPTED, REAL, REAL_REST, Found, QualityTexts
from ltm_pyro.suites.settings import settings_of

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.suites.generation import Embedder, Interval, Judge, Sample

FOLDER = "evaluation/generation"
QUALITY = "Texts of each kind, written and real. Bars: 95 % bootstrap intervals over texts."
Numbers = dict[str, dict[str, "Interval"]]  # by kind of text


def main(words: Sequence[str]) -> int:
    """Write and measure; returns the exit code."""
    from ltm_pyro.generation import Sampling
    from ltm_pyro.suites.generation import Embedder, Judge

    options = parse(_parser(), words)
    refuse_below(options, limit=2, tokens=1, prompt_tokens=1, batch_size=1, steps=1, fast_steps=0, seed=0, top_k=0)
    sampling = Sampling(options.temperature, options.top_k, options.top_p)
    run = open_run(options.run, options.trust_code)
    if options.steps is not None and run.config.model != "masked-diffusion":
        raise InputError(f"--steps {options.steps}: only masked diffusion writes in steps; leave it out")
    # before anything is written, so that a name that leads nowhere costs no time
    judge = None if options.judge is None else Judge(options.judge, chosen_device())
    embedder = None if options.embedder is None else Embedder(options.embedder, chosen_device())
    settings = settings_of(run, options, "judge", "embedder")
    folder = folder_of(run, FOLDER, options, _parser(), settings)
    found: Found = folder.done() if options.resume else {}
    folder.begin(["evaluate", *words])
    texts = QualityTexts(run, options, sampling)
    stopped = None
    try:
        texts.write_all(found, folder)
    except KeyboardInterrupt as interrupt:
        say("interrupted: what was written is measured; the same command with --resume writes the rest")
        stopped = interrupt
    numbers: Numbers = {}
    try:
        _measure_all(numbers, found, texts, judge, embedder, options.seed)
    except KeyboardInterrupt as interrupt:
        say("interrupted: the same command with --resume measures the rest, and writes nothing again")
        stopped = interrupt
    _finish(folder, found, numbers, options)
    if stopped is not None:
        raise stopped
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm evaluate RUN --suite generation", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("--suite", default="generation", help="this one")
    parser.add_argument(
        "--judge", type=str | None, default=None, help="a causal model of transformers, a folder or a hub's name"
    )
    parser.add_argument(
        "--embedder", type=str | None, default=None, help="any model of transformers, for MAUVE; a folder or a name"
    )
    parser.add_argument("--limit", "--samples", type=int, default=64, help="texts of each kind")
    parser.add_argument("--tokens", type=int | None, default=None, help="the most of a text; the run's length")
    parser.add_argument("--prompt_tokens", type=int, default=32, help="of held-out text before what is prompted")
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits; 0: the likeliest token")
    parser.add_argument("--top_k", type=int, default=0, help="draw from the k likeliest tokens; 0: from all")
    parser.add_argument("--top_p", type=float, default=1.0, help="draw from the likeliest tokens of total mass p")
    parser.add_argument("--steps", type=int | None, default=None, help="of masked diffusion; one for each token")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--batch_size", type=int, default=16, help="texts at once")
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--resume", action="store_true", help="keep what an interrupted evaluation has written")
    add_trust_code(parser)
    add_device(parser)
    return parser


def _measure_all(
    numbers: Numbers, found: Found, texts: QualityTexts, judge: Judge | None, embedder: Embedder | None, seed: int
) -> None:
    """Fill in the numbers of each kind of text that there is, as they come."""
    from ltm_pyro.suites.generation import measure

    samples = _samples(found)
    progress, done = Progress(sum(map(len, samples.values()))), 0
    try:
        for kind, own in samples.items():
            others = texts.others[REAL_REST if kind in (REAL_REST, PROMPTED) else REAL]

            def listen(judged: int, kind: str = kind, before: int = done) -> None:
                progress.update(before + judged, f"judging {kind}")

            numbers[kind] = measure(own, others, judge, embedder, seed, listen)
            done += len(own)
    finally:
        progress.clear()


def _samples(found: Found) -> dict[str, list[Sample]]:
    from ltm_pyro.suites.generation import Sample

    return {kind: [Sample(**record) for record in found[kind]] for kind in KINDS if found.get(kind)}


def _finish(folder: ComparisonFolder, found: Found, numbers: Numbers, options: Namespace) -> None:
    from ltm_pyro.plots import plot_text_quality, save_figure
    from ltm_pyro.suites.generation import MEASURES, table

    samples = _samples(found)
    records: list[dict[str, Any]] = [
        {"kind": kind, "measure": name, "value": interval.value, "low": interval.low, "high": interval.high}
        for kind, own in numbers.items()
        for name, interval in own.items()
    ]
    for kind, own in samples.items():
        lines = [f"--- {place} ---\n{one.prompt}|{one.text}" for place, one in enumerate(own, 1)]
        folder.write(f"{kind.replace(', ', '-').replace(' ', '-')}.txt", "\n".join(lines) + "\n")

    def draw() -> list[str]:
        known = {record["measure"] for record in records if not math.isnan(record["value"])}
        shown = [name for name in ("perplexity", "entropy", "repetition", "self_bleu", "mauve") if name in known]
        panels: list[Any] = [partial(plot_text_quality, records, measure=name, label=MEASURES[name]) for name in shown]
        if not panels:
            return []
        return [path.name for path in save_figure(folder.path / "text-quality", panels, QUALITY, 1.6, columns=3)]

    counts = {kind: len(own) for kind, own in samples.items()}
    folder.finish(table(numbers, counts, _notes(found, numbers, options)), records, draw)


def _notes(found: Found, numbers: Numbers, options: Namespace) -> list[str]:
    """What is not there and how to get it, and what the numbers were made with."""
    notes = [
        f"Judge: {options.judge}."
        if options.judge
        else "No generative perplexity: give --judge, a folder or a hub's name.",
        f"MAUVE against other held-out texts, embedded by {options.embedder}."
        if options.embedder
        else "No MAUVE: give --embedder, a folder or a hub's name.",
    ]
    if INTERPOLATED not in found:
        notes.append("Nothing is written between two texts: this model has no thoughts.")
    if left := [kind for kind in KINDS if found.get(kind) and kind not in numbers]:
        notes.append(f"Not measured, since interrupted: {'; '.join(left)}.")
    return notes
