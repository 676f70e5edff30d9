"""Trained runs of any kind side by side: at equal tokens, compute and time, and on the text that all held out."""

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

BUDGETS = "Validation cost of each run in bits per byte against what training has spent. Costs: lower is better."
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
    """Compare trained runs, which must have held out the same documents; they may have tokenizers of their own.

    Args:
        runs: by name; the first is what the others are compared with.
        budgets, measure, device_name, checkpoint, draws, limit, seed: as for `ModelComparison`.

    Returns:
        What was compared: `table()`, `to_records()`, `evaluations`.
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
    """Runs at equal tokens, training compute and time, and their numbers on what all of them held out.

    Args:
        runs: by name; the first is what the others are compared with. What no number bounds is left out, and said.
        budgets: of each kind, at equal ratios.
        measure: rounds in which each run takes a training step here; their median is its speed. 0 takes its log's.
        device_name: of what the runs were trained on; that of this machine if None.
        checkpoint: `best`, `latest` or a step, of the numbers on held-out text.
        draws: S, samples of z, or of what is masked, per sequence.
        limit: the most held-out sequences to score.
        seed: of all noise.
        place: where the runs' corpus lies now, if it has been moved.

    Attributes:
        evaluations: of the runs that have been scored, by name.

    Raises:
        InputError: if nothing can be compared, or if the runs held out different documents.
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
        least = {"budgets": budgets, "measure": measure, "draws": draws, "limit": limit, "seed": seed}
        refuse_outside(
            least, {"budgets": whole(1), "measure": whole(0), "draws": whole(1), "limit": whole(1), "seed": SEED}
        )
        self.budgets, self.measure, self.place, self.checkpoint = budgets, measure, place, checkpoint
        self.sizes: dict[str, Any] = {"draws": draws, "limit": limit, "seed": seed}
        self.device_name = device_name or _device()
        self.left_out: list[str] = []
        self.courses = self._courses(runs)
        self.runs = {course.name: runs[course.name] for course in self.courses}
        self.texts = {name: held_out_text(run, place) for name, run in self.runs.items()}
        first, *others = self.texts.values()
        for text in others:
            refuse_other_held_out(first, text)
        self.evaluations: dict[str, Evaluation] = {}

    def carry_out(self) -> None:
        """Measure speeds, if that is asked for, and score every run."""
        if self.measure:
            from ltm_pyro.runs.speed import measured_speeds

            speeds = measured_speeds(self.runs, self.measure, self.place)
            self.courses = [course.at_speeds(speeds[course.name]) for course in self.courses]
        for name, text in self.texts.items():
            components, device = load(text.run, self.checkpoint)
            self.evaluations[name] = score_run(text.run, components, device, text.held_out, **self.sizes)

    def table(self) -> str:
        """Costs at each budget, and of the runs that have been scored their numbers, as Markdown."""
        table = budget_table(self.courses, self.budgets, self.device_name, self.left_out)
        if not self.evaluations:
            return table
        return f"{table}\n\n{final_table(self.evaluations, next(iter(self.evaluations)))}"

    def to_records(self) -> list[dict[str, Any]]:
        """A flat record of each run at each budget."""
        return budget_records(self.courses, self.budgets)

    def pieces(self) -> Pieces:
        """Evaluations and measured speeds, by what they are of."""
        pieces: Pieces = {name: [evaluation.to_dict()] for name, evaluation in self.evaluations.items()}
        speeds = [(course.name, number, speed) for course in self.courses for number, speed in enumerate(course.speeds)]
        if speeds:
            names = ("run", "round", "tokens_per_second")
            pieces["measured speed"] = [dict(zip(names, speed, strict=True)) for speed in speeds]
        return pieces

    def draw(self, folder: Path) -> list[str]:
        """Write the figure of all budgets into a folder; returns the names of its files."""
        from ltm_pyro.plots import plot_budgets, save_figure

        points = {course.name: course.points for course in self.courses}
        panels: Sequence[Callable[..., Any]] = [
            partial(plot_budgets, points, device=self.device_name, by=by) for by in SPENT
        ]
        return [path.name for path in save_figure(folder / "budgets", panels, BUDGETS, columns=3)]

    def _courses(self, runs: Mapping[str, Run]) -> list[TrainingCurve]:
        """The courses of the runs that can be compared; of each other one it is said why it cannot."""
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
