"""Each prior trained anew, at one budget and on one split of a corpus, and evaluated."""

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
    """Train and evaluate a model with each prior; progress is told on standard error.

    Args:
        base: settings that all have in common, as `ltm_pyro.recipe` gives them; the recipe `tiny` if None.
        variants: by name, what each changes in the base, its prior first of all; or classes of priors, with their
            arguments at their defaults; all of ours with an exact density if None. The first is what the others are
            compared with.
        seeds, out, seconds, limit, processes, resume: as for `PriorComparison`.

    Returns:
        What was compared: `to_records()`, `summaries()`, `table()`.

    Raises:
        InputError: as `PriorComparison`.
    """
    chosen = variants is not None
    named = as_variants("prior", default_priors() if variants is None else variants)
    comparison = PriorComparison(
        recipe() if base is None else base,
        named,
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
    """The study of priors; `out/` also has samples.md.

    Args:
        base: settings that all have in common.
        variants: what each changes in them; the first is what the others are compared with.
        seeds: of weights, order and noise; the split is that of the first, or of `data.seed`.
        out: the comparison's folder; comparisons/priors-CORPUS if None.
        seconds: train each for so long, as a few timed steps foretell, instead of for `train.steps`.
        limit: the most held-out sequences that each is scored on; `train.final_sequences` if None.
        processes: runs at once, of one thread each; None: one after another in this process, with all its threads.
        resume: go on with what `out` holds, be it interrupted, or with further priors or seeds.
        check_models: refuse what cannot be built before anything is trained; else its record will say why it failed.
        command: how this was asked for, to be kept.

    Raises:
        InputError: for settings that make no sense, or an `out` that exists, or is another comparison's.
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
        """All priors of one seed first, so that an early end leaves whole comparisons of fewer seeds."""
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
        """As `ltm evaluate` scores."""
        train = trial.settings["train"]
        limit = train["final_sequences"] if self.limit is None else self.limit
        return {VALIDATION: {"draws": train["draws"], "limit": limit, "seed": SEED, "fast_steps": None}}

    def to_records(self) -> list[dict[str, Any]]:
        """A flat record of every run that has ended."""
        return run_records(self.trials, self.results)

    def summaries(self) -> list[dict[str, Any]]:
        """A flat record of every prior that has a run, means over seeds."""
        return summaries(self.trials, self.results)

    def table(self) -> str:
        """Table of the trials that have ended, as Markdown; empty if none has."""
        report = self.report()
        return report.table if report else ""

    def report(self) -> Report | None:
        """Tables, texts and figures of what there is by now."""
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
        """One tokenizer and one split for all."""
        return self._settings_of_all(self.variants[0].name)

    def _settings(self, name: str) -> Settings:
        """The settings of a prior's runs, as words of `ltm train`, but for their seed."""
        settings = self._settings_of_all(name)
        if self.seconds is not None:
            settings = merged(settings, {"train.steps": self._steps(name, settings)})
        return settings

    def _settings_of_all(self, name: str) -> Settings:
        return merged(as_dict(self.configs[name]), {"data.seed": self.split_seed, "train.seed": self.seeds[0]})

    def _steps(self, name: str, settings: Settings) -> int:
        """How many fit into the seconds: timed once for each prior, and kept."""
        key = f"{name} steps"
        if key not in self.pieces:
            steps, one = step_time.steps_within(self.seconds or 0.0, complete(settings), self.material)
            self.pieces[key] = [{"steps": steps, "seconds_per_step": one}]
            self.folder.keep(self.pieces)
            say(f"{name}: {one:.3g} seconds a step, {steps:,} steps")
        return int(self.pieces[key][0]["steps"])

    def _completed(self, base: Mapping[str, Any], variant: Variant) -> Namespace:
        try:
            return complete(merged(base, variant.change))
        except InputError as error:
            raise InputError(f"--priors {variant}: {error}") from error

    def _refuse_other_text(self) -> None:
        """Refuse priors that would be compared on other text than the first."""
        first = self.configs[self.variants[0].name]
        for name, config in self.configs.items():
            if config.get("corpus") != first.get("corpus") or config.data != first.data:
                raise InputError(f"--priors {name}: it changes the corpus or --data, which are the same for all priors")

    def _check_models(self, build: bool) -> None:
        """Refuse what has no prior to compare; what cannot be built too, if that is asked for."""
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
        return [f"Equal seconds: {self.seconds:g} each, in as many steps as a few timed ones promised to fit."]


def check_seconds(seconds: float | None) -> None:
    """Raises InputError for seconds that make no sense."""
    if seconds is not None and not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds}: expected a positive number")
