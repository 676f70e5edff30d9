"""The text that a command scores: the run's held-out text, or a named corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.data.sources import divide
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import say_once
from ltm_pyro.runs.result_names import place_name
from ltm_pyro.training.data_module import row_fields, scores_prompts
from ltm_pyro.training.held_out import RunText

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences
    from ltm_pyro.training.run import Run


class ScoredText(NamedTuple):
    """Sequences to score, with their name and description.

    Attributes:
        sequences: cut as the run cuts its corpus.
        name: the text's name in names of files.
        about: description of the text.
        held_out: the run's own text, if that is scored.
    """

    sequences: Sequences
    name: str
    about: str
    held_out: RunText | None = None


def scored_text(run: Run, corpus: str | None = None, corpus_at: str | None = None, field: str = "") -> ScoredText:
    """The sequences of the run's held-out text, or of a corpus, cut as the run cuts its own.

    Args:
        run: the run that scores them.
        corpus: as for `ltm train`; the run's held-out text if None.
        corpus_at: the place of the run's own corpus now, if it has been moved.
        field: the field of the corpus that holds the text, or the answer to a prompt; if empty, `text`, or for a run of
            prompts and answers the field of its own corpus.

    Raises:
        InputError: if both a corpus and `corpus_at` are given, or the text gives no sequence.
    """
    if corpus is None:
        text = held_out_text(run, corpus_at)
        return ScoredText(text.held_out, text.name, text.about, text)
    if corpus_at is not None:
        raise InputError(
            f"{corpus} and --corpus_at {corpus_at} are two texts: CORPUS is scored instead of the held-out text, and "
            "--corpus_at is the new place of the run's own corpus. Give one of them"
        )
    from ltm_pyro import data

    paths = divide(corpus)
    config = run.config
    fields = row_fields(config, field)._replace(label=None)
    reader = data.corpus_of_fields(paths, fields if config.data.prompt else data.RowFields(field or None))
    documents = list(reader)
    for remark in reader.remarks:
        say(f"  {remark}")
    sequences = data.cut(
        config.data.mode,
        documents,
        run.tokenizer,
        config.data.length,
        score_prompts=scores_prompts(config),
    )
    if not len(sequences):
        raise InputError(f"{corpus} gives no sequence to score: it is too small")
    named = ", ".join(part if part.startswith(PREFIX) else Path(part).name for part in paths)  # tables are shared
    return ScoredText(sequences, place_name(corpus), f"{named}, {len(documents):,} documents")


def held_out_text(run: Run, place: str | None = None) -> RunText:
    """The run's own text; a message says so if it is not all of the held-out text."""
    text = RunText(run, place)
    if not run.own and (corpus := text.config.get("corpus")):
        say_once(f"{run.folder} was not made on this machine; reading the text that it names: {corpus}")
    if text.name != "validation":
        say(f"{run.folder}: {text.about}.")
    return text
