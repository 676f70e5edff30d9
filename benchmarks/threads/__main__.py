"""Tokens per second of the default training beside busy loops, by the spin time of waiting threads.

Two processes take training steps in turn: one with the OpenMP runtime's default spin time, one with the spin time that
`ltm` sets. Both run all the time; the idle one sleeps.
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
from benchmarks.timing.measures import Measure, quotients, rate
from benchmarks.timing.options import parser_for, prepare
from benchmarks.timing.records import arguments_of, given, report, save
from benchmarks.timing.rounds import Seconds, alternate
from benchmarks.timing.sizes import add_sizes, sizes_from
from ltm_pyro.spinning import BRIEFLY, SPINS

USUAL = recipe("tiny")
RUNTIME, OURS = "the runtime's own", f"{int(BRIEFLY):,} looks"
VARIABLES: dict[str, dict[str, str]] = {RUNTIME: {}, OURS: {SPINS: BRIEFLY}}
LEAST = 0.96  # least share of the speed on an idle machine


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Context manager with `count` processes that each keep a core busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def measures(seconds: Seconds, tokens: int, loops: int) -> list[Measure]:
    """Measures at one number of busy loops: both speeds, and the ratio of `ltm`'s to the default, by round."""
    beside = "beside nothing" if not loops else f"beside {loops} busy loops"
    speeds = [rate(f"{name}, {beside}", tokens, column) for name, column in seconds.items()]
    share = quotients(seconds[RUNTIME], seconds[OURS])
    return [*speeds, Measure(f"{OURS} / {RUNTIME}, {beside}", share, LEAST if not loops else None)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write `threads.json` and `threads.png`."""
    parser = parser_for("threads", __doc__, rounds=9)
    parser.add_argument(
        "--busy", type=int, nargs="+", metavar="N", default=[0, 2, 6], help="numbers of busy loops; default 0 2 6"
    )
    parser.add_argument("--steps", type=int, default=10, help="training steps of each process in a round; default 10")
    add_sizes(parser, USUAL)
    options = parser.parse_args(arguments)
    prepare(options)
    sizes = sizes_from(options, USUAL)
    all_measures: list[Measure] = []
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
            all_measures += measures(rounds[str(loops)], options.steps * sizes.tokens, loops)
            report(all_measures[-len(workers) - 1 :])
    record = {"options": given(options), "sizes": sizes._asdict(), "seconds": rounds}
    save(options.out, "threads", arguments_of(arguments), all_measures, record)


if __name__ == "__main__":
    main()
