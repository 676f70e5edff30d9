"""Peak memory of training steps in a process of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.reference.decoder import PlainDecoder
from benchmarks.reference.loop import PlainLoop
from benchmarks.timing.child import set_up
from benchmarks.timing.process import answer_of
from benchmarks.timing.resident import Peak, most_bytes, now_bytes
from benchmarks.timing.sizes import QUICK, Sizes
from benchmarks.training.__main__ import ours

LOOPS = ("plain", "ours", "recompute")


def peak_of(loop: str, sizes: Sizes, steps: int, threads: int, seed: int) -> Peak:
    """Take training steps in a new process.

    Args:
        loop: one of `LOOPS`: the plain one, ours, or ours with a decoder that recomputes.
        sizes: of the decoder and its batch.
        steps: training steps; the optimizer has its state from the first on.
        threads, seed: of torch.
    """
    what = json.dumps({"loop": loop, "sizes": sizes, "steps": steps, "threads": threads, "seed": seed})
    return Peak(*answer_of(["-m", "benchmarks.memory.step", what], loop))


def measure(loop: str, sizes: Sizes, steps: int) -> Peak:
    """The peak of training steps in this process."""
    small = QUICK._replace(layers=1)
    training_loop(loop, small).step(small.texts())  # what a first step imports is not what steps take
    training, x = training_loop(loop, sizes), sizes.texts()
    before = now_bytes()
    for _ in range(steps):
        training.step(x)
    return Peak(before, max(before, most_bytes()))


def training_loop(loop: str, sizes: Sizes, device: str = "cpu") -> Any:
    """One of `LOOPS`, with a `step` that takes texts."""
    decoder = sizes.decoder(recompute=loop == "recompute").to(device)
    if loop == "plain":
        return PlainLoop(PlainDecoder(decoder).to(device), sizes.fast_steps)
    return ours(decoder, sizes.fast_steps)


def _main(what: str) -> None:
    told = json.loads(what)
    set_up(told["threads"], told["seed"])
    print(json.dumps(measure(told["loop"], Sizes(*told["sizes"]), told["steps"])))


if __name__ == "__main__":
    _main(sys.argv[1])
