"""Suite `generation`: quality of a run's generated text, compared with real text."""

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
    """Measure the quality of a run's generated text, compared with real text.

    After an interrupt, the texts so far are measured, shown and kept in the run's folder.

    Args:
        judge: a causal model of transformers, a folder or a name on the hub, for the generative perplexity.
        embedder: any model of transformers, a folder or a name on the hub, for MAUVE.
        limit: number of texts of each kind.
        tokens: largest number of tokens of a text; the run's length if left out.
        prompt_tokens: number of held-out tokens in a prompt.
        batch_size: texts in one batch.
        resume: keep the texts of an interrupted evaluation.
        command: command that repeats the evaluation.
        run, temperature, top_k, top_p, steps, fast_steps, corpus_at, checkpoint, seed, trust_code: as
            `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a model that cannot be loaded, too little held-out text, or lengths that do not suit the run.
    """
    call = Call(evaluate, locals())
    sampling = Sampling(temperature, top_k, top_p)
    opened = open_run(run, trust_code)
    if steps is not None and opened.config.model != "masked-diffusion":
        raise InputError(f"--steps {steps}: only masked diffusion generates in steps; leave --steps out")
    # loaded before any text is generated, so that a wrong name costs no time
    judging = None if judge is None else Judge(judge, chosen_device())
    embedding = None if embedder is None else Embedder(embedder, chosen_device())
    settings = settings_of(opened, call, "judge", "embedder")
    folder = comparison_folder(opened.folder / FOLDER, call, settings, opened)
    texts_by_kind: Found = folder.done() if resume else {}
    folder.begin(command)
    components = load(opened, checkpoint)[0].with_fast_steps(fast_steps)
    sizes = {name: call.given[name] for name in ("limit", "tokens", "prompt_tokens", "steps", "batch_size", "seed")}
    texts = QualityTexts(opened, components, sampling, corpus_at=corpus_at, **sizes)
    numbers: Numbers = {}
    stopped = _write_all(texts, texts_by_kind, folder)
    stopped = _measure_all(numbers, texts_by_kind, texts, judging, embedding, seed) or stopped
    result = _finish(folder, texts_by_kind, numbers, judge, embedder)
    if stopped is not None:
        raise stopped
    return result


def _write_all(texts: QualityTexts, texts_by_kind: Found, folder: ComparisonFolder) -> KeyboardInterrupt | None:
    """Generate the missing texts; returns the interrupt if there was one."""
    try:
        texts.write_all(texts_by_kind, folder)
    except KeyboardInterrupt as interrupt:
        say("interrupted: the texts so far are measured; the same command with --resume generates the rest")
        return interrupt
    return None


def _measure_all(
    numbers: Numbers,
    texts_by_kind: Found,
    texts: QualityTexts,
    judge: Judge | None,
    embedder: Embedder | None,
    seed: int,
) -> KeyboardInterrupt | None:
    """Fill in the measures of each kind of text, one after another; returns the interrupt if there was one."""
    samples = _samples(texts_by_kind)
    progress, done = Progress(sum(map(len, samples.values()))), 0
    try:
        for kind, group in samples.items():
            real = texts.others[REAL_REST if kind in (REAL_REST, PROMPTED) else REAL]

            def listen(judged: int, kind: str = kind, before: int = done) -> None:
                progress.update(before + judged, f"judging {kind}")

            numbers[kind] = measure(group, real, judge, embedder, seed, listen)
            done += len(group)
    except KeyboardInterrupt as interrupt:
        say("interrupted: the same command with --resume measures the rest, and generates no text again")
        return interrupt
    finally:
        progress.clear()
    return None


def _samples(texts_by_kind: Found) -> dict[str, list[Sample]]:
    return {kind: [Sample(**record) for record in texts_by_kind[kind]] for kind in KINDS if texts_by_kind.get(kind)}


def _finish(
    folder: ComparisonFolder, texts_by_kind: Found, numbers: Numbers, judge: str | None, embedder: str | None
) -> SuiteResult:
    samples = _samples(texts_by_kind)
    records: list[dict[str, Any]] = [
        {"kind": kind, "measure": name, "value": interval.value, "low": interval.low, "high": interval.high}
        for kind, intervals in numbers.items()
        for name, interval in intervals.items()
    ]
    for kind, group in samples.items():
        lines = [f"--- {place} ---\n{sample.prompt}|{sample.text}" for place, sample in enumerate(group, 1)]
        folder.write(f"{kind.replace(', ', '-').replace(' ', '-')}.txt", "\n".join(lines) + "\n")
    counts = {kind: len(group) for kind, group in samples.items()}
    text = table(numbers, counts, _notes(texts_by_kind, numbers, judge, embedder))
    folder.finish(text, records, lambda: _draw(records, folder))
    return SuiteResult(text, records, folder.path)


def _draw(records: Sequence[dict[str, Any]], folder: ComparisonFolder) -> list[str]:
    from ltm_pyro.plots import CAPTIONS, plot_text_quality, save_figure

    measured = {record["measure"] for record in records if not math.isnan(record["value"])}
    panels: list[Any] = [
        partial(plot_text_quality, records, measure=name, label=MEASURES[name]) for name in SHOWN if name in measured
    ]
    if not panels:
        return []
    paths = save_figure(folder.path / "text-quality", panels, CAPTIONS["plot_text_quality"], 1.4, columns=3)
    return [path.name for path in paths]


def _notes(texts_by_kind: Found, numbers: Numbers, judge: str | None, embedder: str | None) -> list[str]:
    """Notes below the table: models of the measures, and missing measures with the remedy."""
    notes = [
        f"Judge: {judge}." if judge else "No generative perplexity: give --judge, a folder or a hub's name.",
        f"MAUVE against other held-out texts, embedded by {embedder}."
        if embedder
        else "No MAUVE: give --embedder, a folder or a hub's name.",
    ]
    if INTERPOLATED not in texts_by_kind:
        notes.append("No texts between two texts: this model has no thoughts to interpolate.")
    if unmeasured := [kind for kind in KINDS if texts_by_kind.get(kind) and kind not in numbers]:
        notes.append(f"Not measured, since interrupted: {'; '.join(unmeasured)}.")
    return notes
