"""Suite `zero-shot`: perplexity of a run on standard text sets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Call,
    Checkpoint,
    Draws,
    FastSteps,
    Limit,
    Resume,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.names import did_you_mean
from ltm_pyro.runs.result_folders import comparison_folder
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scoring import score_run
from ltm_pyro.suites.result import SuiteResult
from ltm_pyro.suites.settings import settings_of
from ltm_pyro.suites.zero_shot.sets import SETS, TextSet
from ltm_pyro.suites.zero_shot.table import records_of, table
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation import Evaluation


FOLDER = "evaluation/zero-shot"
Found = dict[str, list[dict[str, Any]]]  # records by title of the set


@in_range
def evaluate(
    run: RunFolder,
    *,
    sets: Sequence[str] = tuple(SETS),
    files: Annotated[Mapping[str, str], Argument(metavar="SET=PATH")] = {},  # never modified
    mode: str | None = None,
    documents: Annotated[int | None, whole(1)] = None,
    limit: Limit = None,
    draws: Draws = 16,
    fast_steps: FastSteps = None,
    batch_size: BatchSize = 32,
    checkpoint: Checkpoint = "best",
    seed: Seed = 0,
    resume: Resume = False,
    trust_code: TrustCode = False,
    command: Sequence[str] = (),
) -> SuiteResult:
    """Measure zero-shot perplexity on standard text sets.

    After an interrupt, the results so far are shown and kept in the run's folder.

    Args:
        sets: text sets; all if left out.
        files: a local file or folder instead of a set's data on the hub, with the same spelling.
        mode: windows or documents; the run's mode if left out.
        documents: largest number of documents to read of each set.
        limit: largest number of sequences to score of each set.
        resume: continue an interrupted evaluation, or add sets.
        command: command that repeats the evaluation.
        run, draws, fast_steps, batch_size, checkpoint, seed, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for an unknown set, a file that cannot be read, or if no set can be loaded.
    """
    call = Call(evaluate, locals())
    chosen = _chosen(sets, mode)
    opened = open_run(run, trust_code)
    _refuse_other(files, sets)
    folder = comparison_folder(opened.folder / FOLDER, call, settings_of(opened, call, "sets", "files"), opened)
    records_by_title = folder.done() if resume else folder.others(SETS[name].title for name in chosen)
    folder.begin(command)
    missing: dict[str, str] = {}
    for name, file in files.items():
        field_of(SETS[name], file)  # raises an error before any set is scored
    sizes: dict[str, Any] = {"draws": draws, "limit": limit, "batch_size": batch_size, "seed": seed}

    def score(sequences: Sequences) -> Evaluation:
        components, device = load(opened, checkpoint)
        return score_run(opened, components.with_fast_steps(fast_steps), device, sequences, **sizes)

    try:
        for name in chosen:
            cut = partial(_sequences, opened, SETS[name], files.get(name), mode, documents)
            _score(name, files.get(name), cut, score, records_by_title, missing)
            folder.keep(records_by_title)
    except KeyboardInterrupt:
        say(
            f"interrupted: {len(records_by_title)} of {len(chosen)} sets are scored; the same command with --resume "
            "continues"
        )
        _finish(folder, records_by_title, missing)
        raise
    return _finish(folder, records_by_title, missing)


def _chosen(sets: Sequence[str], mode: str | None) -> list[str]:
    if mode not in (None, "windows", "documents"):
        raise InputError(f"--mode {mode}: expected windows or documents")
    for name in sets:
        if name not in SETS:
            raise InputError(f"--sets {name}: {did_you_mean(name, SETS)}The sets are {', '.join(SETS)}")
    return list(dict.fromkeys(sets))


def _refuse_other(files: Mapping[str, str], sets: Sequence[str]) -> None:
    for name, path in files.items():
        if name not in sets:
            raise InputError(f"--files {name}={path}: expected SET=PATH, with one of {', '.join(sets)}")


def _score(
    name: str,
    file: str | None,
    cut: Callable[[], Sequences],
    score: Callable[[Sequences], Evaluation],
    records_by_title: Found,
    missing: dict[str, str],
) -> None:
    """Score a set, unless it is scored already; a set that cannot be loaded is noted in `missing`."""
    title, source = SETS[name].title, file or SETS[name].hub
    if title in records_by_title:
        if (before := records_by_title[title][0].get("source", source)) != source:
            raise InputError(f"{title} was scored from {before}, not from {source}: leave out --resume")
        return
    try:
        sequences = cut()
    except InputError as error:
        if file is not None:
            raise
        missing[title] = f"{error}; as --files {name}=PATH"
        return
    records_by_title[title] = [{**record, "source": source} for record in records_of(score(sequences))]


def field_of(chosen: TextSet, file: str) -> str | None:
    """Field of a local file that holds its text: the field on the hub, or None for the default, `text`.

    Raises:
        InputError: if the file has neither, or its first document cannot be read.
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
                f"{error.found} Name the field to read {chosen.field!r}, as on the hub, or 'text'"
            ) from error
        return None
    return chosen.field


def _sequences(run: Run, chosen: TextSet, file: str | None, mode: str | None, documents: int | None) -> Sequences:
    """Sequences of a set after de-tokenisation, cut like the run's text."""
    from ltm_pyro import data

    source = chosen.hub if file is None else file
    field = chosen.field if file is None else field_of(chosen, file)
    raw = list(islice(data.Corpus(source, field), documents))
    texts = (document._replace(text=chosen.detokenise(document.text)) for document in raw)
    nonempty = [document for document in texts if document.text.strip()]
    cut: Any = mode or run.config.data.mode
    sequences = data.cut(cut, nonempty, run.tokenizer, run.config.data.length)
    if not len(sequences):
        raise InputError(f"{source} gives no sequence to score: it is too small")
    return sequences


def _finish(folder: ComparisonFolder, records_by_title: Found, missing: dict[str, str]) -> SuiteResult:
    from ltm_pyro.plots import CAPTIONS, plot_text_sets, save_figure

    text = table(records_by_title, missing)
    if not records_by_title:
        sys.stdout.write(text + "\n")
        raise InputError("no set could be loaded; give local files, --files SET=PATH")
    records = [{"set": title, **record} for title, group in records_by_title.items() for record in group]

    def draw() -> list[str]:
        panel, caption = partial(plot_text_sets, records), CAPTIONS["plot_text_sets"]
        return [path.name for path in save_figure(folder.path / "sets", [panel], caption)]

    folder.finish(text, records, draw)
    return SuiteResult(text, records, folder.path)
