"""Seconds of a training step against T, at a fixed window and number of sequences, and the power of T that they follow.

The plain loop, whose mask is dense, stands beside it with --plain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.reference.decoder import PlainDecoder
from benchmarks.reference.loop import PlainLoop
from benchmarks.timing.measures import Measure
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.rounds import Seconds, alternate
from benchmarks.timing.sizes import Sizes, add_sizes, sizes_from
from benchmarks.training.__main__ import ours
from ltm_pyro.plots.style import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, PLAIN = "ours", "(a) plain"
USUAL = Sizes(batch=1, fast_steps=4)
LENGTHS, TINY = [256, 512, 1024, 2048, 4096], [32, 64, 128]


def exponent(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """The power of T that seconds follow: the slope of their logarithms, by least squares."""
    x, y = [math.log(length) for length in lengths], [math.log(second) for second in seconds]
    middle, height = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - middle) * (b - height) for a, b in zip(x, y, strict=True))
    return above / sum((a - middle) ** 2 for a in x)


def contestants(sizes: Sizes, lengths: Sequence[int], plain: bool) -> dict[str, Callable[[], Any]]:
    """A training step for each length."""
    runs: dict[str, Callable[[], Any]] = {}
    for length in lengths:
        mine = sizes._replace(length=length)
        decoder, x = mine.decoder(), mine.texts()
        loops: dict[str, Any] = {OURS: ours(decoder, mine.fast_steps)}
        if plain:
            loops[PLAIN] = PlainLoop(PlainDecoder(decoder), mine.fast_steps)
        for name, loop in loops.items():
            runs[f"{name}, T = {length}"] = partial(loop.step, x)
    return runs


def measures(seconds: Seconds, lengths: Sequence[int]) -> list[Measure]:
    """The exponent of each, round by round."""
    found = []
    for name, target in ((OURS, 1.1), (PLAIN, None)):
        columns = [seconds[f"{name}, T = {n}"] for n in lengths if f"{name}, T = {n}" in seconds]
        if columns:
            powers = tuple(exponent(lengths, column) for column in zip(*columns, strict=True))
            found.append(Measure(f"{name}: power of T", powers, target, least=False, unit=""))
    return found


def panel(seconds: Seconds, lengths: Sequence[int]) -> Callable[[Axes], None]:
    """Seconds of a step against T, their range over the rounds, and a line that is proportional to T."""
    look = looks((name, name) for name in (OURS, PLAIN))

    def draw(axes: Axes) -> None:
        for name in (OURS, PLAIN):
            columns = [seconds.get(f"{name}, T = {n}") for n in lengths]
            if all(columns):
                told = [column for column in columns if column]
                shade = {"color": look[name]["color"], "linewidth": 0}
                axes.plot(lengths, [median(c) for c in told], label=name, **look[name])
                axes.fill_between(lengths, [min(c) for c in told], [max(c) for c in told], alpha=0.2, **shade)
        first = median(seconds[f"{OURS}, T = {lengths[0]}"]) / lengths[0]
        axes.plot(lengths, [first * n for n in lengths], label="proportional to T", color="0.6", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
        axes.set_xlabel("length of the texts T, tokens")
        axes.set_ylabel("a training step, seconds")

    return draw


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `scaling.json` and `scaling.png`."""
    parser = parser_for("scaling", __doc__, rounds=5)
    parser.add_argument("--lengths", type=int, nargs="+", metavar="T", help=f"default {LENGTHS}")
    parser.add_argument("--plain", action="store_true", help="time the plain loop too")
    add_sizes(parser, USUAL)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes, lengths = sizes_from(options, USUAL), options.lengths or (TINY if options.quick else LENGTHS)
    seconds = alternate(contestants(sizes, lengths, options.plain), options.rounds)
    for name, column in seconds.items():
        print(f"{name}: {median(column):.3g} s ({min(column):.3g} to {max(column):.3g})")
    found = measures(seconds, lengths)
    report(found)
    record = {"options": given(options), "sizes": sizes._asdict(), "lengths": lengths, "seconds": seconds}
    save(options.out, "scaling", arguments_of(arguments), found, record)


if __name__ == "__main__":
    main()
