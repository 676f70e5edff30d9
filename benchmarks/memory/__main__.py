"""Peak memory of a training step: of ours against a plain loop's, or of one of the paper's recipes.

Every loop has a process of its own. What counts is the most that it occupied less what it occupied before its first
step; of a recipe, the most.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

import ltm_pyro
from benchmarks.memory.step import LOOPS, peak_of
from benchmarks.timing.measures import Measure, quotients
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.resident import Peak
from benchmarks.timing.sizes import Sizes, add_sizes, sizes_from

RECIPES = Path(ltm_pyro.__file__).parent / "recipes"
USUAL = Sizes(vocabulary=32768)
MOST = 24.0  # GB, of a card that a step of the large recipe is to fit
Peaks = dict[str, list[Peak]]


def recipe(name: str) -> Sizes:
    """The sizes of one of the library's recipes."""
    told = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))
    decoder = {key: told["decoder"][key] for key in ("width", "layers", "heads", "thoughts", "window")}
    data = {"vocabulary": told["data"]["vocabulary"], "length": told["data"]["length"]}
    return Sizes(**decoder, **data, batch=told["train"]["batch_size"], fast_steps=told["fast"]["steps"])


def against_plain(sizes: Sizes, rounds: int, **process: int) -> tuple[Peaks, list[Measure]]:
    """Peak memory of our steps, as a share of the plain loop's."""
    peaks: Peaks = {loop: [] for loop in LOOPS}
    for _ in range(rounds):
        for loop, column in peaks.items():
            column.append(peak_of(loop, sizes, **process))
    took = {loop: [peak.step for peak in column] for loop, column in peaks.items()}
    found = [Measure("ours / (a)", quotients(took["ours"], took["plain"]), 1 / 3, least=False)]
    found += [Measure("recomputing / (a)", quotients(took["recompute"], took["plain"]))]
    found += [Measure(f"{loop}, step", tuple(n / 1e6 for n in column), unit="MB") for loop, column in took.items()]
    return peaks, found


def of_recipe(sizes: Sizes, batches: Sequence[int], rounds: int, **process: int) -> tuple[Peaks, list[Measure]]:
    """The most that a process occupies, for each batch size."""
    peaks: Peaks = {}
    found = []
    for batch in batches:
        for loop in LOOPS[1:]:
            name = f"{loop}, batch {batch}"
            peaks[name] = [peak_of(loop, sizes._replace(batch=batch), **process) for _ in range(rounds)]
            most = tuple(peak.most / 1e9 for peak in peaks[name])
            found.append(Measure(name, most, MOST, least=False, unit="GB"))
            report(found[-1:])
    return peaks, found


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `memory.json` and `memory.png`."""
    parser = parser_for("memory", __doc__, rounds=3)
    parser.add_argument("--recipe", choices=sorted(path.stem for path in RECIPES.glob("*.yaml")))
    parser.add_argument("--batches", type=int, nargs="+", metavar="N", default=[1], help="of a recipe; default 1")
    parser.add_argument("--steps", type=int, default=2, help="training steps in each process")
    add_sizes(parser, USUAL)
    options = parser.parse_args(arguments)
    if (options.recipe or options.quick) and options.rounds is None:
        options.rounds = 1
    prepare(options)
    usual = recipe(options.recipe) if options.recipe else USUAL
    sizes = sizes_from(options, usual)
    process: dict[str, Any] = {"steps": options.steps, "threads": torch.get_num_threads(), "seed": options.seed}
    if options.recipe:
        peaks, found = of_recipe(sizes, options.batches, options.rounds, **process)
    else:
        peaks, found = against_plain(sizes, options.rounds, **process)
        report(found)
    record = {"options": given(options), "sizes": sizes._asdict()}
    record["peaks"] = {name: [peak._asdict() for peak in column] for name, column in peaks.items()}
    save(options.out, "memory", arguments_of(arguments), found, record)


if __name__ == "__main__":
    main()
