"""Tokens a second of training, beside a plain loop, the leanest loop by hand, and the machine's peak.

(a) is a straightforward loop in plain PyTorch, (b) the leanest one by hand on the same decoder, (c) the products of
matrices alone, at the rate at which this machine multiplies large ones. All do the same mathematics.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from benchmarks.reference.decoder import PlainDecoder
from benchmarks.reference.loop import PlainLoop
from benchmarks.timing.measures import Measure, rate, times_as_fast
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.peak import LargeProduct
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.rounds import Seconds, alternate
from benchmarks.timing.sizes import Sizes, add_sizes, sizes_from
from benchmarks.training.lean import LeanLoop
from benchmarks.training.products import flops_of_step
from ltm_pyro import ELBO, Decoder, DualRateSVI, FastLoop, GaussianPrior, LatentThoughtModel, MeanFieldGuide, SlowStep

PLAIN, LEAN, OURS, COMPILED, PEAK = "(a) plain", "(b) lean", "ours", "ours, compiled", "a large product"


def ours(decoder: Decoder, steps: int) -> DualRateSVI:
    """The loop as a user makes it."""
    model = LatentThoughtModel(GaussianPrior(decoder.z_shape), decoder).to(decoder.embedding.weight)
    return DualRateSVI(model, MeanFieldGuide(decoder.z_shape), FastLoop(ELBO(), steps), SlowStep(ELBO()))


def loops(sizes: Sizes, compiled: bool = False) -> dict[str, Any]:
    """The loops, on copies of one decoder."""
    decoder = sizes.decoder()
    made: dict[str, Any] = {
        PLAIN: PlainLoop(PlainDecoder(decoder), sizes.fast_steps),
        LEAN: LeanLoop(deepcopy(decoder), sizes.fast_steps),
        OURS: ours(deepcopy(decoder), sizes.fast_steps),
    }
    if compiled:
        other = deepcopy(decoder)
        other.compile_passes()
        made[COMPILED] = ours(other, sizes.fast_steps)
    return made


def contestants(sizes: Sizes, compiled: bool = False) -> dict[str, Callable[[], Any]]:
    """A training step of each, on the same texts."""
    made, x = loops(sizes, compiled), sizes.texts()
    return {name: partial(loop.step, x) for name, loop in made.items()}


def of_batches(sizes: Sizes, sequences: Sequence[int]) -> dict[str, Callable[[], Any]]:
    """A training step, and its fast loop alone, of each loop at each number of sequences."""
    runs: dict[str, Callable[[], Any]] = {}
    for count in sequences:
        here = sizes._replace(batch=count)
        x = here.texts()
        for name, loop in loops(here).items():
            runs[f"{name}, {count}"] = partial(loop.step, x)
            runs[f"{name}, {count}, fast loop"] = partial(loop.fit, x)
    return runs


def measures_of_batches(seconds: Seconds, sequences: Sequence[int]) -> list[Measure]:
    """Of ours against the others at each number of sequences; twice as fast as a plain loop is aimed at."""
    found = []
    for count in sequences:
        for part, target in (("", 2.0), (", fast loop", None)):
            mine = seconds[f"{OURS}, {count}{part}"]
            plain, lean = (seconds[f"{name}, {count}{part}"] for name in (PLAIN, LEAN))
            found.append(times_as_fast(f"ours / (a), {count}{part}", plain, mine, target))
            found.append(times_as_fast(f"ours / (b), {count}{part}", lean, mine))
    return found


def measures(seconds: Seconds, sizes: Sizes, peak_flops: float) -> list[Measure]:
    """Of ours against the others, and of the share of the peak."""
    ideal = [flops_of_step(sizes) / peak_flops * second for second in seconds[PEAK]]
    found = [times_as_fast("ours / (a)", seconds[PLAIN], seconds[OURS], 1.9)]
    found += [times_as_fast("ours / (b)", seconds[LEAN], seconds[OURS], 0.97)]
    found += [times_as_fast("share of peak", ideal, seconds[OURS])]
    if COMPILED in seconds:
        found += [times_as_fast("compiled / (a)", seconds[PLAIN], seconds[COMPILED], 2.5)]
        found += [times_as_fast("compiled / ours", seconds[OURS], seconds[COMPILED])]
        found += [times_as_fast("share of peak, compiled", ideal, seconds[COMPILED], 0.5)]
    quickest = {name: [min(column)] for name, column in seconds.items()}  # other work only ever takes time away
    for name, mine, other in (
        ("ours / (a)", OURS, PLAIN),
        ("ours / (b)", OURS, LEAN),
        ("compiled / (a)", COMPILED, PLAIN),
    ):
        if mine in quickest:
            found += [times_as_fast(f"{name}, quickest rounds", quickest[other], quickest[mine])]
    return found


def rates(seconds: Seconds, sizes: Sizes, peak_flops: float) -> list[Measure]:
    """Tokens a second of each, and the peak."""
    found = [rate(name, sizes.tokens, times) for name, times in seconds.items() if name != PEAK]
    return [*found, rate("peak", peak_flops / 1e9, seconds[PEAK], "GFLOP/s")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `training.json` and `training.png`, or `batches.json`."""
    parser = parser_for("training", __doc__)
    parser.add_argument("--compile", action="store_true", help="compiled passes too, on which the first round waits")
    parser.add_argument("--sequences", type=int, nargs="+", metavar="N", help="a table of these batch sizes instead")
    parser.add_argument("--cpu_time", action="store_true", help="with --sequences: seconds of the process on its cores")
    add_sizes(parser)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options)
    if options.sequences:
        _compare_batches(options, sizes, arguments_of(arguments))
        return
    peak = LargeProduct(64 if options.quick else 1536)
    runs = contestants(sizes, options.compile)
    runs[PEAK] = peak
    seconds = alternate(runs, options.rounds, warmup=1 if options.quick else 2)
    found, tokens = measures(seconds, sizes, peak.flops), rates(seconds, sizes, peak.flops)
    report([*tokens, *found])
    record = {"options": given(options), "sizes": sizes._asdict(), "seconds": seconds}
    save(options.out, "training", arguments_of(arguments), [*found, *tokens], record)


def _compare_batches(options: argparse.Namespace, sizes: Sizes, arguments: Sequence[str]) -> None:
    """Write `batches.json`."""
    clock = time.process_time if options.cpu_time else time.perf_counter
    seconds = alternate(of_batches(sizes, options.sequences), options.rounds, clock=clock)
    found = measures_of_batches(seconds, options.sequences)
    report(found)
    record = {"options": given(options), "sizes": sizes._asdict(), "seconds": seconds}
    save(options.out, "training", arguments, found, more=record, stem="batches")


if __name__ == "__main__":
    main()
