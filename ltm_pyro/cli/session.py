"""What happens between a run's first step and its last sample, and what is said meanwhile."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from ltm_pyro.cli.progress import Progress, clock, training_line
from ltm_pyro.training.blueprint import Blueprint
from ltm_pyro.training.diagnosis import DivergedError
from ltm_pyro.training.material import Material
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.training.trainer import Trainer


def carry_out(run: Run, blueprint: Blueprint, material: Material, accelerator: Accelerator, resume: bool) -> int:
    """Train to the last step, evaluate and write samples; returns the exit code.

    Args:
        run, blueprint, material: what is trained, and on what.
        accelerator: device, precision and trackers.
        resume: go on from the latest checkpoint.
    """
    import pyro

    from ltm_pyro.data import Batches
    from ltm_pyro.training.trainer import Trainer

    pyro.enable_validation(False)
    settings = run.config.train
    if settings.trackers:
        accelerator.init_trackers("trackers")
    batches = Batches(material.training, settings.batch_size, settings.seed)
    progress: list[Progress] = []

    def validate() -> dict[str, Any]:
        evaluation = _evaluate(run, blueprint, material, accelerator, settings.evaluate_sequences)
        progress[0].clear()
        say(f"\nValidation after {trainer.step} steps:\n{_table(evaluation)}\n")
        scores = {name: -score.nats_per_token for name, score in evaluation.scores.items()}
        return {"elbo": scores.get("elbo", scores.get("exact")), **scores, "kl_per_layer": evaluation.kl_per_layer}

    def show(record: dict[str, Any]) -> None:
        if "validation" not in record:
            progress[0].update(record["step"], training_line(record))

    trainer = Trainer(run, blueprint, batches, accelerator, validate, show)
    if resume:
        trainer.resume()
        say(f"Going on with {run.folder} after step {trainer.step}.")
    progress.append(Progress(settings.steps, trainer.step))
    count = sum(parameter.numel() for parameter in blueprint.global_parameters())
    say(f"Training {count:,} parameters on {accelerator.device} to step {settings.steps}; the run is {run.folder}")
    return _outcome(run, trainer, blueprint, material, accelerator, progress[0])


def _outcome(
    run: Run, trainer: Trainer, blueprint: Blueprint, material: Material, accelerator: Accelerator, progress: Progress
) -> int:
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
        say(f"{stopped}: saved after step {trainer.step}. Go on with: ltm train --resume {run.folder}")
        return 128 + getattr(signal, stopped)
    say(f"Trained in {clock(time.monotonic() - began)}; evaluating ...")
    _finish(run, blueprint, material, accelerator)
    return 0


def _finish(run: Run, blueprint: Blueprint, material: Material, accelerator: Accelerator) -> None:
    from ltm_pyro.cli.evaluate import save
    from ltm_pyro.cli.generate import write_samples

    settings = run.config.train
    trained = run.load("best")
    trained.to(accelerator.device)
    evaluation = _evaluate(run, trained, material, accelerator, settings.final_sequences, fixed_noise=True)
    print(_table(evaluation))
    save(run, "validation", evaluation)
    samples = write_samples(run, trained, settings.samples, seed=settings.seed)
    for number, text in enumerate(samples, 1):
        print(f"\nSample {number}, z from the prior:\n{text}")
    say(f"\nAll of it is in {run.folder}. Next: ltm generate {run.folder}")


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


def say(text: str) -> None:
    """Tell the user; standard output is for results alone."""
    print(text, file=sys.stderr, flush=True)
