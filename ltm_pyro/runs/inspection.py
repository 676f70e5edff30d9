"""Inspection of a run's thoughts, saved in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.inspection.figures import draw
from ltm_pyro.evaluation.inspection.report import report
from ltm_pyro.files import finite
from ltm_pyro.ranges import in_range, whole
from ltm_pyro.runs.arguments import (
    BatchSize,
    Call,
    Checkpoint,
    CorpusAt,
    Draws,
    FastSteps,
    Field,
    RunFolder,
    Seed,
    TrustCode,
)
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.result_names import result_name
from ltm_pyro.runs.scored_text import ScoredText, scored_text
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.evaluation.inspection import Details, Inspection


class Inspected(NamedTuple):
    """An inspection with the arguments that produced it.

    Attributes:
        run: the run that was inspected.
        text: the inspected text.
        inspection: the results; None if it was interrupted before the first batch was done.
        details: the closer look at some texts, as far as it was completed.
        interrupted: True if it was interrupted.
        options: all arguments.
        name: the name of its files.
    """

    run: Run
    text: ScoredText
    inspection: Inspection | None
    details: Details
    interrupted: bool
    options: dict[str, Any]
    name: str

    def table(self) -> str:
        """The results as Markdown that can be read in a terminal."""
        from ltm_pyro.evaluation.inspection import inspection_markdown

        assert self.inspection is not None
        return f"{inspection_markdown(self.inspection, self.details)}\n\nText: {self.text.about}."

    def save(self) -> tuple[Path, Path, list[str]]:
        """Save in the run's folder; returns the paths of the Markdown and of the page, and the figures' names."""
        from ltm_pyro.data import token_texts

        assert self.inspection is not None
        run, inspection, details, sequences = self.run, self.inspection, self.details, self.text.sequences
        content = finite({"options": self.options, "inspection": inspection.to_dict(), "details": details.to_dict()})
        tokens = token_texts(run.tokenizer, details.texts[0].tokens) if details.texts else []
        names = [sequences.name(place) for place in inspection.ids]
        stem = f"inspection/{self.name}"
        path = run.write(f"{stem}.md", self.table() + "\n")
        run.write(f"{stem}.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
        page = run.write(f"{stem}.html", report(run.folder.name, run.tokenizer, inspection, sequences, details))
        return path, page, draw(run.folder / stem, inspection, details, names, tokens)


@in_range
def inspect(
    run: RunFolder,
    corpus: str | None = None,
    *,
    corpus_at: CorpusAt = None,
    checkpoint: Checkpoint = "best",
    field: Field = "",
    draws: Draws = 4,
    fast_steps: FastSteps = None,
    limit: Annotated[int, whole(1)] = 192,
    batch_size: BatchSize = 32,
    detail: Annotated[int, whole(0)] = 4,
    seed: Seed = 0,
    trust_code: TrustCode = False,
) -> Inspected:
    """A report on a run's thoughts: the information that each carries, and what can be predicted from them.

    Args:
        corpus: text to inspect, as for `ltm train`; the run's held-out text if left out.
        draws: S, samples of z per text.
        limit: the most texts, spread evenly over the corpus.
        batch_size: texts in a batch.
        detail: texts to analyse token by token and to write anew; 0 skips the closer look.
        run, corpus_at, checkpoint, field, fast_steps, seed, trust_code: as `ltm_pyro.runs.arguments` describes them.
    """
    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation.inspection import Details, Inspector, look_closer
    from ltm_pyro.evaluation.inspection.inspector import document_of

    call = Call(inspect, locals())
    opened = open_run(run, trust_code)
    components, device = load(opened, checkpoint)
    model, guide, fast, _ = components.with_fast_steps(fast_steps)
    if detail and model.prior is not None and not model.decoder.has_attention_on_thoughts:
        raise InputError(
            f"--detail {detail}: a {type(model.decoder).__name__} does not report its attention to thoughts, "
            "which the closer look shows: give --detail 0"
        )
    inspector, details = Inspector(model, guide, fast, draws, seed), Details()
    text = scored_text(opened, corpus, corpus_at, field)
    total = min(len(text.sequences), limit)
    progress = Progress(total)
    batches = (batch.to(device) for batch in in_order(text.sequences, batch_size, total))
    look = partial(inspector.look, batches, lambda done: progress.update(done, f"inspecting {opened.folder}"))
    stopped = _is_interrupted(look, progress.clear)
    if stopped:
        say(f"\nInterrupted: the results below are of the {inspector.done} texts done so far.")
    inspection = inspector.summary(lambda i: document_of(text.sequences.names, i)) if inspector.done else None
    if detail and inspection and not stopped:
        detail_batches = [batch.to(device) for batch in in_order(text.sequences, batch_size, total)]
        sizes: dict[str, Any] = {
            "texts": detail,
            "draws": draws,
            "seed": seed,
            "eos_id": opened.tokenizer.eos_id,
            "listener": _announce,
        }
        stopped = _is_interrupted(partial(look_closer, details, model, guide, fast, detail_batches, **sizes))
        if stopped:
            say("\nInterrupted: the finished parts of the closer look are kept.")
    options = {**call.without("field"), "data": {"field": field}}
    return Inspected(opened, text, inspection, details, stopped, options, result_name(text.name, call, opened))


def _announce(part: str) -> None:
    say(f"A closer look: {part} ...")


def _is_interrupted(work: Callable[[], Any], clear: Callable[[], None] = lambda: None) -> bool:
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        clear()
    return False
