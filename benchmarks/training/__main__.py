"""Tokens a second of training, beside a plain loop, the leanest loop by hand, and the machine's peak.

(a) is a straightforward loop in plain PyTorch, (b) the leanest one by hand on the same decoder, (c) the products of
matrices alone, at the rate at which this machine multiplies large ones. All do the same mathematics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from benchmarks.reference.decoder import PlainDecoder
from benchmarks.reference.loop import PlainLoop
from benchmarks.timing.figures import CAPTION, bars
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


def contestants(sizes: Sizes, compiled: bool = False) -> dict[str, Callable[[], Any]]:
    """A training step of each, on copies of one decoder and the same texts."""
    decoder, x = sizes.decoder(), sizes.texts()
    loops: dict[str, Any] = {
        PLAIN: PlainLoop(PlainDecoder(decoder), sizes.fast_steps),
        LEAN: LeanLoop(deepcopy(decoder), sizes.fast_steps),
        OURS: ours(deepcopy(decoder), sizes.fast_steps),
    }
    if compiled:
        other = deepcopy(decoder)
        other.compile_passes()
        loops[COMPILED] = ours(other, sizes.fast_steps)
    return {name: partial(loop.step, x) for name, loop in loops.items()}


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
    """Write `training.json` and `training.png`."""
    parser = parser_for("training", __doc__)
    parser.add_argument("--compile", action="store_true", help="compiled passes too, on which the first round waits")
    add_sizes(parser)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options)
    peak = LargeProduct(64 if options.quick else 1536)
    runs = contestants(sizes, options.compile)
    runs[PEAK] = peak
    seconds = alternate(runs, options.rounds, warmup=1 if options.quick else 2)
    found, tokens = measures(seconds, sizes, peak.flops), rates(seconds, sizes, peak.flops)
    report([*tokens, *found])
    panels = [bars(tokens[:-1], "tokens/s"), bars(found, "ratio, or share")]
    record = {"options": given(options), "sizes": sizes._asdict(), "seconds": seconds}
    save(options.out, "training", arguments_of(arguments), [*found, *tokens], panels, CAPTION, record, 2.6)


if __name__ == "__main__":
    main()
