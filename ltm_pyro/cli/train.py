"""`ltm train`: from a corpus to a trained run, its table and two samples."""

from __future__ import annotations

import difflib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.arguments import parse
from ltm_pyro.cli.progress import Progress, clock, training_line
from ltm_pyro.errors import InputError
from ltm_pyro.training.blueprint import RECIPES, Blueprint, assemble
from ltm_pyro.training.diagnosis import DivergedError
from ltm_pyro.training.material import Material, corpus_of, prepare
from ltm_pyro.training.run import Run, run_parser

if TYPE_CHECKING:
    from accelerate import Accelerator
    from jsonargparse import ArgumentParser, Namespace

    from ltm_pyro.evaluation import Evaluation

DATA = "data.json"
HERE_ONLY = ("run", "resume", "recipe", "config")


def main(words: Sequence[str]) -> int:
    """Train; returns the exit code."""
    parser = _parser(words)
    config = parse(parser, words)
    if config.resume:
        return _resume(Path(config.resume), words)
    folder = Path(config.run or _default_folder(config))
    for name in HERE_ONLY:
        config.pop(name, None)
    return _start(folder, config)


def _parser(words: Sequence[str]) -> ArgumentParser:
    parser = run_parser()
    parser.add_argument("--recipe", default="tiny", help=f"defaults to start from: {', '.join(_recipes())}")
    parser.add_argument("--config", action="config", help="a run's config.yaml, or any part of one, to start from")
    parser.add_argument("--run", help="the run's folder; runs/CORPUS-RECIPE-TIME if left out")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted; takes nothing else")
    parser.default_config_files = [str(_recipe(words))]
    return parser


def _recipes() -> list[str]:
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def _recipe(words: Sequence[str]) -> Path:
    """The recipe's file: its values are the defaults that all other arguments override."""
    name = "tiny"
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--recipe":
            name = following
        elif word.startswith("--recipe="):
            name = word.removeprefix("--recipe=")
    if name not in _recipes():
        near = difflib.get_close_matches(name, _recipes(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"unknown recipe {name!r}: {hint}The recipes are {', '.join(_recipes())}")
    return RECIPES / f"{name}.yaml"


def _default_folder(config: Namespace) -> Path:
    corpus = Path(config.corpus.split(",")[0].split(":")[-1]).stem if config.corpus else "sotu"
    return Path("runs") / f"{corpus}-{config.recipe}-{time.strftime('%Y%m%d-%H%M%S')}"


def _start(folder: Path, config: Namespace) -> int:
    from ltm_pyro.training.randomness import seed_everything

    if folder.exists():
        Run.create(folder, config, None)  # type: ignore[arg-type]  # says that it exists, before any work is done
    material = _read(config)
    seed_everything(config.train.seed)
    blueprint = assemble(run_parser(), config, material.tokenizer.vocabulary, material.tokenizer.begin)
    run = Run.create(folder, config, material.tokenizer)
    (folder / DATA).write_text(json.dumps(_describe(material), indent=2) + "\n", encoding="utf-8")
    return _train(run, blueprint, material, resume=False)


def _resume(folder: Path, words: Sequence[str]) -> int:
    from ltm_pyro.training.randomness import seed_everything

    others = [word for word in words if word not in ("--resume", f"--resume={folder}") and Path(word) != folder]
    if others:
        raise InputError(f"--resume goes on with the run as it was configured, and takes nothing else: drop {others}")
    run = Run.open(folder)
    run.find("latest")  # a run without a checkpoint is refused before any work is done
    material = _read(run.config, run)
    saved = json.loads((folder / DATA).read_text(encoding="utf-8"))
    if saved["fingerprint"] != material.fingerprint:
        raise InputError(
            f"the corpus of {folder} has changed since it began: it gave {saved['training']['tokens']} training "
            f"tokens, now {material.training.token_count}. Restore the text, or start a new run"
        )
    seed_everything(run.config.train.seed)
    return _train(run, run.assemble(), material, resume=True)


def _read(config: Namespace, run: Run | None = None) -> Material:
    from ltm_pyro.data import describe

    _say(f"Reading {describe(corpus_of(config))} ...")
    material = prepare(config, run.tokenizer if run else None)
    for name, part in (("training", material.training), ("validation", material.validation)):
        cut = f"; {part.truncated} documents cut off at {part.length} tokens" if part.truncated else ""
        _say(f"  {name}: {len(part):,} sequences, {part.token_count:,} tokens, {part.byte_count:,} bytes{cut}")
    return material


def _describe(material: Material) -> dict[str, Any]:
    parts = {"training": material.training, "validation": material.validation}
    counts = {name: {"sequences": len(p), "tokens": p.token_count, "bytes": p.byte_count} for name, p in parts.items()}
    return {"fingerprint": material.fingerprint, **counts}


def _train(run: Run, blueprint: Blueprint, material: Material, resume: bool) -> int:
    import pyro

    from ltm_pyro.data import Batches
    from ltm_pyro.training.trainer import Trainer

    pyro.enable_validation(False)
    settings = run.config.train
    accelerator = _accelerator(run)
    batches = Batches(material.training, settings.batch_size, settings.seed)
    progress: list[Progress] = []

    def validate() -> dict[str, Any]:
        evaluation = _evaluate(run, blueprint, material, accelerator, settings.evaluate_sequences)
        progress[0].clear()
        _say(f"\nValidation after {trainer.step} steps:\n{_table(evaluation)}\n")
        scores = {name: -score.nats_per_token for name, score in evaluation.scores.items()}
        return {"elbo": scores.get("elbo", scores.get("exact")), **scores, "kl_per_layer": evaluation.kl_per_layer}

    def show(record: dict[str, Any]) -> None:
        if "validation" not in record:
            progress[0].update(record["step"], training_line(record))

    trainer = Trainer(run, blueprint, batches, accelerator, validate, show)
    if resume:
        trainer.resume()
        _say(f"Going on with {run.folder} after step {trainer.step}.")
    progress.append(Progress(settings.steps, trainer.step))
    count = sum(parameter.numel() for parameter in blueprint.global_parameters())
    _say(f"Training {count:,} parameters on {accelerator.device} for {settings.steps} steps; the run is {run.folder}")
    return _outcome(run, trainer, blueprint, material, accelerator, progress[0])


def _outcome(run, trainer, blueprint, material, accelerator, progress) -> int:
    began = time.monotonic()
    try:
        stopped = trainer.train()
    except DivergedError as error:
        progress.clear()
        print(f"ltm: {error}", file=sys.stderr)
        return 1
    finally:
        progress.clear()
        accelerator.end_training()
    if stopped:
        _say(f"{stopped}: saved after step {trainer.step}. Go on with: ltm train --resume {run.folder}")
        return 128 + getattr(signal, stopped)
    _say(f"Trained in {clock(time.monotonic() - began)}; evaluating ...")
    _finish(run, blueprint, material, accelerator)
    return 0


def _finish(run: Run, blueprint: Blueprint, material: Material, accelerator: Accelerator) -> None:
    from ltm_pyro.cli.evaluate import save
    from ltm_pyro.cli.generate import write_samples

    settings = run.config.train
    trained = run.load("best")
    trained.model.to(accelerator.device)
    evaluation = _evaluate(run, trained, material, accelerator, settings.final_sequences, fixed_noise=True)
    print(_table(evaluation))
    save(run, "validation", evaluation)
    samples = write_samples(run, trained, settings.samples, seed=settings.seed)
    for number, text in enumerate(samples, 1):
        print(f"\nSample {number}, z from the prior:\n{text}")
    _say(f"\nAll of it is in {run.folder}. Next: ltm generate {run.folder}")


def _evaluate(
    run: Run, blueprint: Blueprint, material: Material, accelerator: Accelerator, limit: int, fixed_noise: bool = False
) -> Evaluation:
    from ltm_pyro.data import in_order
    from ltm_pyro.evaluation import FourNumbers

    settings = run.config.train
    numbers = FourNumbers(
        blueprint.model, blueprint.guide, blueprint.fast, settings.draws, settings.seed, fixed_noise=fixed_noise
    )
    batches = in_order(material.validation, max(settings.batch_size, 32), limit)
    return numbers.evaluate(batch.to(accelerator.device) for batch in batches)


def _table(evaluation: Evaluation) -> str:
    from ltm_pyro.evaluation import markdown

    return markdown(evaluation)


def _accelerator(run: Run) -> Accelerator:
    from accelerate import Accelerator

    os.environ.setdefault("ACCELERATE_LOG_LEVEL", "ERROR")
    settings = run.config.train
    accelerator = Accelerator(
        mixed_precision=settings.precision, log_with=settings.trackers or None, project_dir=str(run.folder)
    )
    if settings.trackers:
        accelerator.init_trackers("trackers")
    return accelerator


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
