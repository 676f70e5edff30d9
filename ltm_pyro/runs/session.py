"""A training session on the console: training, validation, evaluation and samples, with their messages."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs import ending
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.keeping import keeping
from ltm_pyro.runs.patience import Patience
from ltm_pyro.runs.progress import Progress, clock, training_line
from ltm_pyro.runs.trackers import Trackers
from ltm_pyro.runs.validation import Validation, record_of
from ltm_pyro.training.build import RunComponents
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.data_module import DataModule
from ltm_pyro.training.diagnosis import DivergedError
from ltm_pyro.training.processes import LostProcessError
from ltm_pyro.training.run import Run
from ltm_pyro.training.settings import TrainSettings

if TYPE_CHECKING:
    from accelerate import Accelerator

    from ltm_pyro.evaluation import Evaluation

FINAL = "final"  # prefix of the results of the best checkpoint at the trackers


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
        self.trackers = Trackers(run, accelerator)
        self.validation = Validation(material, self.settings, components.fast.steps, accelerator.device)
        batches = Batches(material.training, self.settings.batch_size, self.settings.seed)
        self.patience = (
            None if self.settings.patience is None else Patience(self.settings.patience, self.settings.steps)
        )
        self.trainer = Trainer(
            components, batches, accelerator, self.settings, run, self._validate, self._show, self.patience
        )
        if self.patience is not None:
            self.patience.begins = self._settled()  # known once the trainer has placed the schedules
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
            try:
                self.finish()
            finally:
                self.trackers.close("failed")  # unless they have been closed already
        return 0

    def _settled(self) -> int:
        """Number of slow steps after which the warm-up and the bounds' schedules have ended."""
        fast, slow = self.components.fast, self.components.slow
        return max(slow.warmup, fast.bound.schedule_end(), slow.bound.schedule_end())

    def _unreached(self) -> list[str]:
        """Warnings about schedules of bounds and slow step that this run is too short to complete."""
        fast, slow, steps = self.components.fast, self.components.slow, self.settings.steps
        lines = [fast.bound.unreached(steps), slow.bound.unreached(steps), slow.unreached()]
        if self.patience is not None and self.patience.begins >= steps:
            lines.append(
                f"train.patience={self.patience.limit} never ends this run: its schedules last "
                f"{self.patience.begins:,} slow steps, before which validations do not count, and the run has {steps:,}"
            )
        return [line for line in dict.fromkeys(lines) if line]

    def going_on(self) -> str:
        steps, remark = self.trainer.step, self.trainer.remark
        if self.patience is not None and self.patience.exhausted:
            return (
                f"{self.run.folder} was stopped early by --train.patience after step {steps:,} and is evaluated again; "
                f"`ltm train --resume {self.run.folder} --train.steps N`, with a larger N, trains it further. {remark}"
            ).rstrip()
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
        self.trackers.start(self.trainer.step)
        self.progress = Progress(self.settings.steps, self.trainer.step)
        ending.forget(self.run)
        try:
            stopped = self.trainer.train()
        except LostProcessError as error:
            self.draws = False  # its message comes first: a launcher soon ends those that are left
            self._end("lost process", str(error))
            raise
        except DivergedError as error:
            self._end("diverged", str(error))
            raise
        except BaseException:
            self.trackers.close("failed")
            raise
        finally:
            self.progress.clear()
            if self.trainer.processes.first:
                self._draw()
            self.accelerator.end_training()
        if stopped:
            self._end(stopped, f"{stopped}: saved after step {self.trainer.step}")
        elif self.patience is not None and self.patience.exhausted:
            self._end("patience", self.patience.explain(self.trainer.step))
        else:
            self._end("steps", f"All {self.trainer.step:,} steps were taken")
        return stopped

    def _end(self, reason: ending.Reason, message: str) -> None:
        """Record the reason for the end of training, and end the trackers' runs unless results are still to come."""
        if not self.trainer.processes.first:
            return
        best = self.run.checkpoints.best()
        content = ending.Ending(
            reason=reason,
            message=message,
            step=self.trainer.step,
            steps=self.settings.steps,
            best_step=None if best is None else step_of(best),
        )
        ending.write(self.run, content)
        if reason == "patience":
            say(f"{message}. The best checkpoint is {best}.")
        if reason not in ending.COMPLETE:
            self.trackers.close("failed" if reason in ("diverged", "lost process") else "killed")

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
        self._report_results(evaluation, shown[0], samples)
        with keeping():
            save(self.run, "validation", evaluation, about=about)
            keep_samples(self.run, samples)
        best = self.run.checkpoints.best()
        named = "" if best is None else f"; the best checkpoint is {best.name}"
        say(f"\nEverything is in {self.run.folder}{named}. Next: ltm generate {self.run.folder}")

    def _report_results(self, evaluation: Evaluation, table: str, samples: Sequence[str]) -> None:
        """Give the trackers the final numbers, table, samples and figures, and end their runs."""
        step = self.trainer.step
        self.trackers.log({"step": step, FINAL: record_of(evaluation)})
        self.trackers.text(f"{FINAL}/table", table, step)
        if samples:
            self.trackers.text(f"{FINAL}/samples", listed(samples), step)
        self.trackers.close("finished")

    def _validate(self) -> dict[str, Any]:
        from ltm_pyro.evaluation import markdown

        components = self.components.for_tables(self.settings.evaluate_fast_steps)
        evaluation = self.validation.evaluate(components, self.settings.evaluate_sequences)
        self.progress.clear()
        if not (self.table_follows and self.trainer.step == self.settings.steps):
            say(f"\nValidation after {self.trainer.step} steps:\n{markdown(evaluation)}\n")
        if status := self.components.guide.status():
            say(f"{status}\n")
        if self.patience is not None:
            self.patience.observe(self.trainer.step, evaluation)
        if self.trackers.started and self.settings.samples:
            self._report_samples(components)
        return record_of(evaluation)

    def _report_samples(self, components: RunComponents) -> None:
        """Give the trackers texts written with the present weights; the random state is left as it was."""
        from ltm_pyro.evaluation.evaluation_mode import evaluation_mode
        from ltm_pyro.runs.writing import write_samples

        with evaluation_mode(components.model, components.guide, self.settings.seed):
            samples = write_samples(self.run, components, self.settings.samples, seed=self.settings.seed)
        self.trackers.text("samples", listed(samples), self.trainer.step)

    def _show(self, record: dict[str, Any]) -> None:
        self.trackers.log(record)
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
            paths = draw_learning(self.run)
        except Exception as error:
            self.draws = False  # so that the message comes once
            say(f"The learning curve was not drawn, and training goes on: {error}")
        else:
            self.trackers.figures(paths, self.trainer.step)


def listed(samples: Sequence[str]) -> str:
    """Texts in Markdown, as they are, below one another."""
    return "\n\n".join(f"Sample {number}:\n\n~~~~\n{text}\n~~~~" for number, text in enumerate(samples, 1))
