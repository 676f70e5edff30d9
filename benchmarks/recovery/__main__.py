"""Held-out log-density of every prior on every known target: `python -m benchmarks.recovery`."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pyro
import torch

from benchmarks.recovery.learning import fitted, log_density
from benchmarks.recovery.students import STUDENTS
from benchmarks.recovery.targets import NUMBERS, TABLES, TARGETS

FOLDER = Path(__file__).parent
HELD_OUT = 10_000  # added to the seed of the training samples


class Cell(NamedTuple):
    """Scores of a prior on a target, in nats; the gap is KL(target || prior), with its standard error."""

    prior: str
    target: str
    scored: str
    exact: float
    exact_error: float
    log_density: float
    gap: float
    error: float


def table(names: Sequence[str], steps: int = 1000, seen: int = 20_000, held: int = 20_000, seed: int = 0) -> list[Cell]:
    """Fit priors to all targets of their kind, and score them on the same held-out samples."""
    cells = []
    for name in names:
        for target in TABLES if STUDENTS[name].make().discrete else NUMBERS:
            pyro.set_rng_seed(seed + HELD_OUT)
            p = TARGETS[target]()
            z = p.sample((held,))
            pyro.set_rng_seed(seed)
            learned = log_density(fitted(STUDENTS[name], p, steps, seen), z)
            cells.append(_cell(name, target, p.log_prob(z), learned))
    return cells


def _cell(name: str, target: str, exact: torch.Tensor, learned: torch.Tensor) -> Cell:
    root, gap = len(exact) ** 0.5, (exact - learned).double()
    target_density, error = exact.double(), gap.std().item() / root
    return Cell(
        name,
        target,
        STUDENTS[name].scored,
        target_density.mean().item(),
        target_density.std().item() / root,
        learned.double().mean().item(),
        gap.mean().item(),
        error,
    )


def markdown(cells: Sequence[Cell]) -> str:
    """Two tables, for continuous and for discrete targets: mean log-density, and in brackets the gap to the target."""
    parts = [[cell for cell in cells if cell.target in part] for part in (NUMBERS, TABLES)]
    return "\n\n".join(_markdown(part) for part in parts if part) + "\n"


def _markdown(cells: Sequence[Cell]) -> str:
    targets = list(dict.fromkeys(cell.target for cell in cells))
    exact = {cell.target: f"{cell.exact:.3f} ± {cell.exact_error:.3f}" for cell in cells}
    rows = [["exact", *(exact[target] for target in targets), "log p(z)"]]
    for name in dict.fromkeys(cell.prior for cell in cells):
        by_target = {cell.target: cell for cell in cells if cell.prior == name}
        row = [by_target[target] for target in targets]
        numbers = [f"{c.log_density:.3f} ({c.gap:.3f} ± {c.error:.3f})" for c in row]
        class_name, *variant = name.split(", ", 1)
        first, *suffix = class_name.split(" ", 1)
        label = ", ".join([" ".join([f"`{first}`", *suffix]), *variant])
        rows.append([label, *numbers, row[0].scored])
    head = ["", *targets, "what is scored"]
    lines = [head, ["---", *["---:"] * len(targets), "---"], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _settings(options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    git = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    commit = subprocess.run(git, cwd=FOLDER, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "command": ["python", "-m", "benchmarks.recovery", *sys.argv[1:]],
        "commit": commit or None,
        "versions": {"torch": torch.__version__, "pyro": pyro.__version__, "zuko": version("zuko")},
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        "settings": {name: value for name, value in vars(options).items() if name != "out"},
        "seconds": round(seconds),
    }


def main() -> None:
    """Write `table.md` and `records.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="steps of Adam for every prior on every target")
    parser.add_argument("--seen", type=int, default=20_000, help="training samples")
    parser.add_argument("--held", type=int, default=20_000, help="held-out samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    began, cells = time.monotonic(), []
    for name in STUDENTS:
        rows = table([name], options.steps, options.seen, options.held, options.seed)
        cells += rows
        for cell in rows:
            print(f"{cell.prior}, {cell.target}: gap {cell.gap:.3f} ± {cell.error:.3f} nats", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "table.md").write_text(markdown(cells), encoding="utf-8")
    records = {**_settings(options, time.monotonic() - began), "records": [cell._asdict() for cell in cells]}
    (options.out / "records.json").write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
