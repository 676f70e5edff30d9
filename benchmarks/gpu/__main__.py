"""Checks that need a GPU, in less than eight minutes: tests, equality with the CPU, speeds, and memory.

Each part has a process and a share of the time of its own; one that fails says why, and the others go on. On a CPU the
parts say what they skip, and do the rest at small sizes. The exit status is 1 if a part failed or a difference is
outside its tolerance.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu.child import PARTS, PartError, measured
from benchmarks.gpu.finding import Finding, table
from benchmarks.gpu.setting import Setting
from benchmarks.timing.options import FOLDER, parser_for, prepare
from benchmarks.timing.records import arguments_of, given, save
from benchmarks.timing.sizes import Sizes, add_sizes, sizes_from
from ltm_pyro.device import chosen_device, device_named
from ltm_pyro.tables import aligned

SECONDS = {"tests": 90, "equality": 45, "compiled": 140, "bf16": 45, "attention": 60, "memory": 45, "writing": 45}
PATIENCE = {"cuda": 1.0, "cpu": 4.0}  # times its share of the time that a part may take
USUAL = {
    "cuda": Sizes(vocabulary=8192, width=512, layers=3, heads=8, thoughts=4, window=64, length=512, batch=16),
    "cpu": Sizes(vocabulary=1024, width=64, layers=2, thoughts=2, window=16, length=128, batch=4, fast_steps=4),
}


@dataclass
class Outcome:
    """Outcome of a part.

    Attributes:
        finding: empty if it failed.
        seconds: that it took.
        error: why it failed; None if it did not.
    """

    finding: Finding
    seconds: float
    error: str | None

    @property
    def ending(self) -> str:
        if self.error:
            return "failed"
        return "done" if self.finding.measures else "skipped"

    def record(self) -> dict[str, Any]:
        """For JSON, without the measures."""
        return {
            "ending": self.ending,
            "seconds": self.seconds,
            "error": self.error,
            "skipped": self.finding.skipped,
        }


def outcome_of(name: str, setting: Setting, threads: int, patience: float) -> Outcome:
    """Run a part; a difference outside its tolerance is a failure."""
    began = time.perf_counter()
    error, finding = None, Finding()
    try:
        finding = measured(name, setting, threads, SECONDS[name] * patience)
    except PartError as failure:
        error = str(failure)
    if finding.outside:
        error = f"outside the tolerance: {'; '.join(measure.name for measure in finding.outside)}"
    return Outcome(finding, time.perf_counter() - began, error)


def tell(name: str, outcome: Outcome) -> None:
    """Print a part's table, what it skipped, and its error."""
    print(f"\n## {name}: {outcome.ending} after {outcome.seconds:.0f} s\n")
    if outcome.finding.measures:
        print(table(outcome.finding.measures))
    for reason in outcome.finding.skipped:
        print(f"skipped: {reason}")
    if outcome.error:
        print(f"FAILED: {outcome.error}")
    sys.stdout.flush()


def environment(device: torch.device) -> dict[str, Any]:
    """The device, its memory and its software."""
    if device.type != "cuda":
        return {"device": device.type, "name": platform.machine(), "cuda": torch.version.cuda}
    properties = torch.cuda.get_device_properties(device)
    return {
        "device": device.type,
        "name": properties.name,
        "memory_gb": properties.total_memory / 1e9,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
        "bf16": torch.cuda.is_bf16_supported(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `gpu.json`; returns the exit status."""
    parser = parser_for("gpu", __doc__, rounds=5)
    parser.add_argument("--device", help="cpu, cuda, cuda:1; a GPU if there is one, if left out")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--patience", type=float, help="times its share of the time that a part may take; 1, 4 on a CPU"
    )
    add_sizes(parser, USUAL["cuda"])
    parser.set_defaults(out=None)
    options = parser.parse_args(arguments)
    prepare(options)
    device = device_named(options.device) if options.device else chosen_device()
    kind = "cuda" if device.type == "cuda" else "cpu"
    sizes, patience = sizes_from(options, USUAL[kind]), options.patience or PATIENCE[kind]
    setting = Setting(str(device), sizes, options.rounds, options.seed)
    told = environment(device)
    print(", ".join(f"{name} {value}" for name, value in {**told, "torch": torch.__version__}.items()))
    outcomes: dict[str, Outcome] = {}
    for name in options.parts:
        outcomes[name] = outcome_of(name, setting, torch.get_num_threads(), patience)
        tell(name, outcomes[name])
    rows = [[name, part.ending, f"{part.seconds:.0f} s"] for name, part in outcomes.items()]
    print("\n" + "\n".join(aligned([["part", "outcome", "time"], *rows], left=2)))
    measures = [measure for name, part in outcomes.items() for measure in part.finding.named(name)]
    record = {"environment": told, "options": given(options), "sizes": sizes._asdict()}
    record["parts"] = {name: part.record() for name, part in outcomes.items()}
    folder = options.out or FOLDER / "gpu" / "results" / device.type
    print(f"\nsaved: {save(folder, 'gpu', arguments_of(arguments), measures, more=record).name}")
    return int(any(part.error for part in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
