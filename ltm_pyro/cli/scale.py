"""`ltm scale`: a grid of sizes and fast steps, each trained and scored, drawn against T_fast, compute and tokens."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ltm_pyro.cli import cell_process, prior_runs
from ltm_pyro.cli.arguments import corpus_name
from ltm_pyro.cli.cell_runner import CellRunner
from ltm_pyro.cli.comparison_folder import RESULTS, SETTINGS, ComparisonFolder, commit, versions
from ltm_pyro.cli.results_of_scale import Compute, curves, laws, run_records, summaries
from ltm_pyro.cli.scale_grid import AS_TRAINED, HELP, INFERENCE, TRAINED, Cell, read_grid, sizes_of, words_of
from ltm_pyro.cli.session import say
from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST

if TYPE_CHECKING:
    from argparse import Namespace as Options


MODULE = "ltm_pyro.cli.scale_cell"
DRAWS = 1000  # of the bootstrap
VALIDATIONS = 10  # along a run, for its curve
FLOPS: dict[str, Compute] = {"spent": "flops_per_token", "paper": "paper_flops_per_token"}
INSTEAD = {
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
    "--resume": "leave it out: the same command goes on where it was stopped",
    "--out": "the study's folder is --run",
    "--model": "leave it out: T_fast and thoughts are those of a Latent Thought Model",
}
USAGE = (
    "ltm scale [CORPUS] [--grid FILE] [--DIMENSION VALUE ...] [--seeds SEED ...] [--run FOLDER] [--processes N] "
    "[ARGUMENT OF ltm train ...]"
)
EXAMPLE = """for example:
  ltm scale --fast_steps 2 4 8 --thoughts 1 4 --seeds 0 1 --run runs/scale --train.steps 200
  ltm scale stories.jsonl --grid grid.yaml --processes 2 --run runs/scale --data.mode documents
The same command goes on where it was stopped; with further values or seeds it adds to what is there. Started a second
time beside the first, it shares the work."""


def main(words: Sequence[str]) -> int:
    """Carry a study out; returns the exit code: 0 if every run is done."""
    options, arguments = _read(words)
    study = Study(
        read_grid(options.grid, {name: getattr(options, name) for name in HELP}),
        arguments,
        seeds=options.seeds,
        run=options.run,
        processes=options.processes,
        limit=options.limit,
        seed=options.seed,
        compute=FLOPS[options.flops],
        command=["ltm", "scale", *words],
    )
    total = len(study.cells)
    say(f"{total} runs, {len(study.runner.results)} of them done; {options.processes} at once, in {study.folder.path}")
    try:
        study.carry_out()
    finally:
        table = study.finish()
        if table:
            sys.stdout.write(table + "\n")
            study.folder.refuse_unwritten()
            say(f"\nAll of it is in {study.folder.path}: table.md, records.csv, {RESULTS}, {SETTINGS}, figures/")
    return 0 if all(study.is_done(cell) for cell in study.cells) else 1


class Study:
    """`run/`: cells/ and runs/ by model and seed, settings.json, results.json, table.md, records.csv, figures/.

    Args:
        grid: values by dimension, as `read_grid` gives them.
        arguments: words of `ltm train`, the same for every model: corpus, recipe, further sizes, ...
        seeds: of weights, order and noise; the split is one for all.
        run: the study's folder; comparisons/scale-CORPUS if None.
        processes: runs at once, of one thread each.
        limit: held-out texts that each model is scored on; train.final_sequences if None.
        seed: of the noise of all scoring, which is one for all, and of the bootstrap.
        compute: what the laws are of.
        command: how this was asked for, to be kept.

    Raises:
        InputError: for words or sizes that make no sense, or a folder that was begun with others.
    """

    def __init__(
        self,
        grid: dict[str, list[Any]],
        arguments: Sequence[str] = (),
        *,
        seeds: Sequence[int] = (0,),
        run: Path | str | None = None,
        processes: int = 1,
        limit: int | None = None,
        seed: int = 0,
        compute: Compute = "flops_per_token",
        command: Sequence[str] = (),
    ) -> None:
        _check(arguments, grid, seeds=seeds, processes=processes, limit=limit, seed=seed)
        self.grid, self.seeds, self.seed, self.compute = grid, list(seeds), seed, compute
        self.base = prior_runs.configured(arguments)
        from ltm_pyro.inference import TableFit

        self.inference = grid.get(INFERENCE, [self.base.train.evaluate_fast_steps or TableFit().steps])
        self.scoring = {
            "draws": self.base.train.draws,
            "limit": self.base.train.final_sequences if limit is None else limit,
            "seed": seed,
        }
        shared = [*self._defaults(arguments), *arguments]
        self.cells = self._cells(shared)
        plans = {
            cell.key: {"words": list(cell.words), "inference": self.inference, "scoring": self.scoring}
            for cell in self.cells
        }
        path = Path(run or f"comparisons/scale-{corpus_name(self.base.get('corpus'))}")
        self.runner = CellRunner(path, self.cells, plans, MODULE, processes)
        self.folder = ComparisonFolder(path, {})
        about: dict[str, Any] = {"command": list(command), "versions": versions(), "commit": commit(), "grid": grid}
        about |= {"arguments": list(arguments), "seeds": self.seeds, "inference": self.inference}
        about |= {"scoring": self.scoring, "laws": compute, "processes": processes, "threads of each": 1}
        self.folder.write(SETTINGS, json.dumps(about, indent=2) + "\n")
        self.folder.insist()

    def carry_out(self) -> None:
        """Train and score all that is not done; what has ended is written at once.

        Raises:
            InputError: if the corpus cannot be read, or is not what earlier runs were trained on.
            KeyboardInterrupt: once every process has saved and left.
        """
        if all(cell.key in self.runner.results for cell in self.cells):
            return
        from ltm_pyro.training.material import prepare

        say("Reading the corpus ...")
        prior_runs.refuse_other_text(self.folder.path, prepare(prior_runs.configured(self.cells[0].words)))
        self.runner.carry_out(self._tell)

    def is_done(self, cell: Cell) -> bool:
        return self.runner.results.get(cell.key, {}).get("status") == "done"

    def records(self) -> list[dict[str, Any]]:
        """A flat record of every run that has ended, at each T_fast of inference."""
        return run_records(self.cells, self.runner.results, self.inference)

    def summaries(self) -> list[dict[str, Any]]:
        """A flat record of every model at each T_fast of inference, means over seeds."""
        return summaries(self.cells, self.runner.results, self.inference)

    def finish(self, figures: bool = True) -> str:
        """Write table, records and figures of what there is; returns the table, nothing if nothing has ended."""
        from ltm_pyro.cli.figures_of_scale import draw
        from ltm_pyro.cli.table_of_scale import markdown, name_of
        from ltm_pyro.evaluation.cells import to_csv

        records, rows = self.records(), self.summaries()
        if not records:
            return ""
        fitted = laws(self.cells, self.runner.results, self.inference, self.compute, DRAWS, self.seed) if rows else []
        failed = [record for record in records if record["status"] == "failed"]
        table = markdown(rows, fitted, failed, self.compute)
        points = curves(self.cells, self.runner.results, partial(name_of, among=rows))
        told = [{**law, "law": law["law"] and law["law"].to_dict()} for law in fitted]
        content = {"summary": rows, "laws": told, "records": records, "curves": points}
        with self.folder.noted(RESULTS):
            cell_process.write(self.folder.path / RESULTS, content)
        self.folder.write("table.md", table + "\n")
        self.folder.write("records.csv", to_csv(records))
        if figures:
            done = [record for record in records if record["status"] == "done"]
            with self.folder.noted("figures"):
                draw(rows, done, fitted, points, self.compute, self.folder.path / "figures")
        return table

    def _tell(self, key: str) -> None:
        result, ended = self.runner.results[key], len(self.runner.results)
        say(f"[{ended}/{len(self.cells)}] {self.runner.cells[key]}: {_headline(result)}")
        self.finish(figures=False)

    def _defaults(self, arguments: Sequence[str]) -> list[str]:
        """What a study says of its runs, unless the arguments do."""
        every = max(1, self.base.train.steps // VALIDATIONS)
        found = {"train.samples": 0, "train.keep": 1}
        if not any(word.split("=")[0] == "--config" for word in arguments):  # which would come before these
            found |= {"train.evaluate_every": every, "train.save_every": every}
        if self.base.data.seed is None:
            found["data.seed"] = 0
        return [f"--{name}={value}" for name, value in found.items()]

    def _cells(self, shared: Sequence[str]) -> list[Cell]:
        """All of one seed first, so that an early end leaves whole studies of fewer seeds."""
        usual = {name: self._usual(argument) for name, (argument, _) in TRAINED.items()}
        makers = [self._maker(sizes, shared) for sizes in sizes_of(self.grid, usual)]
        return [make(seed) for seed in self.seeds for make in makers]

    def _usual(self, argument: str) -> int:
        group, name = argument.split(".")
        return self.base[group][name]

    def _maker(self, sizes: dict[str, int], shared: Sequence[str]) -> Callable[[int], Cell]:
        from ltm_pyro.training.blueprint import check
        from ltm_pyro.training.run import run_parser

        words = [*shared, *words_of(sizes)]
        try:
            config = prior_runs.configured(words)
            if not check(run_parser(), config).guide.has_density:
                raise InputError("its guide has no density, so that there is no bound to draw: choose another --guide")
        except InputError as error:
            told = ", ".join(f"{name} {sizes[name]}" for name in self.grid if name in sizes)
            raise InputError(f"{told or 'the model'}: {error}") from error
        steps = config.train.steps

        def make(seed: int) -> Cell:
            return Cell(sizes, seed, steps, (*words, f"--train.seed={seed}"))

        return make


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}. `ltm scale --help` lists all arguments")


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Our own options, and the words that are for `ltm train`."""
    parser = _Parser(
        prog="ltm scale",
        usage=USAGE,
        allow_abbrev=False,
        formatter_class=RawDescriptionHelpFormatter,
        description=__doc__,
        epilog=EXAMPLE,
    )
    parser.add_argument("--grid", metavar="FILE", help="YAML: dimensions as below, each with a value or a list of them")
    for name, told in HELP.items():
        kind: Callable[[str], Any] = _steps if name == INFERENCE else int
        parser.add_argument(f"--{name}", nargs="+", type=kind, metavar="N", help=told)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="a run of each model for each; 0 if left out")
    parser.add_argument("--run", metavar="FOLDER", help="the study's folder; comparisons/scale-CORPUS if left out")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, of one thread each")
    parser.add_argument("--limit", type=int, help="held-out texts to score; train.final_sequences if left out")
    parser.add_argument("--seed", type=int, default=0, help="of the noise of all scoring, and of the bootstrap")
    parser.add_argument("--flops", choices=list(FLOPS), default="spent", help="what the laws count")
    return parser.parse_known_args(list(words))


def _steps(text: str) -> int | str:
    return text if text == AS_TRAINED else int(text)


def _check(
    arguments: Sequence[str],
    grid: dict[str, list[Any]],
    *,
    seeds: Sequence[int],
    processes: int,
    limit: int | None,
    seed: int,
) -> None:
    instead = {f"--{TRAINED[name][0]}": f"it is a dimension of this grid, {name}" for name in grid if name in TRAINED}
    for name, remedy in {**INSTEAD, **instead}.items():
        given = [word for word in arguments if word == name or word.startswith(f"{name}=")]
        if given:
            raise InputError(f"{given[0]} is not for a study of scale: {remedy}")
    if not seeds or len(set(seeds)) < len(seeds) or any(not 0 <= seed < 2**32 for seed in seeds):
        raise InputError(f"--seeds {' '.join(map(str, seeds))}: expected different whole numbers from 0 to 2³² - 1")
    for name, value, least in (("processes", processes, 1), ("limit", limit, 2), ("seed", seed, 0)):
        if value is not None and not least <= value <= LARGEST:
            raise InputError(f"--{name} {value}: expected {least} or more, and {LARGEST} or less")


def _headline(result: dict[str, Any]) -> str:
    if result["status"] != "done":
        return f"FAILED: {result['reason']}"
    told = [
        f"T_fast {steps} at inference: ELBO {scored['numbers']['elbo_nats_per_token']:.4f}, importance-weighted "
        f"{scored['numbers']['importance_weighted_nats_per_token']:.4f}"
        for steps, scored in result["scored"].items()
    ]
    return f"{'; '.join(told)}; {result['cpu_seconds']:.0f} s"
