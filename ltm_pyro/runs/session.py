"""A training session on the console: from a run's first step to its last sample, with what is printed meanwhile."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.keeping import keeping
from ltm_pyro.runs.progress import Progress, clock, training_line
from ltm_pyro.runs.validation import Validation, record_of
from ltm_pyro.training.blueprint import RunComponents
from ltm_pyro.training.data_module import DataModule
from ltm_pyro.training.diagnosis import DivergedError
from ltm_pyro.training.processes import LostProcessError
from ltm_pyro.training.run import Run
from ltm_pyro.training.settings import TrainSettings

if TYPE_CHECKING:
    from accelerate import Accelerator


class Session:
    """Trains a run, evaluates it and writes its samples.

    Args:
        run, blueprint, material: what is trained, and on what.
        accelerator: device, precision and trackers.
    """

    def __init__(self, run: Run, blueprint: RunComponents, material: DataModule, accelerator: Accelerator) -> None:
        from ltm_pyro.data import Batches
        from ltm_pyro.training.trainer import Trainer

        self.run, self.blueprint, self.accelerator = run, blueprint, accelerator
        self.settings = TrainSettings(**vars(run.config.train))
        if run.config.compile:
            blueprint.model.compile_passes(run.config.compile)
        if self.settings.trackers:
            accelerator.init_trackers("trackers")
        self.validation = Validation(material, self.settings, blueprint.fast.steps, accelerator.device)
        batches = Batches(material.training, self.settings.batch_size, self.settings.seed)
        self.trainer = Trainer(blueprint, batches, accelerator, self.settings, run, self._validate, self._show)
        self.progress = Progress(self.settings.steps)
        self.draws = True
        self.table_follows = False  # after the last step, so that its validation need not be shown

    def carry_out(self, resume: str | None = None) -> int:
        """Do all of it, or what is left of it after the checkpoint `resume`; returns the exit code."""
        if resume:
            self.trainer.resume(resume)
            say(self.going_on())
        self.table_follows = True
        device, steps = self.accelerator.device, self.settings.steps
        count, processes = self.trainer.parameters, self.trainer.processes
        where = f"{device}, {processes.count} processes," if processes.several else f"{device}"
        say(f"Training {count:,} parameters on {where} to step {steps:,}; the run is {self.run.folder}")
        began = time.monotonic()
        try:
            stopped = self.train()
        except DivergedError as error:
            say(f"ltm: {error}")
            return 1
        except LostProcessError as error:
            say(f"ltm: {error}. {self._left()}", everywhere=True)
            return 1
        if stopped:
            say(f"{stopped}: saved after step {self.trainer.step}. Go on with: ltm train --resume {self.run.folder}")
            return 128 + getattr(signal, stopped)
        say(f"Trained in {clock(time.monotonic() - began)}; evaluating ...")
        if self.trainer.processes.first:
            self.finish()
        return 0

    def _unreached(self) -> list[str]:
        """What this run is too short for."""
        fast, slow, steps = self.blueprint.fast, self.blueprint.slow, self.settings.steps
        lines = [fast.bound.unreached(steps), slow.bound.unreached(steps), slow.unreached()]
        return [line for line in dict.fromkeys(lines) if line]

    def going_on(self) -> str:
        steps, remark = self.trainer.step, self.trainer.remark
        if steps == self.settings.steps:
            return f"{self.run.folder} is done, all {steps:,} steps of it: it is evaluated again. {remark}".rstrip()
        return f"Going on with {self.run.folder} after step {steps}. {remark}".rstrip()

    def _left(self) -> str:
        """What is left of a run that was cut off."""
        latest = self.run.checkpoints.latest()
        if latest is None:
            return (
                f"This one stops after step {self.trainer.step}; no checkpoint had been saved yet. "
                f"Begin again with: ltm train --resume {self.run.folder}"
            )
        return (
            f"This one stops after step {self.trainer.step}; the last checkpoint is {latest}. "
            f"Go on with: ltm train --resume {self.run.folder}"
        )

    def train(self) -> str | None:
        """Train to the last step, with a line of progress; returns the name of the signal that ended it early, or None.

        Raises:
            DivergedError: at a NaN or an infinity.
            LostProcessError: if another process has gone.
        """
        import pyro

        pyro.enable_validation(False)  # its checks look at the device many times a step
        for line in self._unreached():
            say(line)
        self.progress = Progress(self.settings.steps, self.trainer.step)
        try:
            return self.trainer.train()
        except LostProcessError:
            self.draws = False  # its message comes first: a launcher soon ends those that are left
            raise
        finally:
            self.progress.clear()
            if self.trainer.processes.first:
                self._draw()
            self.accelerator.end_training()

    def finish(self, quietly: bool = False) -> None:
        """Evaluate the best checkpoint, write samples, keep both, and show them unless that is to be done quietly."""
        from ltm_pyro.runs.scoring import save, table_text, weights_of
        from ltm_pyro.runs.writing import keep_samples, write_samples

        trained = self.run.load("best").to(self.accelerator.device)
        evaluation = self.validation.evaluate(trained, self.settings.final_sequences, last=True)
        about = f"held-out text; {weights_of(self.run, 'best')}"
        shown = [table_text(evaluation, None, about)]
        samples = write_samples(self.run, trained, self.settings.samples, seed=self.settings.seed)
        whence = "" if trained.model.prior is None else ", z from the prior"
        shown += [f"\nSample {number}{whence}:\n{text}" for number, text in enumerate(samples, 1)]
        if not quietly:
            show("\n".join(shown))
        with keeping():
            save(self.run, "validation", evaluation, about=about)
            keep_samples(self.run, samples)
        say(f"\nAll of it is in {self.run.folder}. Next: ltm generate {self.run.folder}")

    def _validate(self) -> dict[str, Any]:
        from ltm_pyro.evaluation import markdown

        blueprint = self.blueprint.for_tables(self.settings.evaluate_fast_steps)
        evaluation = self.validation.evaluate(blueprint, self.settings.evaluate_sequences)
        self.progress.clear()
        if not (self.table_follows and self.trainer.step == self.settings.steps):
            say(f"\nValidation after {self.trainer.step} steps:\n{markdown(evaluation)}\n")
        if remark := self.blueprint.guide.remark():
            say(f"{remark}\n")
        return record_of(evaluation)

    def _show(self, record: dict[str, Any]) -> None:
        if "validation" not in record:
            self.progress.update(record["step"], training_line(record))
        elif self.trainer.step < self.settings.steps:  # after the last one it is drawn anyway
            self._draw()

    def _draw(self) -> None:
        """Draw the run as it is; a figure that cannot be drawn ends no training."""
        if not self.draws:
            return
        from ltm_pyro.runs.figures import draw_learning

        try:
            draw_learning(self.run)
        except Exception as error:
            self.draws = False  # said once
            say(f"The learning curve was not drawn, and training goes on: {error}")
