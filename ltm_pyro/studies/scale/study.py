"""A grid of sizes and fast steps, each trained and scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ltm_pyro.errors import InputError
from ltm_pyro.ranges import LARGEST
from ltm_pyro.runs import trials
from ltm_pyro.runs.config import Settings, as_dict, complete, merged, value_of
from ltm_pyro.runs.console import say
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.runs.results_folder import RESULTS, SETTINGS, ComparisonFolder, commit, versions
from ltm_pyro.studies import process
from ltm_pyro.studies.runner import CellRunner
from ltm_pyro.studies.scale.grid import INFERENCE, TRAINED, Cell, change_of, sizes_of
from ltm_pyro.studies.scale.records import Compute, curves, laws, run_records, summaries
from ltm_pyro.training.decoder_arguments import decoder_path, is_flat

MODULE = "ltm_pyro.studies.scale.job"


DRAWS = 1000  # of the bootstrap


VALIDATIONS = 10  # along a run, for its curve


def defaults(steps: int) -> Settings:
    """What the runs of a study of so many slow steps are told unless the base says otherwise."""
    every = max(1, steps // VALIDATIONS)
    return {
        "data": {"seed": 0},
        "train": {"samples": 0, "keep": 1, "evaluate_every": every, "save_every": every},
    }


class Study:
    """`run/`: cells/ and runs/ by model and seed, settings.json, results.json, table.md, records.csv, figures/.

    Args:
        grid: values by dimension, as `read_grid` gives them.
        base: settings that all models have in common: corpus, recipe, further sizes, ...
        seeds: of weights, order and noise; the split is one for all.
        run: the study's folder; comparisons/scale-CORPUS if None.
        processes: runs at once, of one thread each.
        limit: held-out texts that each model is scored on; train.final_sequences if None.
        seed: of the noise of all scoring, which is one for all, and of the bootstrap.
        compute: what the laws are of.
        command: how this was asked for, to be kept.

    Raises:
        InputError: for settings or sizes that make no sense, or a folder that was begun with others.
    """

    def __init__(
        self,
        grid: dict[str, list[Any]],
        base: Mapping[str, Any],
        *,
        seeds: Sequence[int] = (0,),
        run: Path | str | None = None,
        processes: int = 1,
        limit: int | None = None,
        seed: int = 0,
        compute: Compute = "flops_per_token",
        command: Sequence[str] = (),
    ) -> None:
        _check(seeds=seeds, processes=processes, limit=limit, seed=seed)
        self.grid, self.seeds, self.seed, self.compute = grid, list(seeds), seed, compute
        steps = complete(base).train.steps
        self.base = complete(merged(defaults(steps), base))
        self.base.data.seed = self.base.data.seed or 0
        from ltm_pyro.inference import TableFit

        self.inference = grid.get(INFERENCE, [self.base.train.evaluate_fast_steps or TableFit().steps])
        self.scoring = {
            "draws": self.base.train.draws,
            "limit": self.base.train.final_sequences if limit is None else limit,
            "seed": seed,
        }
        self.cells = self._cells()
        measured = {"inference": self.inference, "scoring": self.scoring}
        plans = {cell.key: {"settings": cell.settings, **measured} for cell in self.cells}
        path = Path(run or f"comparisons/scale-{corpus_name(self.base.get('corpus'))}")
        self.runner = CellRunner(path, self.cells, plans, MODULE, processes)
        self.folder = ComparisonFolder(path, {})
        about: dict[str, Any] = {"command": list(command), "versions": versions(), "commit": commit(), "grid": grid}
        about |= {"base": as_dict(self.base), "seeds": self.seeds, "inference": self.inference}
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
        trials.refuse_other_text(self.folder.path, prepare(complete(self.cells[0].settings)))
        self.runner.carry_out(self._tell)

    def is_done(self, cell: Cell) -> bool:
        return self.runner.results.get(cell.key, {}).get("status") == "done"

    def to_records(self) -> list[dict[str, Any]]:
        """A flat record of every run that has ended, at each T_fast of inference."""
        return run_records(self.cells, self.runner.results, self.inference)

    def summaries(self) -> list[dict[str, Any]]:
        """A flat record of every model at each T_fast of inference, means over seeds."""
        return summaries(self.cells, self.runner.results, self.inference)

    def finish(self, figures: bool = True) -> str:
        """Write table, records and figures of what there is; returns the table, nothing if nothing has ended."""
        from ltm_pyro.studies.scale.figures import draw
        from ltm_pyro.studies.scale.table import markdown, name_of
        from ltm_pyro.tables import to_csv

        records, rows = self.to_records(), self.summaries()
        if not records:
            return ""
        fitted = laws(self.cells, self.runner.results, self.inference, self.compute, DRAWS, self.seed) if rows else []
        failed = [record for record in records if record["status"] == "failed"]
        table = markdown(rows, fitted, failed, self.compute)
        points = curves(self.cells, self.runner.results, partial(name_of, among=rows))
        told = [{**law, "law": law["law"] and law["law"].to_dict()} for law in fitted]
        content = {"summary": rows, "laws": told, "records": records, "curves": points}
        with self.folder.noted(RESULTS):
            process.write(self.folder.path / RESULTS, content)
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

    def _cells(self) -> list[Cell]:
        """All of one seed first, so that an early end leaves whole studies of fewer seeds."""
        base = as_dict(self.base)
        if not is_flat(base["decoder"]):
            path = decoder_path(base["decoder"])
            raise InputError(f"--decoder {path}: a study of scale varies the sizes of our Decoder; leave it out")
        usual = {name: value_of(base, argument) for name, (argument, _) in TRAINED.items()}
        models = [(sizes, self._model(base, sizes)) for sizes in sizes_of(self.grid, usual)]
        return [
            Cell(sizes, seed, merged(settings, {"train.seed": seed}))
            for seed in self.seeds
            for sizes, settings in models
        ]

    def _model(self, base: Settings, sizes: dict[str, int]) -> Settings:
        from ltm_pyro.training.blueprint import check
        from ltm_pyro.training.run import run_parser

        try:
            config = complete(merged(base, change_of(sizes)))
            if config.model != "latent-thought":
                raise InputError(f"--model {config.model} has no thoughts and no fast steps: leave it out")
            if not check(run_parser(config), config).guide.has_density:
                raise InputError("its guide has no density, so that there is no bound to draw: choose another --guide")
        except InputError as error:
            told = ", ".join(f"{name} {sizes[name]}" for name in self.grid if name in sizes)
            raise InputError(f"{told or 'the model'}: {error}") from error
        return as_dict(config)


def _check(
    *,
    seeds: Sequence[int],
    processes: int,
    limit: int | None,
    seed: int,
) -> None:
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
