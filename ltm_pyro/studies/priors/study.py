"""Study of priors, each trained from scratch at the same budget and on the same split, and evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs import step_time
from ltm_pyro.runs.config import Settings, as_dict, complete, merged, recipe, without
from ltm_pyro.runs.console import say
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.runs.results_folder import RESULTS, as_content
from ltm_pyro.runs.trials import SEED
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.earlier import keep_earlier
from ltm_pyro.studies.priors.records import pieces_of, run_records, summaries
from ltm_pyro.studies.priors.table import markdown, samples_side_by_side
from ltm_pyro.studies.records import curves
from ltm_pyro.studies.study import Report, Study
from ltm_pyro.studies.trial import VALIDATION, Scoring, Trial, check_seeds
from ltm_pyro.studies.variants import Variant, as_variants

if TYPE_CHECKING:
    from jsonargparse import Namespace


def compare_priors(
    base: Mapping[str, Any] | None = None,
    variants: Mapping[str, Mapping[str, Any]] | Sequence[str] | None = None,
    *,
    seeds: Sequence[int] = (0,),
    out: Path | str | None = None,
    seconds: float | None = None,
    limit: int | None = None,
    processes: int | None = None,
    resume: bool = False,
) -> PriorComparison:
    """Train and evaluate a model with each prior; progress is written to standard error.

    Args:
        base: common settings, as from `ltm_pyro.recipe`; the recipe `tiny` if None.
        variants: changes to the base (its prior, and others if need be) by name; or classes of priors, with default
            arguments; None takes all priors of the library with an exact density. The first is the reference.
        seeds, out, seconds, limit, processes, resume: as for `PriorComparison`.

    Returns:
        The comparison, with `to_records()`, `summaries()` and `table()`.

    Raises:
        InputError: as `PriorComparison`.
    """
    chosen = variants is not None
    chosen_variants = as_variants("prior", default_priors() if variants is None else variants)
    comparison = PriorComparison(
        recipe() if base is None else base,
        chosen_variants,
        seeds=seeds,
        out=out,
        seconds=seconds,
        limit=limit,
        processes=processes,
        resume=resume,
        check_models=chosen,
    )
    try:
        comparison.carry_out()
    finally:
        comparison.finish()
    return comparison


class PriorComparison(Study):
    """Study of priors; `out/` also has samples.md.

    Args:
        base: common settings.
        variants: changes to the common settings for each prior; the first is the reference.
        seeds: seeds of weights, order and noise; the split has `data.seed`, or else the first of these.
        out: folder of the comparison; comparisons/priors-CORPUS if None.
        seconds: seconds of training for each prior, instead of `train.steps`; a few timed steps give the number of
            steps.
        limit: largest number of held-out sequences to score; `train.final_sequences` if None.
        processes: number of processes of one thread each; None runs the trials in this process, one after another,
            with all its threads.
        resume: continue the comparison in `out`, which may get further priors or seeds.
        check_models: raise an error before any training if a model cannot be built; else its record has the reason.
        command: command that started the comparison, to be kept.

    Raises:
        InputError: if settings are invalid, or `out` exists without `resume`, or holds another comparison.
    """

    measures = ("aggregate", "samples")

    def __init__(
        self,
        base: Mapping[str, Any],
        variants: Sequence[Variant],
        *,
        seeds: Sequence[int] = (0,),
        out: Path | str | None = None,
        seconds: float | None = None,
        limit: int | None = None,
        processes: int | None = None,
        resume: bool = False,
        check_models: bool = True,
        command: Sequence[str] = (),
    ) -> None:
        check_seeds(seeds)
        check_seconds(seconds)
        self.seeds, self.seconds, self.limit, self.variants = list(seeds), seconds, limit, list(variants)
        self.configs = {variant.name: self._completed(base, variant) for variant in self.variants}
        first = self.configs[self.variants[0].name]
        self.split_seed = first.data.seed if first.data.seed is not None else seeds[0]
        self._refuse_other_text()
        self._check_models(check_models)
        settings = {
            "base": without(as_dict(complete(base)), "prior", "train.seed"),
            "seconds": seconds,
            "split_seed": self.split_seed,
        }
        path = Path(out or f"comparisons/priors-{corpus_name(first.get('corpus'))}")
        about = {"command": list(command), "seeds": self.seeds}
        changes = {variant.name: variant.change for variant in self.variants}
        super().__init__(path, settings, about, variants=changes, processes=processes, resume=resume)
        self.pieces = self.folder.done() if (path / RESULTS).is_file() else {}
        if self.seconds is None:
            self.begin()

    def plan_trials(self) -> Sequence[Trial]:
        """Trials, grouped by seed, so that an early end leaves complete comparisons of fewer seeds."""
        settings = {variant.name: self._settings(variant.name) for variant in self.variants}
        trials = [
            Trial(
                variant.name,
                seed,
                f"{variant.folder}-seed-{seed}",
                merged(settings[variant.name], {"train.seed": seed}),
            )
            for seed in self.seeds
            for variant in self.variants
        ]
        keep_earlier(self.folder.path, self.pieces, [(trial, self.plan(trial)) for trial in trials])
        return trials

    def scorings(self, trial: Trial) -> dict[str, Scoring]:
        """Scoring of `ltm evaluate`."""
        train = trial.settings["train"]
        limit = train["final_sequences"] if self.limit is None else self.limit
        return {VALIDATION: {"draws": train["draws"], "limit": limit, "seed": SEED, "fast_steps": None}}

    def to_records(self) -> list[dict[str, Any]]:
        """Flat records of all runs that have ended."""
        return run_records(self.trials, self.results)

    def summaries(self) -> list[dict[str, Any]]:
        """Flat records of all priors with a finished run, means over seeds."""
        return summaries(self.trials, self.results)

    def table(self) -> str:
        """Table of the trials that have ended, as Markdown; empty if none has."""
        report = self.report()
        return report.table if report else ""

    def report(self) -> Report | None:
        """Report with tables, texts and figures of the runs so far."""
        from ltm_pyro.studies.priors.figures import draw

        records, rows = self.to_records(), self.summaries()
        if not records:
            return None
        self.pieces |= pieces_of(self.trials, self.results)
        points = curves(self.results, self.trials)
        return Report(
            table=markdown(rows, records, self.variants[0].name, self._budget()),
            records=records,
            content=as_content({**self.pieces, "summary": rows}),
            draw=lambda folder: draw(rows, records, points, folder),
            texts={"samples.md": samples_side_by_side(records, self.folder.path)},
        )

    def text_settings(self) -> Settings:
        """Settings of the tokenizer and the split that all runs share."""
        return self._settings_of_all(self.variants[0].name)

    def _settings(self, name: str) -> Settings:
        """Settings of a prior's runs, before the seed of each run is set."""
        settings = self._settings_of_all(name)
        if self.seconds is not None:
            settings = merged(settings, {"train.steps": self._steps(name, settings)})
        return settings

    def _settings_of_all(self, name: str) -> Settings:
        return merged(as_dict(self.configs[name]), {"data.seed": self.split_seed, "train.seed": self.seeds[0]})

    def _steps(self, name: str, settings: Settings) -> int:
        """Number of steps that fit into `seconds`, timed once for each prior and kept."""
        key = f"{name} steps"
        if key not in self.pieces:
            steps, seconds = step_time.steps_within(self.seconds or 0.0, complete(settings), self.material)
            self.pieces[key] = [{"steps": steps, "seconds_per_step": seconds}]
            self.folder.keep(self.pieces)
            say(f"{name}: {seconds:.3g} seconds per step, {steps:,} steps")
        return int(self.pieces[key][0]["steps"])

    def _completed(self, base: Mapping[str, Any], variant: Variant) -> Namespace:
        try:
            return complete(merged(base, variant.change))
        except InputError as error:
            raise InputError(f"--priors {variant}: {error}") from error

    def _refuse_other_text(self) -> None:
        """Raise InputError if a variant changes the text, which all priors must share."""
        first = self.configs[self.variants[0].name]
        for name, config in self.configs.items():
            if config.get("corpus") != first.get("corpus") or config.data != first.data:
                raise InputError(
                    f"--priors {name}: changes the corpus or --data, which must be the same for all priors"
                )

    def _check_models(self, build: bool) -> None:
        """Raise InputError for models without a prior and, if `build` is True, for models that cannot be built."""
        from ltm_pyro.training.build import validate
        from ltm_pyro.training.run import run_parser

        for name, config in self.configs.items():
            if config.model != "latent-thought":
                raise InputError(f"--model {config.model} has no thoughts, and so no prior: leave it out")
            if build:
                try:
                    if not validate(run_parser(config), config).guide.has_density:
                        raise InputError(
                            "its guide has no density, so that there is no ELBO to compare: choose another --guide"
                        )
                except InputError as error:
                    raise InputError(f"--priors {name}: {error}") from error

    def _budget(self) -> list[str]:
        if self.seconds is None:
            return [f"Equal tokens: {self.configs[self.variants[0].name].train.steps:,} steps each."]
        return [f"Equal time: {self.seconds:g} seconds each; the number of steps follows from a few timed steps."]


def check_seconds(seconds: float | None) -> None:
    """Check a time budget; raises InputError unless it is positive and finite, or None."""
    if seconds is not None and not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds}: expected a positive number")
