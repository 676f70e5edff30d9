"""`ltm compare priors`: each prior trained anew, at one budget and on one split of a corpus, and evaluated."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ltm_pyro.cli import prior_runs, step_time
from ltm_pyro.cli.arguments import corpus_name
from ltm_pyro.cli.comparison_folder import RESULTS, SETTINGS, ComparisonFolder, commit, versions
from ltm_pyro.cli.default_classes import default_priors
from ltm_pyro.cli.named_classes import NamedClass, parse_all
from ltm_pyro.cli.results_of_priors import run_key, run_records, summaries
from ltm_pyro.cli.session import say
from ltm_pyro.cli.table_of_priors import markdown, samples_side_by_side
from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from argparse import Namespace as Options

    from jsonargparse import Namespace

    from ltm_pyro.training.material import Material

INSTEAD = {
    "--prior": "name the priors by --priors",
    "--run": "every run has a folder of its own in that of --out",
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
}
USAGE = (
    "ltm compare priors [CORPUS] [--priors PRIOR ...] [--seeds SEED ...] [--out FOLDER] [--seconds N] [--resume] "
    "[ARGUMENT OF ltm train ...]"
)
EXAMPLE = """for example:
  ltm compare priors --priors GaussianPrior "MixturePrior(components=4)" --train.steps 200
  ltm compare priors --priors "CodebookPrior(codes=16) --guide StraightThroughGuide" GaussianPrior"""


def main(words: Sequence[str]) -> int:
    """Compare; returns the exit code: 0 if any prior has its numbers."""
    options, arguments = _read(words)
    comparison = PriorComparison(
        options.priors,
        arguments,
        seeds=options.seeds,
        out=options.out,
        seconds=options.seconds,
        resume=options.resume,
        command=["ltm", "compare", "priors", *words],
    )
    try:
        comparison.carry_out()
    finally:
        table = comparison.finish()
        if table:
            sys.stdout.write(table + "\n")
            comparison.folder.refuse_unwritten()
            say(f"\nAll of it is in {comparison.folder.path}: table.md, records.csv, {RESULTS}, samples.md, figures/")
    return 0 if any(record["status"] == "done" for record in comparison.records()) else 1


def compare_priors(
    priors: Sequence[str] | None = None,
    arguments: Sequence[str] = (),
    *,
    seeds: Sequence[int] = (0,),
    out: Path | str | None = None,
    seconds: float | None = None,
    resume: bool = False,
) -> list[dict[str, Any]]:
    """Train and evaluate a model with each prior; returns one flat record a run. The arguments are those of
    `PriorComparison`; it tells its progress on standard error."""
    comparison = PriorComparison(priors, arguments, seeds=seeds, out=out, seconds=seconds, resume=resume)
    try:
        comparison.carry_out()
    finally:
        comparison.finish()
    return comparison.records()


class PriorComparison:
    """`out/`: the runs under `runs/`, settings.json, results.json, table.md, records.csv, samples.md, figures/.

    Args:
        priors: as `parse_named` reads them, the first of which the others are compared with; all of ours with an
            exact density if None.
        arguments: words of `ltm train`: corpus, recipe, sizes, ...; the same for every prior.
        seeds: of weights, order and noise; the split is that of the first, or of --data.seed.
        out: the comparison's folder; comparisons/priors-CORPUS if None.
        seconds: train each for so long, as a few timed steps foretell, instead of for train.steps.
        resume: go on with what `out` holds, be it interrupted, or with further priors or seeds.
        command: how this was asked for, to be kept.

    Raises:
        InputError: for words that make no sense, or an `out` that exists, or is another comparison's.
    """

    def __init__(
        self,
        priors: Sequence[str] | None = None,
        arguments: Sequence[str] = (),
        *,
        seeds: Sequence[int] = (0,),
        out: Path | str | None = None,
        seconds: float | None = None,
        resume: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        _check(arguments, seeds, seconds)
        self.arguments, self.seeds, self.seconds = list(arguments), list(seeds), seconds
        self.names = parse_all("prior", default_priors() if priors is None else priors)
        for name in self.names:
            _check(name.further, seeds, seconds)
        self.configs = {name: prior_runs.configured([*arguments, *name.words]) for name in self.names}
        first = self.configs[self.names[0]]
        self.split_seed = first.data.seed if first.data.seed is not None else seeds[0]
        self._check_models(chosen=priors is not None)
        path = Path(out or f"comparisons/priors-{corpus_name(first.get('corpus'))}")
        self.pieces: dict[str, list[dict[str, Any]]] = {}
        self.folder = self._opened(path, resume, command)

    def carry_out(self) -> None:
        """Train and evaluate every run that is not done yet.

        Raises:
            SystemExit: after a signal that interrupted a training, with all that was done saved.
        """
        todo = [(name, seed) for seed in self.seeds for name in self.names]
        for place, (name, seed) in enumerate(todo, 1):
            if [r["status"] for r in self.pieces.get(run_key(str(name), seed), [])] != ["done"]:
                material = self.material
                say(f"\n[{place}/{len(todo)}] {name}, seed {seed}")
                self._run(name, seed, material)
                self.folder.keep(self.pieces)

    def records(self) -> list[dict[str, Any]]:
        """A flat record of every run that has ended."""
        return run_records(self.pieces, [str(name) for name in self.names], self.seeds)

    def summaries(self) -> list[dict[str, Any]]:
        """A flat record of every prior that has a run, means over seeds."""
        return summaries(self.pieces, [str(name) for name in self.names], self.seeds)

    def finish(self) -> str:
        """Write tables, texts and figures of what there is; returns the table, nothing if nothing has ended."""
        from ltm_pyro.cli.figures_of_priors import draw
        from ltm_pyro.evaluation.cells import to_csv

        records, rows = self.records(), self.summaries()
        if not records:
            return ""
        table = markdown(rows, records, str(self.names[0]), self._budget())
        self.folder.write("table.md", table + "\n")
        self.folder.write("records.csv", to_csv(records))
        self.folder.write("samples.md", samples_side_by_side(records, self.folder.path))
        self.folder.keep({**self.pieces, "summary": rows})
        curves = [point for record in records for point in self.pieces.get(_key(record, "curve"), [])]
        with self.folder.noted("figures"):
            draw(rows, records, curves, self.folder.path / "figures")
        return table

    def _run(self, name: NamedClass, seed: int, material: Material) -> None:
        """Train and evaluate one, and note what came of it."""
        key, folder = run_key(str(name), seed), Path("runs") / f"{name.folder}-seed-{seed}"
        about = {"prior": str(name), "seed": seed, "run": folder.as_posix()}
        try:
            run = prior_runs.train_run(self.folder.path / folder, self._config(name, seed, material), material)
            record, sequences = prior_runs.evaluate_run(run, material)
        except (ValueError, RuntimeError) as error:  # InputError and DivergedError are such
            say(f"{name}, seed {seed} has failed: {error}")
            self.pieces[key] = [{**about, "status": "failed", "reason": str(error)}]
            return
        self.pieces[f"{key} sequences"] = sequences
        self.pieces[f"{key} curve"] = [{"prior": str(name), "seed": seed, **point} for point in prior_runs.curve(run)]
        self.pieces[key] = [{**about, "status": "done", "reason": "", **record}]

    def _config(self, name: NamedClass, seed: int, material: Material) -> Namespace:
        """What `ltm train` is told for one run."""
        config = self.configs[name].clone()
        config.train.seed, config.data.seed = seed, self.split_seed
        if self.seconds is not None:
            config.train.steps = self._steps(name, config, material)
        return config

    def _steps(self, name: NamedClass, config: Namespace, material: Material) -> int:
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

        config = self.configs[self.names[0]].clone()
        config.train.seed = config.data.seed = self.split_seed
        say("Reading the corpus ...")
        material = prepare(config)
        prior_runs.refuse_other_text(self.folder.path, material)
        return material

    def _check_models(self, chosen: bool) -> None:
        """Refuse what cannot be built; of the priors that nobody has chosen, the run will say why it failed."""
        from ltm_pyro.training.blueprint import check
        from ltm_pyro.training.run import run_parser

        for name, config in self.configs.items():
            if config.model != "latent-thought":
                raise InputError(f"--model {config.model} has no thoughts, and so no prior: leave it out")
            if chosen:
                try:
                    if not check(run_parser(), config).guide.has_density:
                        raise InputError(
                            "its guide has no density, so that there is no ELBO to compare: choose another --guide"
                        )
                except InputError as error:
                    raise InputError(f"--priors {name}: {error}") from error

    def _opened(self, path: Path, resume: bool, command: Sequence[str]) -> ComparisonFolder:
        """The folder: a new one, or the same comparison's."""
        if path.exists() and not resume:
            what = "is a comparison: go on with it by --resume" if (path / SETTINGS).exists() else "exists"
            raise InputError(f"{path} {what}, or choose another --out")
        settings = {"arguments": self.arguments, "seconds": self.seconds, "split_seed": self.split_seed}
        folder = ComparisonFolder(path, settings)
        if resume:
            self.pieces = {name: piece for name, piece in folder.done().items() if name != "summary"}
        asked = {"priors": [str(name) for name in self.names], "seeds": self.seeds, "commit": commit()}
        about = {"command": list(command), "versions": versions(), "settings": folder.settings, **asked}
        folder.write(SETTINGS, json.dumps(about, indent=2) + "\n")
        folder.keep(self.pieces)
        folder.insist()
        return folder

    def _budget(self) -> list[str]:
        if self.seconds is None:
            return [f"Equal tokens: {self.configs[self.names[0]].train.steps:,} steps each."]
        return [f"Equal seconds: {self.seconds:g} each, in as many steps as a few timed ones promised to fit."]


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. `ltm compare priors --help` lists all arguments")


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Our own options, and the words that are for `ltm train`."""
    parser = _Parser(
        prog="ltm compare priors",
        usage=USAGE,
        allow_abbrev=False,
        formatter_class=RawDescriptionHelpFormatter,
        description=__doc__,
        epilog=EXAMPLE,
    )
    parser.add_argument(
        "--priors",
        nargs="+",
        help="classes, by name or import path, with arguments in brackets, and behind them, in the same quotes, the "
        "arguments of ltm train that this prior alone needs; the first is what the others are compared with. "
        f"If left out: {', '.join(default_priors())}",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="a run for each; 0 if left out")
    parser.add_argument("--out", help="the comparison's folder; comparisons/priors-CORPUS if left out")
    parser.add_argument(
        "--seconds", type=float, help="train each for so long, instead of for --train.steps, which is equal tokens"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the comparison in --out; what is done stays")
    return parser.parse_known_args(list(words))


def _check(arguments: Sequence[str], seeds: Sequence[int], seconds: float | None) -> None:
    for name, remedy in INSTEAD.items():
        given = [word for word in arguments if word == name or word.startswith((f"{name}=", f"{name}."))]
        if given:
            raise InputError(f"{given[0]} is not for a comparison: {remedy}")
    if not seeds or len(set(seeds)) < len(seeds) or any(not 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))}: expected different whole numbers from 0 to 2³² - 1")
    if seconds is not None and not 0 < seconds < float("inf"):
        raise InputError(f"--seconds {seconds}: expected a positive number")
    if seconds is not None and any(word.split("=")[0] == "--train.steps" for word in arguments):
        raise InputError("--seconds and --train.steps are two budgets: give one")


def _key(record: dict[str, Any], piece: str) -> str:
    return f"{run_key(record['prior'], record['seed'])} {piece}"
