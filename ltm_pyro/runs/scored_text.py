"""The text that a command scores: what the run held out, or a corpus that is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.data.sources import divide
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import say_once
from ltm_pyro.runs.result_names import place_name
from ltm_pyro.training.held_out import RunText

if TYPE_CHECKING:
    from ltm_pyro.data import Sequences
    from ltm_pyro.training.run import Run


class ScoredText(NamedTuple):
    """Sequences to score.

    Attributes:
        sequences: cut as the run's own.
        name: for files.
        about: what they are, in words.
        held_out: the run's own text, if it is that.
    """

    sequences: Sequences
    name: str
    about: str
    held_out: RunText | None = None


def scored_text(run: Run, corpus: str | None = None, corpus_at: str | None = None, field: str = "") -> ScoredText:
    """The text that the run held out, or the sequences of a corpus, cut as the run's own.

    Args:
        run: which scores it.
        corpus: as for `ltm train`; what the run held out if None.
        corpus_at: where the run's own corpus lies now, if it has been moved.
        field: of the corpus that holds the text; `text` if empty.

    Raises:
        InputError: for two texts, or one that gives no sequence.
    """
    if corpus is None:
        text = held_out_text(run, corpus_at)
        return ScoredText(text.held_out, text.name, text.about, text)
    if corpus_at is not None:
        raise InputError(
            f"{corpus} and --corpus_at {corpus_at} are two texts: the first is scored as it is, the "
            "second is where the run's own corpus lies now. Give one of them"
        )
    from ltm_pyro import data

    paths = divide(corpus)
    read = data.Corpus(paths, field or None)
    documents = list(read)
    for remark in read.remarks:
        say(f"  {remark}")
    sequences = data.cut(run.config.data.mode, documents, run.tokenizer, run.config.data.length)
    if not len(sequences):
        raise InputError(f"{corpus} gives no sequence to score: it is too small")
    named = ", ".join(part if part.startswith(PREFIX) else Path(part).name for part in paths)  # tables are shared
    return ScoredText(sequences, place_name(corpus), f"{named}, {len(documents):,} documents")


def held_out_text(run: Run, place: str | None = None) -> RunText:
    """The run's own text, and a line that says so where it is not all that the run held out."""
    text = RunText(run, place)
    if not run.own and (corpus := text.config.get("corpus")):
        say_once(f"{run.folder} was not made here; the text that it names is read: {corpus}")
    if text.name != "validation":
        say(f"{run.folder}: {text.about}.")
    return text
