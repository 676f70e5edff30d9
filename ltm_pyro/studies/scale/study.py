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
from ltm_pyro.studies.scale.grid import INFERENCE, TRAINED, change_of, key_of, named, sizes_of
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
from ltm_pyro.training.decoder_settings import decoder_path, is_flat

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
        about: dict[str, Any] = {"command": list(command), "grid": grid, "base": as_dict(self.base)}
        about |= {"seeds": self.seeds, "inference": self.inference, "scoring": self.scoring, "laws": compute}
        about |= {"processes": processes}
        path = Path(out or f"comparisons/scale-{corpus_name(self.base.get('corpus'))}")
        super().__init__(path, {}, about, processes=processes, resume=resume)
        self.begin()

    def plan_trials(self) -> Sequence[Trial]:
        """Trials, grouped by seed, so that an early end leaves complete studies of fewer seeds."""
        return [
            Trial(named(sizes), seed, key_of(sizes, seed), merged(settings, {"train.seed": seed}), about=sizes)
            for seed in self.seeds
            for sizes, settings in self.models
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

    def _models(self) -> list[tuple[dict[str, int], Settings]]:
        """Sizes and settings of every model."""
        base = as_dict(self.base)
        if not is_flat(base["decoder"]):
            path = decoder_path(base["decoder"])
            raise InputError(f"--decoder {path}: a scaling study varies the sizes of the default Decoder; leave it out")
        usual = {name: value_of(base, argument) for name, (argument, _) in TRAINED.items()}
        return [(sizes, self._model(base, sizes)) for sizes in sizes_of(self.grid, usual)]

    def _model(self, base: Settings, sizes: dict[str, int]) -> Settings:
        from ltm_pyro.training.build import validate
        from ltm_pyro.training.run import run_parser

        try:
            config = complete(merged(base, change_of(sizes)))
            if config.model != "latent-thought":
                raise InputError(f"--model {config.model} has no thoughts and no fast steps: leave it out")
            if not validate(run_parser(config), config).guide.has_density:
                raise InputError("its guide has no density, so that there is no bound to draw: choose another --guide")
        except InputError as error:
            label = ", ".join(f"{name} {sizes[name]}" for name in self.grid if name in sizes)
            raise InputError(f"{label or 'the model'}: {error}") from error
        return as_dict(config)


def _check(*, limit: int | None, seed: int) -> None:
    for name, value, least in (("limit", limit, 2), ("seed", seed, 0)):
        if value is not None and not least <= value <= LARGEST:
            raise InputError(f"--{name} {value}: expected {least} or more, and {LARGEST} or less")
