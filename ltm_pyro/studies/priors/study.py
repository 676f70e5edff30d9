"""Each prior trained anew, at one budget and on one split of a corpus, and evaluated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.runs import step_time, trials
from ltm_pyro.runs.config import Settings, as_dict, complete, merged, recipe, without
from ltm_pyro.runs.console import say
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.runs.results_folder import SETTINGS, ComparisonFolder, commit, versions
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.records import run_key, run_records, summaries
from ltm_pyro.studies.priors.table import markdown, samples_side_by_side
from ltm_pyro.studies.variants import Variant, as_variants

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.training.material import Material


def compare_priors(
    base: Mapping[str, Any] | None = None,
    variants: Mapping[str, Mapping[str, Any]] | Sequence[str] | None = None,
    *,
    seeds: Sequence[int] = (0,),
    out: Path | str | None = None,
    seconds: float | None = None,
    resume: bool = False,
) -> PriorComparison:
    """Train and evaluate a model with each prior; progress is told on standard error.

    Args:
        base: settings that all have in common, as `ltm_pyro.recipe` gives them; the recipe `tiny` if None.
        variants: by name, what each changes in the base, its prior first of all; or classes of priors, with their
            arguments at their defaults; all of ours with an exact density if None. The first is what the others are
            compared with.
        seeds, out, seconds, resume: as for `PriorComparison`.

    Returns:
        What was compared: `to_records()`, `summaries()`, `table()`.

    Raises:
        InputError: as `PriorComparison`.
    """
    chosen = variants is not None
    named = as_variants("prior", default_priors() if variants is None else variants)
    base = recipe() if base is None else base
    comparison = PriorComparison(base, named, seeds=seeds, out=out, seconds=seconds, resume=resume, check_models=chosen)
    try:
        comparison.carry_out()
    finally:
        comparison.finish()
    return comparison


class PriorComparison:
    """`out/`: the runs under `runs/`, settings.json, results.json, table.md, records.csv, samples.md, figures/.

    Args:
        base: settings that all have in common.
        variants: what each changes in them; the first is what the others are compared with.
        seeds: of weights, order and noise; the split is that of the first, or of `data.seed`.
        out: the comparison's folder; comparisons/priors-CORPUS if None.
        seconds: train each for so long, as a few timed steps foretell, instead of for `train.steps`.
        resume: go on with what `out` holds, be it interrupted, or with further priors or seeds.
        check_models: refuse what cannot be built before anything is trained; else its record will say why it failed.
        command: how this was asked for, to be kept.

    Raises:
        InputError: for settings that make no sense, or an `out` that exists, or is another comparison's.
    """

    def __init__(
        self,
        base: Mapping[str, Any],
        variants: Sequence[Variant],
        *,
        seeds: Sequence[int] = (0,),
        out: Path | str | None = None,
        seconds: float | None = None,
        resume: bool = False,
        check_models: bool = True,
        command: Sequence[str] = (),
    ) -> None:
        check_sizes(seeds, seconds)
        self.seeds, self.seconds = list(seeds), seconds
        self.variants = list(variants)
        self.configs = {variant.name: self._completed(base, variant) for variant in self.variants}
        first = self.configs[self.variants[0].name]
        self.split_seed = first.data.seed if first.data.seed is not None else seeds[0]
        self._check_models(check_models)
        path = Path(out or f"comparisons/priors-{corpus_name(first.get('corpus'))}")
        self.pieces: dict[str, list[dict[str, Any]]] = {}
        self.folder = self._opened(path, as_dict(complete(base)), resume, command)

    def carry_out(self) -> None:
        """Train and evaluate every run that is not done yet.

        Raises:
            SystemExit: after a signal that interrupted a training, with all that was done saved.
        """
        todo = [(variant, seed) for seed in self.seeds for variant in self.variants]
        for place, (variant, seed) in enumerate(todo, 1):
            if [r["status"] for r in self.pieces.get(run_key(variant.name, seed), [])] != ["done"]:
                material = self.material
                say(f"\n[{place}/{len(todo)}] {variant}, seed {seed}")
                self._run(variant, seed, material)
                self.folder.keep(self.pieces)

    def to_records(self) -> list[dict[str, Any]]:
        """A flat record of every run that has ended."""
        return run_records(self.pieces, [variant.name for variant in self.variants], self.seeds)

    def summaries(self) -> list[dict[str, Any]]:
        """A flat record of every prior that has a run, means over seeds."""
        return summaries(self.pieces, [variant.name for variant in self.variants], self.seeds)

    def finish(self) -> str:
        """Write tables, texts and figures of what there is; returns the table, nothing if nothing has ended."""
        from ltm_pyro.studies.priors.figures import draw
        from ltm_pyro.tables import to_csv

        records, rows, table = self.to_records(), self.summaries(), self.table()
        if not records:
            return ""
        self.folder.write("table.md", table + "\n")
        self.folder.write("records.csv", to_csv(records))
        self.folder.write("samples.md", samples_side_by_side(records, self.folder.path))
        self.folder.keep({**self.pieces, "summary": rows})
        curves = [point for record in records for point in self.pieces.get(_key(record, "curve"), [])]
        with self.folder.noted("figures"):
            draw(rows, records, curves, self.folder.path / "figures")
        return table

    def _run(self, variant: Variant, seed: int, material: Material) -> None:
        """Train and evaluate one, and note what came of it."""
        key, folder = run_key(variant.name, seed), Path("runs") / f"{variant.folder}-seed-{seed}"
        about = {"prior": variant.name, "seed": seed, "run": folder.as_posix()}
        try:
            run = trials.train_run(self.folder.path / folder, self._config(variant.name, seed, material), material)
            record, sequences = trials.evaluate_run(run, material)
        except (ValueError, RuntimeError) as error:  # InputError and DivergedError are such
            say(f"{variant}, seed {seed} has failed: {error}")
            self.pieces[key] = [{**about, "status": "failed", "reason": str(error)}]
            return
        self.pieces[f"{key} sequences"] = sequences
        self.pieces[f"{key} curve"] = [{"prior": variant.name, "seed": seed, **point} for point in trials.curve(run)]
        self.pieces[key] = [{**about, "status": "done", "reason": "", **record}]

    def _config(self, name: str, seed: int, material: Material) -> Namespace:
        """What `ltm train` is told for one run."""
        config = self.configs[name].clone()
        config.train.seed, config.data.seed = seed, self.split_seed
        if self.seconds is not None:
            config.train.steps = self._steps(name, config, material)
        return config

    def _steps(self, name: str, config: Namespace, material: Material) -> int:
        """How many fit into the seconds: timed once for each prior, and kept."""
        key = f"{name} steps"
        if key not in self.pieces:
            steps, one = step_time.steps_within(self.seconds or 0.0, config, material)
            self.pieces[key] = [{"steps": steps, "seconds_per_step": one}]
            self.folder.keep(self.pieces)
            say(f"{one:.3g} seconds a step: {steps:,} steps")
        return int(self.pieces[key][0]["steps"])

    @cached_property
    def material(self) -> Material:
        """One tokenizer and one split for all."""
        from ltm_pyro.training.material import prepare

        config = self.configs[self.variants[0].name].clone()
        config.train.seed = config.data.seed = self.split_seed
        say("Reading the corpus ...")
        material = prepare(config)
        trials.refuse_other_text(self.folder.path, material)
        return material

    def table(self) -> str:
        """What has ended, as Markdown; nothing if nothing has."""
        records = self.to_records()
        return markdown(self.summaries(), records, self.variants[0].name, self._budget()) if records else ""

    def _completed(self, base: Mapping[str, Any], variant: Variant) -> Namespace:
        try:
            return complete(merged(base, variant.change))
        except InputError as error:
            raise InputError(f"--priors {variant}: {error}") from error

    def _check_models(self, build: bool) -> None:
        """Refuse what has no prior to compare; what cannot be built too, if that is asked for."""
        from ltm_pyro.training.blueprint import check
        from ltm_pyro.training.run import run_parser

        for name, config in self.configs.items():
            if config.model != "latent-thought":
                raise InputError(f"--model {config.model} has no thoughts, and so no prior: leave it out")
            if build:
                try:
                    if not check(run_parser(config), config).guide.has_density:
                        raise InputError(
                            "its guide has no density, so that there is no ELBO to compare: choose another --guide"
                        )
                except InputError as error:
                    raise InputError(f"--priors {name}: {error}") from error

    def _opened(self, path: Path, base: Settings, resume: bool, command: Sequence[str]) -> ComparisonFolder:
        """The folder: a new one, or the same comparison's."""
        if path.exists() and not resume:
            what = "is a comparison: go on with it by --resume" if (path / SETTINGS).exists() else "exists"
            raise InputError(f"{path} {what}, or choose another --out")
        settings = {
            "base": without(base, "prior", "train.seed"),
            "seconds": self.seconds,
            "split_seed": self.split_seed,
        }
        folder = ComparisonFolder(path, settings)
        if resume:
            self.pieces = {name: piece for name, piece in folder.done().items() if name != "summary"}
        variants = folder.with_variants({variant.name: variant.change for variant in self.variants})
        about = {"command": list(command), "versions": versions(), "settings": folder.settings, "variants": variants}
        folder.write(SETTINGS, json.dumps({**about, "seeds": self.seeds, "commit": commit()}, indent=2) + "\n")
        folder.keep(self.pieces)
        folder.insist()
        return folder

    def _budget(self) -> list[str]:
        if self.seconds is None:
            return [f"Equal tokens: {self.configs[self.variants[0].name].train.steps:,} steps each."]
        return [f"Equal seconds: {self.seconds:g} each, in as many steps as a few timed ones promised to fit."]


def check_sizes(seeds: Sequence[int], seconds: float | None) -> None:
    """Raises InputError for seeds or seconds that make no sense."""
    if not seeds or len(set(seeds)) < len(seeds) or any(not 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))}: expected different whole numbers from 0 to 2³² - 1")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds}: expected a positive number")


def _key(record: dict[str, Any], piece: str) -> str:
    return f"{run_key(record['prior'], record['seed'])} {piece}"
