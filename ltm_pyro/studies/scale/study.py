"""A grid of sizes and fast steps, each trained and scored."""

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

DRAWS = 1000  # of the bootstrap
VALIDATIONS = 10  # along a run, for its curve


def defaults(steps: int) -> Settings:
    """Default settings of the runs of a study of so many slow steps, which the base overrides."""
    every = max(1, steps // VALIDATIONS)
    return {
        "data": {"seed": 0},
        "train": {"samples": 0, "keep": 1, "evaluate_every": every, "save_every": every},
    }


class ScaleStudy(Study):
    """The study of scale: a model for each combination of sizes, scored at each T_fast of inference.

    Args:
        grid: values by dimension, as `read_grid` gives them.
        base: settings that all models have in common: corpus, recipe, further sizes, ...
        seeds: of weights, order and noise; the split is one for all.
        out: the study's folder; comparisons/scale-CORPUS if None.
        processes: runs at once, of one thread each; None: one after another in this process, with all its threads.
        limit: the most held-out sequences that each model is scored on; `train.final_sequences` if None.
        seed: of the noise of all scoring, which is one for all, and of the bootstrap.
        compute: what the laws are of.
        resume: go on with what `out` holds, be it interrupted, or with further values or seeds.
        command: how this was asked for, to be kept.

    Raises:
        InputError: for settings or sizes that make no sense, or an `out` that exists, or was begun with others.
    """

    checkpoint = "latest"  # the best one would be chosen by the text that is scored
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
        """All models of one seed first, so that an early end leaves whole studies of fewer seeds."""
        return [
            Trial(named(sizes), seed, key_of(sizes, seed), merged(settings, {"train.seed": seed}), about=sizes)
            for seed in self.seeds
            for sizes, settings in self.models
        ]

    def scorings(self, trial: Trial) -> dict[str, Scoring]:
        """At each T_fast of inference."""
        return {
            scoring_of(steps): {**self.scoring, "fast_steps": fast_steps_of(trial, steps)} for steps in self.inference
        }

    def to_records(self) -> list[dict[str, Any]]:
        """A flat record of every run that has ended, at each T_fast of inference."""
        return run_records(self.trials, self.results, self.inference)

    def summaries(self) -> list[dict[str, Any]]:
        """A flat record of every model at each T_fast of inference, means over seeds."""
        return summaries(self.trials, self.results, self.inference)

    def report(self) -> Report | None:
        """Table, laws and figures of what there is by now."""
        from ltm_pyro.studies.scale.figures import draw
        from ltm_pyro.studies.scale.table import markdown, name_of

        records, rows = self.to_records(), self.summaries()
        if not records:
            return None
        fitted = laws(self.trials, self.results, self.inference, self.compute, DRAWS, self.seed) if rows else []
        done, failed = ([one for one in records if one["status"] == status] for status in ("done", "failed"))
        points = curves(self.trials, self.results, partial(name_of, among=rows))
        told = [{**law, "law": law["law"] and law["law"].to_dict()} for law in fitted]
        return Report(
            table=markdown(rows, fitted, failed, self.compute),
            records=records,
            content=finite({"summary": rows, "laws": told, "records": records, "curves": points}),
            draw=lambda folder: draw(rows, done, fitted, points, self.compute, folder),
        )

    def _completed(self, base: Mapping[str, Any]) -> Namespace:
        whole = complete(merged(defaults(complete(base).train.steps), base))
        whole.data.seed = whole.data.seed or 0
        return whole

    def _models(self) -> list[tuple[dict[str, int], Settings]]:
        """The sizes of every model, and its settings."""
        base = as_dict(self.base)
        if not is_flat(base["decoder"]):
            path = decoder_path(base["decoder"])
            raise InputError(f"--decoder {path}: a study of scale varies the sizes of our Decoder; leave it out")
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
            told = ", ".join(f"{name} {sizes[name]}" for name in self.grid if name in sizes)
            raise InputError(f"{told or 'the model'}: {error}") from error
        return as_dict(config)


def _check(*, limit: int | None, seed: int) -> None:
    for name, value, least in (("limit", limit, 2), ("seed", seed, 0)):
        if value is not None and not least <= value <= LARGEST:
            raise InputError(f"--{name} {value}: expected {least} or more, and {LARGEST} or less")
