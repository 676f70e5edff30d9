"""`ltm evaluate`: a run's honest numbers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse
from ltm_pyro.cli.progress import Progress
from ltm_pyro.errors import InputError
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.data import Sequences
    from ltm_pyro.evaluation import Evaluation


def main(words: Sequence[str]) -> int:
    """Evaluate; returns the exit code."""
    from ltm_pyro.evaluation import markdown

    options = parse(_parser(), words)
    run = Run.open(options.run)
    evaluation = _evaluate(run, options)
    baseline = None
    if options.baseline:
        baseline = _evaluate(Run.open(options.baseline), options, like=run)
    name = "validation" if options.corpus is None else Path(options.corpus).stem
    print(markdown(evaluation, baseline))
    path = save(run, name, evaluation, baseline, {**vars(options), "run": str(run.folder)})
    print(f"\nSaved as {path.with_suffix('.json')} and .md", file=sys.stderr)
    return 0


def save(
    run: Run,
    name: str,
    evaluation: Evaluation,
    baseline: Evaluation | None = None,
    options: dict[str, Any] | None = None,
) -> Path:
    """Write an evaluation into the run's folder as JSON and Markdown; returns the Markdown's path.

    Raises:
        InputError: if they cannot be written.
    """
    from ltm_pyro.evaluation import markdown

    path = run.folder / "evaluation" / f"{name}.md"
    content = {"options": options or {}, "evaluation": evaluation.to_dict()}
    if baseline is not None:
        content["baseline"] = baseline.to_dict()
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(markdown(evaluation, baseline) + "\n", encoding="utf-8")
        path.with_suffix(".json").write_text(json.dumps(_finite(content), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Make the run's folder writable") from error
    return path


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm evaluate", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("corpus", nargs="?", help="text to score, as for `ltm train`; the run's held-out split if left out")
    parser.add_argument("--baseline", metavar="RUN2", help="another run, an autoregressive one say, in the same table")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--field", type=str | None, default=None, help="the field that holds the text")  # type: ignore[arg-type]
    parser.add_argument("--draws", type=int, default=16, help="S, samples of z per sequence")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="T_fast; the run's if left out")  # type: ignore[arg-type]
    parser.add_argument("--limit", type=int | None, default=None, help="the most sequences to score")  # type: ignore[arg-type]
    parser.add_argument("--batch_size", type=int, default=32, help="sequences at once")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--fixed_noise", type=bool, default=True, help="also the released code's protocol, no bound")
    return parser


def _evaluate(run: Run, options: Namespace, like: Run | None = None) -> Evaluation:
    import pyro
    import torch

    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation import FourNumbers

    for name in ("draws", "batch_size"):
        if options[name] < 1:
            raise InputError(f"--{name} {options[name]}: expected 1 or more")
    pyro.enable_validation(False)
    blueprint = run.load(options.checkpoint if like is None else "best")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    blueprint.model.to(device)
    blueprint.guide.to(device)
    if options.fast_steps is not None:
        blueprint.fast.steps = options.fast_steps
    sequences = _sequences(run, options)
    total = min(len(sequences), options.limit or len(sequences))
    numbers = FourNumbers(
        blueprint.model, blueprint.guide, blueprint.fast, options.draws, options.seed, fixed_noise=options.fixed_noise
    )
    progress = Progress(total)
    batches = in_order(sequences, options.batch_size, total)
    evaluation = numbers.evaluate((b.to(device) for b in batches), lambda n: progress.update(n, f"scoring {run.folder}"))
    progress.clear()
    return evaluation


def _sequences(run: Run, options: Namespace) -> Sequences:
    from ltm_pyro import data
    from ltm_pyro.training.material import prepare

    if options.corpus is None:
        return prepare(run.config, run.tokenizer).validation
    paths = options.corpus.split(",")
    documents = data.read_corpus(paths if len(paths) > 1 else options.corpus, options.field)
    sequences = data.cut(run.config.data.mode, documents, run.tokenizer, run.config.data.length)
    if not len(sequences):
        raise InputError(f"{options.corpus} gives no sequence to score: it is too small")
    return sequences


def _finite(value: Any) -> Any:
    """The same with None for what JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
