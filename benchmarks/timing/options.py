"""Common options of the speed benchmarks, and the setup of the process."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyro
import torch

from ltm_pyro.allocation import keep_freed_memory

FOLDER = Path(__file__).parents[1]


def parser_for(name: str, description: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """Argument parser with the common options."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to test the benchmark in seconds")
    parser.add_argument("--rounds", type=int, help=f"timed rounds; default {rounds}, 2 with --quick")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch; default: torch's choice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER / name / "results", help="folder for JSON and figure")
    parser.set_defaults(usual_rounds=rounds)
    return parser


def prepare(options: argparse.Namespace) -> None:
    """Set up the process as `ltm` does, the same for all contestants."""
    keep_freed_memory()  # else the cost of freed pages dominates the times, and varies from run to run
    pyro.enable_validation(False)
    pyro.set_rng_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.rounds is None:
        options.rounds = 2 if options.quick else options.usual_rounds
