"""A training session on the console: training, validation, evaluation and samples, with their messages."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.keeping import keeping
from ltm_pyro.runs.progress import Progress, clock, training_line
from ltm_pyro.runs.validation import Validation, record_of
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.data_module import DataModule
from ltm_pyro.training.diagnosis import DivergedError
from ltm_pyro.training.processes import LostProcessError
from ltm_pyro.training.run import Run
from ltm_pyro.training.settings import TrainSettings

if TYPE_CHECKING:
    from accelerate import Accelerator


class Session:
    """Training of a run, its evaluation and its samples.

    Args:
        run: the run that is trained.
        components: its objects.
        material: its data.
        accelerator: device, precision and trackers.
    """

    def __init__(self, run: Run, components: RunComponents, material: DataModule, accelerator: Accelerator) -> None:
        from ltm_pyro.data import Batches
        from ltm_pyro.training.trainer import Trainer

        self.run, self.components, self.accelerator = run, components, accelerator
        self.settings = TrainSettings(**vars(run.config.train))
        if run.config.compile:
            components.model.compile_passes(run.config.compile)
        if self.settings.trackers:
            accelerator.init_trackers("trackers")
        self.validation = Validation(material, self.settings, components.fast.steps, accelerator.device)
        batches = Batches(material.training, self.settings.batch_size, self.settings.seed)
        self.trainer = Trainer(components, batches, accelerator, self.settings, run, self._validate, self._show)
        self.progress = Progress(self.settings.steps)
        self.draws = True
        self.table_follows = False  # if so, the last step's validation is not printed

    def carry_out(self, resume: str | None = None) -> int:
        """Train, from the checkpoint `resume` if given, and evaluate; returns the exit code."""
        if resume:
            self.trainer.resume(resume)
            say(self.going_on())
        self.table_follows = True
        device, steps = self.accelerator.device, self.settings.steps
        count, processes = self.trainer.parameters, self.trainer.processes
        hardware = f"{device}, {processes.count} processes," if processes.several else f"{device}"
        say(f"Training {count:,} parameters on {hardware} to step {steps:,}; the run is {self.run.folder}")
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
        """Warnings about schedules of bounds and slow step that this run is too short to complete."""
        fast, slow, steps = self.components.fast, self.components.slow, self.settings.steps
        lines = [fast.bound.unreached(steps), slow.bound.unreached(steps), slow.unreached()]
        return [line for line in dict.fromkeys(lines) if line]

    def going_on(self) -> str:
        steps, remark = self.trainer.step, self.trainer.remark
        if steps == self.settings.steps:
            return f"{self.run.folder} has taken all {steps:,} steps and is evaluated again. {remark}".rstrip()
        return f"Going on with {self.run.folder} after step {steps}. {remark}".rstrip()

    def _left(self) -> str:
        """Message for a run that was interrupted: its last step and checkpoint, and the command that continues it."""
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
        """Train to the last step, with a progress line; returns the name of the signal that ended it early, or None.

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
        """Evaluate the best checkpoint, write samples, save both, and show them unless `quietly`."""
        from ltm_pyro.runs.scoring import save, table_text, weights_of
        from ltm_pyro.runs.writing import keep_samples, write_samples

        trained = self.run.load("best").to(self.accelerator.device)
        evaluation = self.validation.evaluate(trained, self.settings.final_sequences, last=True)
        about = f"held-out text; {weights_of(self.run, 'best')}"
        shown = [table_text(evaluation, None, about)]
        samples = write_samples(self.run, trained, self.settings.samples, seed=self.settings.seed)
        origin = "" if trained.model.prior is None else ", z from the prior"
        shown += [f"\nSample {number}{origin}:\n{text}" for number, text in enumerate(samples, 1)]
        if not quietly:
            show("\n".join(shown))
        with keeping():
            save(self.run, "validation", evaluation, about=about)
            keep_samples(self.run, samples)
        say(f"\nEverything is in {self.run.folder}. Next: ltm generate {self.run.folder}")

    def _validate(self) -> dict[str, Any]:
        from ltm_pyro.evaluation import markdown

        components = self.components.for_tables(self.settings.evaluate_fast_steps)
        evaluation = self.validation.evaluate(components, self.settings.evaluate_sequences)
        self.progress.clear()
        if not (self.table_follows and self.trainer.step == self.settings.steps):
            say(f"\nValidation after {self.trainer.step} steps:\n{markdown(evaluation)}\n")
        if status := self.components.guide.status():
            say(f"{status}\n")
        return record_of(evaluation)

    def _show(self, record: dict[str, Any]) -> None:
        if "validation" not in record:
            self.progress.update(record["step"], training_line(record))
        elif self.trainer.step < self.settings.steps:  # after the last step it is drawn anyway
            self._draw()

    def _draw(self) -> None:
        """Draw the learning curve so far; an error does not stop training."""
        if not self.draws:
            return
        from ltm_pyro.runs.figures import draw_learning

        try:
            draw_learning(self.run)
        except Exception as error:
            self.draws = False  # so that the message comes once
            say(f"The learning curve was not drawn, and training goes on: {error}")
