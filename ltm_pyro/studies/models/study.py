"""Comparison of trained runs of any kind at equal tokens, compute and time, and on their common held-out text."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import SEED, refuse_outside, whole
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import load
from ltm_pyro.runs.scored_text import held_out_text
from ltm_pyro.runs.scoring import score_run
from ltm_pyro.studies.models.tables import budget_records, budget_table, final_table
from ltm_pyro.studies.models.training_curve import SPENT, NothingBoundsError, TrainingCurve, training_curve_of
from ltm_pyro.training.held_out import refuse_other_held_out
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from ltm_pyro.evaluation import Evaluation
    from ltm_pyro.runs.trained import TrainedRun

Pieces = dict[str, list[dict[str, Any]]]


def compare_models(
    runs: Mapping[str, TrainedRun],
    *,
    budgets: int = 4,
    measure: int = 0,
    device_name: str | None = None,
    checkpoint: str = "best",
    draws: int = 16,
    limit: int | None = None,
    seed: int = 0,
) -> ModelComparison:
    """Compare trained runs with the same held-out documents; their tokenizers may differ.

    Args:
        runs: runs by name; the first is the reference of the comparison.
        budgets, measure, device_name, checkpoint, draws, limit, seed: as for `ModelComparison`.

    Returns:
        The comparison, with `table()`, `to_records()` and `evaluations`.
    """
    plain = {name: run.run for name, run in runs.items()}
    comparison = ModelComparison(
        plain,
        budgets=budgets,
        measure=measure,
        device_name=device_name,
        checkpoint=checkpoint,
        draws=draws,
        limit=limit,
        seed=seed,
    )
    comparison.carry_out()
    return comparison


class ModelComparison:
    """Comparison of runs at equal tokens, training compute and time, and of their scores on the held-out text.

    Args:
        runs: runs by name; the first is the reference of the comparison. Runs without any bound are left out, with a
            message.
        budgets: number of budgets of each kind, at equal ratios.
        measure: rounds in which each run takes a timed training step here; their median is its speed. 0 takes the
            speed of its log.
        device_name: name of the device that the runs were trained on; this machine's if None.
        checkpoint: checkpoint to score on held-out text: `best`, `latest` or a step.
        draws: S, samples of z, or of the mask of a diffusion model, per sequence.
        limit: largest number of held-out sequences to score.
        seed: seed of all noise.
        place: path of the runs' corpus, if it has been moved.

    Attributes:
        evaluations: evaluations of the runs that have been scored, by name.

    Raises:
        InputError: if no run can be compared, or if the runs held out different documents.
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        *,
        budgets: int = 4,
        measure: int = 0,
        device_name: str | None = None,
        checkpoint: str = "best",
        draws: int = 16,
        limit: int | None = None,
        seed: int = 0,
        place: str | None = None,
    ) -> None:
        values = {"budgets": budgets, "measure": measure, "draws": draws, "limit": limit, "seed": seed}
        refuse_outside(
            values, {"budgets": whole(1), "measure": whole(0), "draws": whole(1), "limit": whole(1), "seed": SEED}
        )
        self.budgets, self.measure, self.place, self.checkpoint = budgets, measure, place, checkpoint
        self.sizes: dict[str, Any] = {"draws": draws, "limit": limit, "seed": seed}
        self.device_name = device_name or _device()
        self.left_out: list[str] = []
        self.courses = self._courses(runs)
        self.runs = {course.name: runs[course.name] for course in self.courses}
        self.texts = {name: held_out_text(run, place) for name, run in self.runs.items()}
        first, *remaining = self.texts.values()
        for text in remaining:
            refuse_other_held_out(first, text)
        self.evaluations: dict[str, Evaluation] = {}

    def carry_out(self) -> None:
        """Measure speeds if `measure` is set, and score every run."""
        if self.measure:
            from ltm_pyro.runs.speed import measured_speeds

            speeds = measured_speeds(self.runs, self.measure, self.place)
            self.courses = [course.at_speeds(speeds[course.name]) for course in self.courses]
        for name, text in self.texts.items():
            components, device = load(text.run, self.checkpoint)
            self.evaluations[name] = score_run(text.run, components, device, text.held_out, **self.sizes)

    def table(self) -> str:
        """Tables of the costs at each budget, and of the scores of all runs scored so far, as Markdown."""
        table = budget_table(self.courses, self.budgets, self.device_name, self.left_out)
        if not self.evaluations:
            return table
        return f"{table}\n\n{final_table(self.evaluations, next(iter(self.evaluations)))}"

    def to_records(self) -> list[dict[str, Any]]:
        """Flat records of each run at each budget."""
        return budget_records(self.courses, self.budgets)

    def pieces(self) -> Pieces:
        """Evaluations by run, and measured speeds."""
        pieces: Pieces = {name: [evaluation.to_dict()] for name, evaluation in self.evaluations.items()}
        speeds = [(course.name, number, speed) for course in self.courses for number, speed in enumerate(course.speeds)]
        if speeds:
            names = ("run", "round", "tokens_per_second")
            pieces["measured speed"] = [dict(zip(names, speed, strict=True)) for speed in speeds]
        return pieces

    def draw(self, folder: Path) -> list[str]:
        """Write the figure of all budgets into a folder; returns the file names."""
        from ltm_pyro.plots import CAPTIONS, plot_budgets, save_figure

        points = {course.name: course.points for course in self.courses}
        panels: Sequence[Callable[..., Any]] = [
            partial(plot_budgets, points, device=self.device_name, by=by) for by in SPENT
        ]
        return [path.name for path in save_figure(folder / "budgets", panels, CAPTIONS["plot_budgets"], columns=3)]

    def _courses(self, runs: Mapping[str, Run]) -> list[TrainingCurve]:
        """Training curves of the runs that can be compared; a message gives the reason for each run left out."""
        courses = []
        for name, run in runs.items():
            try:
                courses.append(training_curve_of(name, run.metrics.read(), *run.build()))
            except NothingBoundsError as error:
                say(f"left out: {error}")
                self.left_out.append(str(error))
        if not courses:
            raise InputError("; ".join(self.left_out) or "no run to compare: give one or more")
        return courses


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
