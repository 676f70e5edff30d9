"""Evaluation of a run on text: the table of `ltm evaluate`, and its files in the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ltm_pyro.files.new_file import refuse_taken
from ltm_pyro.ranges import in_range
from ltm_pyro.runs.arguments import (
    Argument,
    BatchSize,
    Call,
    Checkpoint,
    CorpusAt,
    Draws,
    FastSteps,
    Field,
    Limit,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.result_names import result_name
from ltm_pyro.runs.scored_text import ScoredText, scored_text
from ltm_pyro.runs.scoring import save, score_run, table_text, weights_of
from ltm_pyro.training.held_out import refuse_other_held_out
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    import numpy as np

    from ltm_pyro.evaluation import Evaluation

TABLES = (".parquet", ".csv", ".jsonl")


class Evaluated(NamedTuple):
    """An evaluation with the arguments that produced it.

    Attributes:
        run: the run that was scored.
        name: the name of its files.
        evaluation, baseline: as `ltm_pyro.evaluation.markdown` takes them.
        options: all arguments.
        about: the text and the checkpoint, in words.
        per_text, columns: file and content of the table of texts; None if it was not asked for.
    """

    run: Run
    name: str
    evaluation: Evaluation
    baseline: Evaluation | None
    options: dict[str, Any]
    about: str
    per_text: Path | None = None
    columns: dict[str, np.ndarray] | None = None

    @property
    def text(self) -> str:
        """The table, and a line that names the text and the checkpoint."""
        return table_text(self.evaluation, self.baseline, self.about)

    def save(self) -> Path:
        """Write the evaluation into the run's folder as Markdown and JSON, and the table of texts if it was asked for.

        Returns:
            The path of the JSON.

        Raises:
            InputError: if a file cannot be written.
        """
        path = save(self.run, self.name, self.evaluation, self.baseline, self.options, self.about)
        if self.per_text is not None and self.columns is not None:
            from ltm_pyro.export import write_table

            write_table(self.columns, self.per_text, {"about": self.about, "units": "nats", "options": self.options})
        return path


@in_range
def evaluate(
    run: RunFolder,
    corpus: str | None = None,
    *,
    corpus_at: CorpusAt = None,
    baseline: Annotated[str | None, Argument(metavar="RUN2")] = None,
    checkpoint: Checkpoint = "best",
    field: Field = "",
    draws: Draws = 16,
    fast_steps: FastSteps = None,
    limit: Limit = None,
    batch_size: BatchSize = 32,
    seed: Seed = 0,
    fixed_noise: bool = True,
    per_text: Annotated[str | None, Argument(metavar="FILE")] = None,
    trust_code: TrustCode = False,
) -> Evaluated:
    """The numbers of a run on held-out or other text.

    Args:
        corpus: text to score, as for `ltm train`; the run's held-out text if left out.
        baseline: another run in the same table, for example an autoregressive one.
        fixed_noise: report the number of the released code's protocol too, which is no bound.
        per_text: write the numbers of each text to this new file too, a row a text: .parquet, .csv or .jsonl.
        run, corpus_at, checkpoint, field, draws, fast_steps, limit, batch_size, seed, trust_code: as
            `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for a text that gives no sequence, or two runs that held out different texts; if the file of
            `per_text` exists, or the sequences of the two runs differ, so that their texts could not be paired.
    """
    call = Call(evaluate, locals())
    if per_text is not None:
        refuse_taken(Path(per_text), TABLES, "--per_text")
    opened = open_run(run, trust_code)
    reference = open_run(baseline, trust_code) if baseline else None
    text = scored_text(opened, corpus, corpus_at, field)
    reference_text = scored_text(reference, corpus, corpus_at, field) if reference else None
    if reference_text and text.held_out and reference_text.held_out:
        refuse_other_held_out(text.held_out, reference_text.held_out)
    if reference_text and per_text is not None:
        refuse_unpaired(text, reference_text, limit)
    sizes = {"draws": draws, "limit": limit, "batch_size": batch_size, "seed": seed, "fixed_noise": fixed_noise}
    evaluation = _scored(opened, text, checkpoint, fast_steps, sizes)
    beside = _scored(reference, reference_text, "best", fast_steps, sizes) if reference and reference_text else None
    options = {**call.without("field", "per_text"), "data": {"field": field}}
    about = f"{text.about}; {weights_of(opened, checkpoint)}"
    name = result_name(text.name, call, opened, left_out=("per_text",))
    evaluated = Evaluated(opened, name, evaluation, beside, options, about)
    if per_text is None:
        return evaluated
    from ltm_pyro.export import text_columns

    return evaluated._replace(per_text=Path(per_text), columns=text_columns(text.sequences, evaluation, beside))


def refuse_unpaired(text: ScoredText, reference: ScoredText, limit: int | None) -> None:
    """Raise InputError if the sequences of two runs differ, so that the numbers of their texts cannot be paired."""
    from ltm_pyro.export.per_text import refuse_other_sequences

    refuse_other_sequences(text.sequences, reference.sequences, limit)


def _scored(run: Run, text: ScoredText, checkpoint: str, fast_steps: int | None, sizes: dict[str, Any]) -> Evaluation:
    components, device = load(run, checkpoint)
    return score_run(run, components.with_fast_steps(fast_steps), device, text.sequences, **sizes)
