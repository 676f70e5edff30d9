"""`ltm inspect`: what is in a run's thoughts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.errors import InputError
from ltm_pyro.evaluation.inspection.figures import draw
from ltm_pyro.evaluation.inspection.report import report
from ltm_pyro.runs.console import say
from ltm_pyro.runs.keeping import keeping
from ltm_pyro.runs.loading import add_device, add_trust_code, load, open_run
from ltm_pyro.runs.progress import Progress
from ltm_pyro.runs.result_names import result_name
from ltm_pyro.runs.scored_text import ScoredText, add_corpus_at, scored_text
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation.inspection import Details, Inspection, Inspector


def main(words: Sequence[str]) -> int:
    """Inspect; returns the exit code."""
    from ltm_pyro.evaluation.inspection import Details, Inspector
    from ltm_pyro.evaluation.inspection.inspector import document_of

    options = parse(_parser(), words)
    refuse_below(options, draws=1, batch_size=1, limit=1, fast_steps=0, seed=0, detail=0)
    run = open_run(options.run, options.trust_code)
    blueprint, device = load(run, options.checkpoint)
    model, guide, fast, _ = blueprint.with_fast_steps(options.fast_steps)
    if options.detail and model.prior is not None and not model.decoder.has_attention_on_thoughts:
        raise InputError(
            f"--detail {options.detail}: a {type(model.decoder).__name__} says nothing of its attention to thoughts, "
            "which a closer look shows: give --detail 0"
        )
    inspector = Inspector(model, guide, fast, options.draws, options.seed)
    text = scored_text(run, options)
    sequences = text.sequences
    stopped = _look(inspector, sequences, options, device)
    if stopped:
        say(f"\nInterrupted: what follows is of the {inspector.done} texts done by then.")
    if not inspector.done:
        return 130
    found = inspector.summary(lambda i: document_of(sequences.names, i))
    details = Details()
    if options.detail and not stopped:
        stopped = _look_closer(details, (model, guide, fast), run, sequences, options, device)
    _save(run, found, details, text, options)
    return 130 if stopped else 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm inspect", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument(
        "corpus", nargs="?", help="text to look at, as for `ltm train`; what the run held out if left out"
    )
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--data.field", type=str, default="", help="the field that holds the text; `text` if left out")
    parser.add_argument("--draws", type=int, default=4, help="S, samples of z per text")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--limit", type=int, default=192, help="the most texts, spread over the corpus")
    parser.add_argument("--batch_size", type=int, default=32, help="texts at once")
    parser.add_argument(
        "--detail",
        type=int,
        default=4,
        help="texts to read token by token and to write anew; 0 leaves the closer look out",
    )
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    add_trust_code(parser)
    add_device(parser)
    return parser


def _look(inspector: Inspector, sequences: Sequences, options: Namespace, device: Any) -> bool:
    """Look at all texts, with a line of progress; returns whether it was interrupted."""
    from ltm_pyro.data import in_order

    total = min(len(sequences), options.limit)
    progress = Progress(total)
    batches = (batch.to(device) for batch in in_order(sequences, options.batch_size, total))
    try:
        inspector.look(batches, lambda done: progress.update(done, f"inspecting {options.run}"))
    except KeyboardInterrupt:
        return True
    finally:
        progress.clear()
    return False


def _look_closer(
    details: Details, parts: tuple[Any, Any, Any], run: Run, sequences: Sequences, options: Namespace, device: Any
) -> bool:
    """Fill in the details; returns whether that was interrupted."""
    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation.inspection import look_closer

    total = min(len(sequences), options.limit)
    batches = [batch.to(device) for batch in in_order(sequences, options.batch_size, total)]
    sizes = {"texts": options.detail, "draws": options.draws, "seed": options.seed, "end": run.tokenizer.end}
    try:
        look_closer(details, *parts, batches, **sizes, listener=lambda what: say(f"A closer look: {what} ..."))
    except KeyboardInterrupt:
        say("\nInterrupted: the closer look is kept as far as it came.")
        return True
    return False


def _save(run: Run, found: Inspection, details: Details, scored: ScoredText, options: Namespace) -> None:
    from ltm_pyro.data import token_texts
    from ltm_pyro.evaluation.inspection import inspection_markdown
    from ltm_pyro.files import finite

    stem = f"inspection/{result_name(scored.name, options, _parser(), run)}"
    text = f"{inspection_markdown(found, details)}\n\nText: {scored.about}."
    content = finite({"options": options.as_dict(), "inspection": found.to_dict(), "details": details.to_dict()})
    names = [scored.sequences.name(place) for place in found.ids]
    words = token_texts(run.tokenizer, details.texts[0].tokens) if details.texts else []
    print(text)
    with keeping():
        path = run.write(f"{stem}.md", text + "\n")
        run.write(f"{stem}.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
        page = run.write(f"{stem}.html", report(run.folder.name, run.tokenizer, found, scored.sequences, details))
        figures = draw(run.folder / stem, found, details, names, words)
    say(f"\nSaved in {path.parent}: {path.name}, {Path(stem).name}.json, {', '.join(figures)}. Open {page}")
