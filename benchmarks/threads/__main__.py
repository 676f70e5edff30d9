"""Tokens a second of the default training beside busy loops, by how long a waiting thread spins.

Two processes take training steps in turn: one with the OpenMP runtime's own patience, one with that which `ltm` asks
for. Both are there all the time; who is not asked sleeps.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import torch

from benchmarks.memory.__main__ import recipe
from benchmarks.threads.worker import Worker
from benchmarks.timing.figures import bars
from benchmarks.timing.measures import Measure, quotients, rate
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.rounds import Seconds, alternate
from benchmarks.timing.sizes import add_sizes, sizes_from
from ltm_pyro.spinning import BRIEFLY, SPINS

USUAL = recipe("tiny")
RUNTIME, OURS = "the runtime's own", f"{int(BRIEFLY):,} looks"
VARIABLES: dict[str, dict[str, str]] = {RUNTIME: {}, OURS: {SPINS: BRIEFLY}}
LEAST = 0.96  # of the speed on a quiet machine


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Within, so many processes each keep a core busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measures(seconds: Seconds, tokens: int, loops: int) -> list[Measure]:
    """Of one number of busy loops: both speeds, and ours over the other round by round."""
    beside = "beside nothing" if not loops else f"beside {loops} busy loops"
    found = [rate(f"{name}, {beside}", tokens, column) for name, column in seconds.items()]
    share = quotients(seconds[RUNTIME], seconds[OURS])
    return [*found, Measure(f"{OURS} / {RUNTIME}, {beside}", share, LEAST if not loops else None)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `threads.json` and `threads.png`."""
    parser = parser_for("threads", __doc__, rounds=9)
    parser.add_argument("--busy", type=int, nargs="+", metavar="N", default=[0, 2, 6], help="loops beside; 0 2 6")
    parser.add_argument("--steps", type=int, default=10, help="training steps of each in a round; 10")
    add_sizes(parser, USUAL)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options, USUAL)
    found: list[Measure] = []
    rounds: dict[str, Seconds] = {}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(variables, sizes, torch.get_num_threads(), options.seed))
            for name, variables in VARIABLES.items()
        }
        steps = {name: partial(worker.take, options.steps) for name, worker in workers.items()}
        for loops in options.busy:
            with busy(loops):
                rounds[str(loops)] = alternate(steps, options.rounds)
            found += measures(rounds[str(loops)], options.steps * sizes.tokens, loops)
            report(found[-len(workers) - 1 :])
    record = {"options": given(options), "sizes": sizes._asdict(), "seconds": rounds}
    panels = [bars([measure for measure in found if measure.unit == "tokens/s"], "tokens/s")]
    save(options.out, "threads", arguments_of(arguments), found, panels, more=record)


if __name__ == "__main__":
    main()
