"""`ltm compare bounds`: bounds and gradient estimators on a trained run, or on a model whose answers are known."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse, refuse_below
from ltm_pyro.cli.class_arguments import names_own_code
from ltm_pyro.cli.result_folders import comparison_folder
from ltm_pyro.errors import InputError
from ltm_pyro.runs.loading import add_device, add_trust_code, load, open_run
from ltm_pyro.runs.results_folder import ComparisonFolder
from ltm_pyro.runs.scored_text import add_corpus_at, held_out_text
from ltm_pyro.studies.bounds.figures import draw
from ltm_pyro.training.consent import look_in
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.inference import FastLoop
    from ltm_pyro.studies.bounds import Comparison, Learning
    from ltm_pyro.training.held_out import RunText

TOYS = ("linear-gaussian", "finite-mixture")
QUICK = {
    "particles": [1, 2, 8], "repeats": 4, "gradient_particles": [1, 8], "gradient_draws": 12,
    "gradient_draws_theta": 6, "rounds": 3, "timing_sequences": 2, "inference_passes": 32,
    "inference_sequences": 4, "measures": 4, "measure_draws": 4,
}  # fmt: skip
FOR_TOYS = {
    "particles": [1, 2, 4, 8, 16, 32, 64], "repeats": 256, "gradient_particles": [1, 2, 4, 8, 16, 32],
    "gradient_draws": 1000, "gradient_draws_theta": 100, "gradient_steps": 0, "gradient_sequences": 4,
    "timing_sequences": 64, "inference_passes": 1024, "inference_sequences": 64, "measures": 12,
    "measure_draws": 256, "at_once": 16384,
}  # fmt: skip

APART = ("resume", "out", "config", "corpus_at", "trust_code")  # of no result


@dataclass
class Subject:
    """What is compared on, and where the results go."""

    model: Any
    guide: Any
    batch: Any
    fast: FastLoop
    folder: Path
    learning: Learning | None = None
    run: Run | None = None


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code."""
    from ltm_pyro.studies.bounds import Comparison, Sizes, compare_bounds, named_estimators

    options = parse(_parser(words), words)
    _check(options)
    if any(names_own_code(["--fast", name]) for name in options.estimators or []):
        look_in(os.getcwd())
    named_estimators(options.estimators or [])  # an unknown name is told before any work is done
    sizes = Sizes(**vars(options.sizes))
    subject = _toy(options) if options.toy else _run(options)
    settings = {k: v for k, v in options.as_dict().items() if k not in APART}
    folder = comparison_folder(subject.folder, options, _parser(words), settings, subject.run)
    comparison = Comparison(folder.done() if options.resume else {})
    folder.begin(["compare", "bounds", *words])
    try:
        compare_bounds(
            subject.model,
            subject.guide,
            subject.batch,
            options.estimators,
            fast=subject.fast,
            sizes=sizes,
            learning=subject.learning,
            parts=options.parts,
            seed=options.seed,
            done=comparison,
            listener=folder.listener(comparison.pieces),
        )
    finally:
        _finish(folder, comparison)
    return 0


def _parser(words: Sequence[str]) -> ArgumentParser:
    from jsonargparse import ArgumentParser

    from ltm_pyro.studies.bounds import PARTS, Sizes

    parser = ArgumentParser(prog="ltm compare bounds", exit_on_error=False, description=__doc__)
    parser.add_argument("run", nargs="?", help="the run's folder")
    parser.add_argument("--toy", type=str | None, default=None, help=f"instead of a run: {' or '.join(TOYS)}")
    parser.add_argument(
        "--estimators",
        nargs="+",
        default=None,
        help="BOUND[NUMBER][-GRADIENT] such as elbo-stl, iwae-dreg, renyi0.5; import paths; or all. "
        "A sensible list if left out",
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), help="what to measure")
    parser.add_argument("--out", type=str | None, default=None, help="where to; RUN/comparisons/bounds if left out")
    add_corpus_at(parser)
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--sequences", type=int, default=16, help="held-out sequences")
    parser.add_argument("--fast_steps", type=int | None, default=None, help="fast steps of the fit; enough if left out")
    parser.add_argument("--seed", type=int, default=0, help="of all noise")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, for a first look")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted comparison")
    parser.add_argument(
        "--learning_passes",
        type=int | None,
        default=None,
        help="also train the run's model anew by every estimator, each with this many decoder passes (long)",
    )
    parser.add_argument(
        "--learning_seconds", type=float | None, default=None, help="the same with so many seconds each"
    )
    parser.add_class_arguments(Sizes, "sizes", instantiate=False)
    toy = any(word == "--toy" or word.startswith("--toy=") for word in words)
    for name, value in {**(FOR_TOYS if toy else {}), **(QUICK if "--quick" in words else {})}.items():
        parser.set_defaults({f"sizes.{name}": value})
    add_trust_code(parser)
    add_device(parser)
    return parser


def _check(options: Namespace) -> None:
    refuse_below(options, sequences=1, fast_steps=0, seed=0, learning_passes=1)
    if (options.run is None) == (options.toy is None):
        raise InputError(f"give either a run's folder, or --toy with one of {', '.join(TOYS)}")
    if options.toy is not None and options.toy not in TOYS:
        raise InputError(f"--toy {options.toy}: expected one of {', '.join(TOYS)}")
    if options.learning_seconds is not None and not 0 < options.learning_seconds < float("inf"):
        raise InputError(f"--learning_seconds {options.learning_seconds}: expected a positive number")
    if options.toy and (options.learning_passes or options.learning_seconds):
        raise InputError("--learning_passes and --learning_seconds train a run's model: a toy has no corpus")


def _toy(options: Namespace) -> Subject:
    import pyro
    import torch

    from ltm_pyro import ELBO, CategoricalGuide, FastLoop, MeanFieldGuide, ScoreFunction
    from ltm_pyro.models.exact import FiniteMixture, LinearGaussian

    pyro.enable_validation(False)
    folder = Path(f"comparisons/bounds-{options.toy}")
    steps = 200 if options.fast_steps is None else options.fast_steps
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        if options.toy == "linear-gaussian":
            toy = LinearGaussian(z_shape=(1, 2, 2), noise=2.5, batch=options.sequences)
            return Subject(toy, MeanFieldGuide(toy.z_shape), toy.x, FastLoop(ELBO(), steps, 0.1), folder)
        mixture = FiniteMixture(batch=options.sequences)
        fast = FastLoop(ELBO(particles=8, gradient=ScoreFunction()), steps, 0.1)
        return Subject(mixture, CategoricalGuide(mixture.z_shape), mixture.x, fast, folder)


def _run(options: Namespace) -> Subject:
    from ltm_pyro.data import in_order

    run = open_run(options.run, options.trust_code)
    if run.config.model != "latent-thought":
        raise InputError(f"{options.run} has no thoughts, so that bounds do not differ. Give another run")
    blueprint, device = load(run, options.checkpoint)
    if options.fast_steps is not None:
        blueprint = blueprint.with_fast_steps(options.fast_steps)
    text = held_out_text(run, options.corpus_at)
    batch = next(in_order(text.held_out, options.sequences, options.sequences)).to(device)
    folder = run.folder / "comparisons" / "bounds"
    learning = _learning(text, blueprint, device, options)
    return Subject(blueprint.model, blueprint.guide, batch, blueprint.fast, folder, learning, run)


def _learning(text: RunText, blueprint: Any, device: Any, options: Namespace) -> Learning | None:
    if options.learning_passes is None and options.learning_seconds is None:
        return None
    from ltm_pyro.data import Batches
    from ltm_pyro.studies.bounds import Learning
    from ltm_pyro.training.randomness import seed_everything

    run = text.run

    def start() -> Any:
        seed_everything(run.config.train.seed)
        return run.assemble().to(device)

    def batches() -> Batches:
        return Batches(text.training, run.config.train.batch_size, run.config.train.seed)

    return Learning(start, batches, blueprint.fast, options.learning_passes, options.learning_seconds)


def _finish(folder: ComparisonFolder, comparison: Comparison) -> None:
    """Write and show what there is, be it all or what an interrupt has left."""
    if comparison.pieces:
        folder.keep(comparison.pieces)
        folder.finish(comparison.table(), comparison.to_records(), lambda: draw(comparison, folder.path))
