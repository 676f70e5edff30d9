"""The inspection of a run's thoughts, kept in the run's folder."""

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
    """An inspection, and what it was made with.

    Attributes:
        run: that was inspected.
        text: what was looked at.
        inspection: what was found; None if it was interrupted before the first texts were done.
        details: a closer look at some texts, as far as it came.
        interrupted: whether there would have been more.
        options: all arguments.
        name: of its files.
    """

    run: Run
    text: ScoredText
    inspection: Inspection | None
    details: Details
    interrupted: bool
    options: dict[str, Any]
    name: str

    def table(self) -> str:
        """All of it as Markdown that a terminal shows as well."""
        from ltm_pyro.evaluation.inspection import inspection_markdown

        assert self.inspection is not None
        return f"{inspection_markdown(self.inspection, self.details)}\n\nText: {self.text.about}."

    def save(self) -> tuple[Path, Path, list[str]]:
        """Write it into the run's folder; returns the paths of the Markdown and of the page, and the figures' names."""
        from ltm_pyro.data import token_texts

        assert self.inspection is not None
        run, found, details, sequences = self.run, self.inspection, self.details, self.text.sequences
        content = finite({"options": self.options, "inspection": found.to_dict(), "details": details.to_dict()})
        tokens = token_texts(run.tokenizer, details.texts[0].tokens) if details.texts else []
        names = [sequences.name(place) for place in found.ids]
        stem = f"inspection/{self.name}"
        path = run.write(f"{stem}.md", self.table() + "\n")
        run.write(f"{stem}.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
        page = run.write(f"{stem}.html", report(run.folder.name, run.tokenizer, found, sequences, details))
        return path, page, draw(run.folder / stem, found, details, names, tokens)


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
    """A report of a run's thoughts: which carry what, and what they tell of a text.

    Args:
        corpus: text to look at, as for `ltm train`; what the run held out if left out.
        draws: S, samples of z per text.
        limit: the most texts, spread over the corpus.
        batch_size: texts at once.
        detail: texts to read token by token and to write anew; 0 leaves the closer look out.
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
            f"--detail {detail}: a {type(model.decoder).__name__} says nothing of its attention to thoughts, "
            "which a closer look shows: give --detail 0"
        )
    inspector, details = Inspector(model, guide, fast, draws, seed), Details()
    text = scored_text(opened, corpus, corpus_at, field)
    total = min(len(text.sequences), limit)
    progress = Progress(total)
    batches = (batch.to(device) for batch in in_order(text.sequences, batch_size, total))
    look = partial(inspector.look, batches, lambda done: progress.update(done, f"inspecting {opened.folder}"))
    stopped = _is_interrupted(look, progress.clear)
    if stopped:
        say(f"\nInterrupted: what follows is of the {inspector.done} texts done by then.")
    found = inspector.summary(lambda i: document_of(text.sequences.names, i)) if inspector.done else None
    if detail and found and not stopped:
        again = [batch.to(device) for batch in in_order(text.sequences, batch_size, total)]
        sizes: dict[str, Any] = {
            "texts": detail,
            "draws": draws,
            "seed": seed,
            "eos_id": opened.tokenizer.eos_id,
            "listener": _announce,
        }
        stopped = _is_interrupted(partial(look_closer, details, model, guide, fast, again, **sizes))
        if stopped:
            say("\nInterrupted: the closer look is kept as far as it came.")
    options = {**call.without("field"), "data": {"field": field}}
    return Inspected(opened, text, found, details, stopped, options, result_name(text.name, call, opened))


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
