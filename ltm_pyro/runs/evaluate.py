"""A run's honest numbers on text, in the place of its folder that their arguments name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
    from ltm_pyro.evaluation import Evaluation


class Evaluated(NamedTuple):
    """An evaluation, and what it was made with.

    Attributes:
        run: that was scored.
        name: of its files.
        evaluation, baseline: as `ltm_pyro.evaluation.markdown` takes them.
        options: all arguments.
        about: what was scored, and which weights.
    """

    run: Run
    name: str
    evaluation: Evaluation
    baseline: Evaluation | None
    options: dict[str, Any]
    about: str

    @property
    def text(self) -> str:
        """The table, and a line that says what was scored."""
        return table_text(self.evaluation, self.baseline, self.about)

    def save(self) -> Path:
        """Write it into the run's folder as Markdown and JSON; returns the path of the JSON."""
        return save(self.run, self.name, self.evaluation, self.baseline, self.options, self.about)


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
    trust_code: TrustCode = False,
) -> Evaluated:
    """A run's honest numbers.

    Args:
        corpus: text to score, as for `ltm train`; what the run held out if left out.
        baseline: another run, an autoregressive one say, in the same table.
        fixed_noise: also the released code's protocol, no bound.
        run, corpus_at, checkpoint, field, draws, fast_steps, limit, batch_size, seed, trust_code: as
            `ltm_pyro.runs.arguments` describes them.

    Raises:
        InputError: for text that gives no sequence, or two runs that held out different texts.
    """
    call = Call(evaluate, locals())
    opened = open_run(run, trust_code)
    other = open_run(baseline, trust_code) if baseline else None
    text = scored_text(opened, corpus, corpus_at, field)
    others = scored_text(other, corpus, corpus_at, field) if other else None
    if others and text.held_out and others.held_out:
        refuse_other_held_out(text.held_out, others.held_out)
    sizes = {"draws": draws, "limit": limit, "batch_size": batch_size, "seed": seed, "fixed_noise": fixed_noise}
    evaluation = _scored(opened, text, checkpoint, fast_steps, sizes)
    beside = _scored(other, others, "best", fast_steps, sizes) if other and others else None
    options = {**call.without("field"), "data": {"field": field}}
    about = f"{text.about}; {weights_of(opened, checkpoint)}"
    return Evaluated(opened, result_name(text.name, call, opened), evaluation, beside, options, about)


def _scored(run: Run, text: ScoredText, checkpoint: str, fast_steps: int | None, sizes: dict[str, Any]) -> Evaluation:
    components, device = load(run, checkpoint)
    return score_run(run, components.with_fast_steps(fast_steps), device, text.sequences, **sizes)
