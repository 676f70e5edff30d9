"""Cost of a pretrained decoder, against transformers' own forward pass, training step and memory.

Scoring is compared at equal precision, on the same tokens; a fast step, which moves q alone, with a training step on
all weights; and the peak memory of a fast step, beyond the loaded model, with that of a gradient of the inputs by
transformers' own loss, each in a process of its own. Without --name the model is SmolLM2, of `make models`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import torch

from benchmarks.pretrained.contestants import FastStep, FullStep, Scoring, decoder_of, model_of
from benchmarks.pretrained.memory import RECOMPUTED, THEIRS, peak_of
from benchmarks.pretrained.tiny import save_tiny_model
from benchmarks.pretrained.wheels import smollm2
from benchmarks.timing.measures import Measure, quotients, rate
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.resident import Peak
from benchmarks.timing.rounds import Seconds, alternate
from ltm_pyro.models.decoder.pretrained.decoder import ARGUMENT, Precision
from ltm_pyro.pretrained import PretrainedSource, find_source
from ltm_pyro.pretrained.loading import read_config

Clock = Callable[[], float]
PARTS = ("scoring", "step", "memory")
FAST, FULL = "fast step", "training step of transformers"
SIZES = {"batch": 4, "length": 128, "memory_batch": 8, "memory_length": 256}
QUICK = {"batch": 2, "length": 16, "memory_batch": 2, "memory_length": 64}


def scoring(name: str, x: torch.Tensor, rounds: int, clock: Clock) -> tuple[Seconds, list[Measure]]:
    """Seconds of scoring by both, at each precision."""
    seconds: Seconds = {}
    measures = []
    for dtype in get_args(Precision):
        both = Scoring(name, x, dtype)
        ours, theirs = f"scoring, {dtype}, ours", f"scoring, {dtype}, transformers"
        seconds |= alternate({ours: both.ours, theirs: both.theirs}, rounds, clock=clock)
        ratios = quotients(seconds[ours], seconds[theirs])
        measures.append(Measure(f"scoring, {dtype}: ours / transformers", ratios, 1.05, least=False))
    return seconds, measures


def steps(name: str, x: torch.Tensor, rounds: int, clock: Clock) -> tuple[Seconds, list[Measure]]:
    """Seconds of a fast step, also with layers that are computed again, and of a training step on all weights."""
    fast = {
        label.replace("ours", FAST): FastStep(decoder_of(name, "prefix", x.shape[1], recompute=parts), x)
        for label, parts in RECOMPUTED.items()
    }
    seconds = alternate({**fast, FULL: FullStep(model_of(name), x)}, rounds, clock=clock)
    targets = {FAST: 0.75}
    return seconds, [
        Measure(f"{label} / {FULL}", quotients(seconds[label], seconds[FULL]), targets.get(label), least=False)
        for label in fast
    ]


def memory(name: str, rounds: int, **process: int) -> tuple[dict[str, list[Peak]], list[Measure]]:
    """Peak memory of a fast step and of transformers' gradient of the inputs, beyond the loaded model."""
    contestants = (THEIRS, *RECOMPUTED)
    peaks = {contestant: [peak_of(contestant, name, **process) for _ in range(rounds)] for contestant in contestants}
    bytes_ = {contestant: [peak.step for peak in column] for contestant, column in peaks.items()}
    measures = [
        Measure(f"memory: {ours} / transformers", quotients(bytes_[ours], bytes_[THEIRS]), 0.5, least=False)
        for ours in RECOMPUTED
    ]
    sizes = [Measure(f"memory, {name}", tuple(n / 1e6 for n in column), unit="MB") for name, column in bytes_.items()]
    return peaks, measures + sizes


@contextmanager
def model_name(options: argparse.Namespace) -> Iterator[str]:
    """Context manager with the model's name: the one that is given, a tiny one with --quick, or SmolLM2."""
    if options.name or not options.quick:
        yield options.name or str(smollm2())
        return
    with tempfile.TemporaryDirectory() as folder:
        yield str(save_tiny_model(Path(folder) / "tiny"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `pretrained.json` and `pretrained.png`."""
    parser = parser_for("pretrained", __doc__, rounds=3)
    parser.add_argument("--name", help="a folder, a .gguf file, or a name on the Hugging Face hub; default SmolLM2")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--cpu_time", action="store_true", help="seconds of the process on its cores")
    for size, value in SIZES.items():
        parser.add_argument(f"--{size}", type=int, metavar="N", help=f"default {value}")
    options = parser.parse_args(arguments)
    prepare(options)
    defaults = QUICK if options.quick else SIZES
    asked = {size: getattr(options, size) for size in SIZES if getattr(options, size) is not None}
    with model_name(options) as name:
        _measure(options, find_source(name), defaults | asked, arguments_of(arguments))


def _measure(options: argparse.Namespace, source: PretrainedSource, sizes: dict[str, int], words: list[str]) -> None:
    vocabulary = read_config(source, ARGUMENT).get_text_config().vocab_size
    x = torch.randint(vocabulary, (sizes["batch"], sizes["length"]))
    clock = time.process_time if options.cpu_time else time.perf_counter
    seconds: Seconds = {}
    peaks: dict[str, list[Peak]] = {}
    measures = []
    for part, run in (("scoring", scoring), ("step", steps)):
        if part in options.parts:
            times, ratios = run(source.name, x, options.rounds, clock)
            seconds |= times
            measures += [*ratios, *(rate(name, x.numel(), column) for name, column in times.items())]
    if "memory" in options.parts:
        process = {"batch": sizes["memory_batch"], "length": sizes["memory_length"]}
        process |= {"threads": torch.get_num_threads(), "seed": options.seed}
        peaks, found = memory(source.name, options.rounds, **process)
        measures += found
    report(measures)
    record = {"options": given(options), "sizes": {**sizes, "vocabulary": vocabulary}, "seconds": seconds}
    record["model"] = {"name": Path(source.name).name, "sha256": source.sha256}
    record["peaks"] = {name: [peak._asdict() for peak in column] for name, column in peaks.items()}
    save(options.out, "pretrained", words, measures, record)


if __name__ == "__main__":
    main()
