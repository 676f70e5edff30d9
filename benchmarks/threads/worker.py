"""Training steps in a process of its own, which takes as many as it is told to and says how long they took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from benchmarks.timing.child import set_up
from benchmarks.timing.sizes import Sizes
from benchmarks.training.__main__ import ours
from ltm_pyro.spinning import SAID_BY_USER

ROOT = Path(__file__).parents[2]


class Worker:
    """A child process with the loop of the default recipe's sizes; between two calls it sleeps.

    Args:
        variables: of its environment, in the place of all that say how threads wait.
        sizes, threads, seed: of what it trains.
    """

    def __init__(self, variables: Mapping[str, str], sizes: Sizes, threads: int, seed: int) -> None:
        what = json.dumps({"sizes": sizes, "threads": threads, "seed": seed})
        others = {name: value for name, value in os.environ.items() if name not in SAID_BY_USER}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.threads.worker", what],
            cwd=ROOT,
            env={**others, "OMP_NUM_THREADS": str(threads), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def take(self, steps: int) -> float:
        """Take training steps; returns the seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the process that was to be measured ended with {self.process.wait()}")
        return float(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()


def _main(what: str) -> None:
    told = json.loads(what)
    set_up(told["threads"], told["seed"])
    sizes = Sizes(*told["sizes"])
    training, x = ours(sizes.decoder(), sizes.fast_steps), sizes.texts()
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            training.step(x)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
