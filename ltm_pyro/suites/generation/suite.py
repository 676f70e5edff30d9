"""The suite `generation`: measures of the text that a run writes, beside real text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from ltm_pyro.device import chosen_device
from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    BatchSize,
    Call,
    Checkpoint,
    CorpusAt,
    DiffusionSteps,
    FastSteps,
    Resume,
    RunFolder,
    Seed,
    Temperature,
    TopK,
    TopP,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.suites.generation.bootstrap import Interval
from ltm_pyro.suites.generation.embedder import Embedder
from ltm_pyro.suites.generation.judge import Judge
from ltm_pyro.suites.generation.measures import MEASURES, measure
from ltm_pyro.suites.generation.sample import Sample
from ltm_pyro.suites.generation.table import table
from ltm_pyro.suites.generation.texts import INTERPOLATED, KINDS, PROMPTED, REAL, REAL_REST, Found, QualityTexts
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.suites.settings import settings_of

FOLDER = "evaluation/generation"
QUALITY = "Texts of each kind, written and real. Bars: 95 % bootstrap intervals over texts."
SHOWN = ("perplexity", "entropy", "repetition", "self_bleu", "mauve")  # in figures
Numbers = dict[str, dict[str, Interval]]  # by kind of text


@in_range
def evaluate(
    run: RunFolder,
    *,
    judge: str | None = None,
    embedder: str | None = None,
    limit: Annotated[int, whole(2)] = 64,
    tokens: Annotated[int | None, whole(1)] = None,
    prompt_tokens: Annotated[int, whole(1)] = 32,
    temperature: Temperature = 1.0,
    top_k: TopK = 0,
    top_p: TopP = 1.0,
    steps: DiffusionSteps = None,
    fast_steps: FastSteps = None,
    batch_size: BatchSize = 16,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    resume: Resume = False,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> SuiteResult:
    """Quality of the text that a run writes, beside real text.

    What there is when it is interrupted is measured, shown and kept in the run's folder.

    Args:
        judge: a causal model of transformers, a folder or a hub's name.
        embedder: any model of transformers, for MAUVE; a folder or a name.
        limit: texts of each kind.
        tokens: the most of a text; the run's length.
        prompt_tokens: of held-out text before what is prompted.
        batch_size: texts at once.
        resume: keep what an interrupted evaluation has written.
        command: that this can be repeated by.
        run, temperature, top_k, top_p, steps, fast_steps, corpus_at, checkpoint, seed, trust_code: as
            `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a model that cannot be loaded, too little held-out text, or lengths that the run does not have.
    """
    call = Call(evaluate, locals())
    sampling = Sampling(temperature, top_k, top_p)
    opened = open_run(run, trust_code)
    if steps is not None and opened.config.model != "masked-diffusion":
        raise InputError(f"--steps {steps}: only masked diffusion writes in steps; leave it out")
    # before anything is written, so that a name that leads nowhere costs no time
    judging = None if judge is None else Judge(judge, chosen_device())
    embedding = None if embedder is None else Embedder(embedder, chosen_device())
    settings = settings_of(opened, call, "judge", "embedder")
    folder = comparison_folder(opened.folder / FOLDER, call, settings, opened)
    found: Found = folder.done() if resume else {}
    folder.begin(command)
    components = load(opened, checkpoint)[0].with_fast_steps(fast_steps)
    sizes = {name: call.given[name] for name in ("limit", "tokens", "prompt_tokens", "steps", "batch_size", "seed")}
    texts = QualityTexts(opened, components, sampling, corpus_at=corpus_at, **sizes)
    numbers: Numbers = {}
    stopped = _write_all(texts, found, folder)
    stopped = _measure_all(numbers, found, texts, judging, embedding, seed) or stopped
    result = _finish(folder, found, numbers, judge, embedder)
    if stopped is not None:
        raise stopped
    return result


def _write_all(texts: QualityTexts, found: Found, folder: ComparisonFolder) -> KeyboardInterrupt | None:
    """Write what has not been written; returns what has interrupted it."""
    try:
        texts.write_all(found, folder)
    except KeyboardInterrupt as interrupt:
        say("interrupted: what was written is measured; the same command with --resume writes the rest")
        return interrupt
    return None


def _measure_all(
    numbers: Numbers, found: Found, texts: QualityTexts, judge: Judge | None, embedder: Embedder | None, seed: int
) -> KeyboardInterrupt | None:
    """Fill in the numbers of each kind of text that there is, as they come; returns what has interrupted it."""
    samples = _samples(found)
    progress, done = Progress(sum(map(len, samples.values()))), 0
    try:
        for kind, own in samples.items():
            others = texts.others[REAL_REST if kind in (REAL_REST, PROMPTED) else REAL]

            def listen(judged: int, kind: str = kind, before: int = done) -> None:
                progress.update(before + judged, f"judging {kind}")

            numbers[kind] = measure(own, others, judge, embedder, seed, listen)
            done += len(own)
    except KeyboardInterrupt as interrupt:
        say("interrupted: the same command with --resume measures the rest, and writes nothing again")
        return interrupt
    finally:
        progress.clear()
    return None


def _samples(found: Found) -> dict[str, list[Sample]]:
    return {kind: [Sample(**record) for record in found[kind]] for kind in KINDS if found.get(kind)}


def _finish(
    folder: ComparisonFolder, found: Found, numbers: Numbers, judge: str | None, embedder: str | None
) -> SuiteResult:
    samples = _samples(found)
    records: list[dict[str, Any]] = [
        {"kind": kind, "measure": name, "value": interval.value, "low": interval.low, "high": interval.high}
        for kind, own in numbers.items()
        for name, interval in own.items()
    ]
    for kind, own in samples.items():
        lines = [f"--- {place} ---\n{one.prompt}|{one.text}" for place, one in enumerate(own, 1)]
        folder.write(f"{kind.replace(', ', '-').replace(' ', '-')}.txt", "\n".join(lines) + "\n")
    counts = {kind: len(own) for kind, own in samples.items()}
    shown = table(numbers, counts, _notes(found, numbers, judge, embedder))
    folder.finish(shown, records, lambda: _draw(records, folder))
    return SuiteResult(shown, records, folder.path)


def _draw(records: Sequence[dict[str, Any]], folder: ComparisonFolder) -> list[str]:
    from ltm_pyro.plots import plot_text_quality, save_figure

    known = {record["measure"] for record in records if not math.isnan(record["value"])}
    panels: list[Any] = [
        partial(plot_text_quality, records, measure=name, label=MEASURES[name]) for name in SHOWN if name in known
    ]
    if not panels:
        return []
    return [path.name for path in save_figure(folder.path / "text-quality", panels, QUALITY, 1.6, columns=3)]


def _notes(found: Found, numbers: Numbers, judge: str | None, embedder: str | None) -> list[str]:
    """Notes below the table: missing measures and how to get them, and the models behind the numbers."""
    notes = [
        f"Judge: {judge}." if judge else "No generative perplexity: give --judge, a folder or a hub's name.",
        f"MAUVE against other held-out texts, embedded by {embedder}."
        if embedder
        else "No MAUVE: give --embedder, a folder or a hub's name.",
    ]
    if INTERPOLATED not in found:
        notes.append("Nothing is written between two texts: this model has no thoughts.")
    if left := [kind for kind in KINDS if found.get(kind) and kind not in numbers]:
        notes.append(f"Not measured, since interrupted: {'; '.join(left)}.")
    return notes
