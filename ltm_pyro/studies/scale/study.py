"""Scaling study: models over a grid of sizes and fast steps, trained and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import finite
from ltm_pyro.ranges import LARGEST
from ltm_pyro.runs.config import Settings, as_dict, complete, merged, value_of
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.studies.scale.axes import Value
from ltm_pyro.studies.scale.grid import INFERENCE, TRAINED, Point, key_of, labels_of, named, points_of, with_point
from ltm_pyro.studies.scale.records import (
    Compute,
    curves,
    fast_steps_of,
    laws,
    run_records,
    scoring_of,
    summaries,
)
from ltm_pyro.studies.study import Report, Study
from ltm_pyro.studies.trial import Scoring, Trial, check_seeds
from ltm_pyro.training.decoder_settings import is_flat

if TYPE_CHECKING:
    from jsonargparse import Namespace

DRAWS = 1000  # draws of the bootstrap
VALIDATIONS = 10  # validations of a run, for its learning curve


def defaults(steps: int) -> Settings:
    """Default settings of runs with the given number of slow steps; the base overrides them."""
    every = max(1, steps // VALIDATIONS)
    return {
        "data": {"seed": 0},
        "train": {"samples": 0, "keep": 1, "evaluate_every": every, "save_every": every},
    }


class ScaleStudy(Study):
    """Scaling study: a model for each combination of sizes, scored at each T_fast of inference.

    Args:
        grid: values by dimension, from `read_grid`.
        base: common settings: corpus, recipe, further sizes, ...
        seeds: seeds of weights, order and noise; the split is the same for all.
        out: folder of the study; comparisons/scale-CORPUS if None.
        processes: number of processes of one thread each; None runs the trials in this process, one after another,
            with all its threads.
        limit: largest number of held-out sequences to score; `train.final_sequences` if None.
        seed: seed of the noise of all scoring, the same for all, and of the bootstrap.
        compute: measure of compute of the laws.
        resume: continue the study in `out`, which may get further values or seeds.
        command: command that started the study, to be kept.

    Raises:
        InputError: if settings or sizes are invalid, or `out` exists without `resume`, or has other settings.
    """

    checkpoint = "latest"  # the scored text would choose the best one
    measures = ("flops",)

    def __init__(
        self,
        grid: dict[str, list[Any]],
        base: Mapping[str, Any],
        *,
        seeds: Sequence[int] = (0,),
        out: Path | str | None = None,
        processes: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        compute: Compute = "flops_per_token",
        resume: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        from ltm_pyro.inference import TableFit

        check_seeds(seeds)
        _check(limit=limit, seed=seed)
        self.grid, self.seeds, self.seed, self.compute = grid, list(seeds), seed, compute
        self.base = self._completed(base)
        self.inference = grid.get(INFERENCE, [self.base.train.evaluate_fast_steps or TableFit().steps])
        self.scoring: Scoring = {
            "draws": self.base.train.draws,
            "limit": self.base.train.final_sequences if limit is None else limit,
            "seed": seed,
        }
        self.models = self._models()
        labels = {
            name: [value.label if isinstance(value, Value) else value for value in values]
            for name, values in grid.items()
        }
        about: dict[str, Any] = {"command": list(command), "grid": labels, "base": as_dict(self.base)}
        about |= {"seeds": self.seeds, "inference": self.inference, "scoring": self.scoring, "laws": compute}
        about |= {"processes": processes}
        path = Path(out or f"comparisons/scale-{corpus_name(self.base.get('corpus'))}")
        super().__init__(path, {}, about, processes=processes, resume=resume)
        self.begin()

    def plan_trials(self) -> Sequence[Trial]:
        """Trials, grouped by seed, so that an early end leaves complete studies of fewer seeds."""
        return [
            Trial(named(point), seed, key_of(point, seed), merged(settings, {"train.seed": seed}), about=about)
            for seed in self.seeds
            for point, about, settings in self.models
        ]

    def scorings(self, trial: Trial) -> dict[str, Scoring]:
        """Scorings at each T_fast of inference."""
        return {
            scoring_of(steps): {**self.scoring, "fast_steps": fast_steps_of(trial, steps)} for steps in self.inference
        }

    def to_records(self) -> list[dict[str, Any]]:
        """Flat records of all runs that have ended, at each T_fast of inference."""
        return run_records(self.trials, self.results, self.inference)

    def summaries(self) -> list[dict[str, Any]]:
        """Flat records of every model at each T_fast of inference, means over seeds."""
        return summaries(self.trials, self.results, self.inference)

    def report(self) -> Report | None:
        """Report with table, laws and figures of the runs so far."""
        from ltm_pyro.studies.scale.figures import draw
        from ltm_pyro.studies.scale.table import markdown, name_of

        records, rows = self.to_records(), self.summaries()
        if not records:
            return None
        fitted = laws(self.trials, self.results, self.inference, self.compute, DRAWS, self.seed) if rows else []
        done, failed = ([row for row in records if row["status"] == status] for status in ("done", "failed"))
        points = curves(self.trials, self.results, partial(name_of, among=rows))
        plain = [{**law, "law": law["law"] and law["law"].to_dict()} for law in fitted]
        return Report(
            table=markdown(rows, fitted, failed, self.compute),
            records=records,
            content=finite({"summary": rows, "laws": plain, "records": records, "curves": points}),
            draw=lambda folder: draw(rows, done, fitted, points, self.compute, folder),
        )

    def _completed(self, base: Mapping[str, Any]) -> Namespace:
        config = complete(merged(defaults(complete(base).train.steps), base))
        config.data.seed = config.data.seed or 0
        return config

    def _models(self) -> list[tuple[dict[str, Any], dict[str, Any], Settings]]:
        """Labels by dimension, these with the number of thoughts in all layers, and settings of every model."""
        base = as_dict(self.base)
        inner = "" if is_flat(base["decoder"]) else "init_args."
        paths = {name: argument.replace("decoder.", f"decoder.{inner}") for name, (argument, _) in TRAINED.items()}
        usual = {name: value_of(base, path) for name, path in paths.items()}
        models = []
        for point in points_of(self.grid, usual):
            settings, thoughts = self._model(base, point)
            labels = labels_of(point)
            models.append((labels, {**labels, "all_thoughts": thoughts}, settings))
        return models

    def _model(self, base: Settings, point: Point) -> tuple[Settings, int]:
        """Settings of a model, and its number of thoughts in all layers."""
        from ltm_pyro.training.build import validate
        from ltm_pyro.training.run import run_parser

        try:
            config = complete(with_point(base, point))
            if config.model != "latent-thought":
                raise InputError(f"--model {config.model} has no thoughts and no fast steps: leave it out")
            components = validate(run_parser(config), config)
            if not components.guide.has_density:
                raise InputError("its guide has no density, so that there is no bound to draw: choose another --guide")
        except InputError as error:
            label = named({name: value.label for name, value in point.items() if name in self.grid})
            raise InputError(f"{label or 'the model'}: {error}") from error
        layers, thoughts, _ = components.model.decoder.z_shape
        return as_dict(config), layers * thoughts


def _check(*, limit: int | None, seed: int) -> None:
    for name, value, least in (("limit", limit, 2), ("seed", seed, 0)):
        if value is not None and not least <= value <= LARGEST:
            raise InputError(f"--{name} {value}: expected {least} or more, and {LARGEST} or less")
