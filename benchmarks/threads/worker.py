"""Worker process that takes training steps on request and reports their time."""

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
    """Child process with a training loop; it sleeps between calls.

    Args:
        variables: environment variables that replace all variables on the waiting of threads.
        sizes, threads, seed: sizes, number of threads and seed of the training.
    """

    def __init__(self, variables: Mapping[str, str], sizes: Sizes, threads: int, seed: int) -> None:
        arguments = json.dumps({"sizes": sizes, "threads": threads, "seed": seed})
        environment = {name: value for name, value in os.environ.items() if name not in SAID_BY_USER}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.threads.worker", arguments],
            cwd=ROOT,
            env={**environment, "OMP_NUM_THREADS": str(threads), **variables},
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
            raise SystemExit(f"the worker process ended with code {self.process.wait()}")
        return float(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()


def _main(arguments: str) -> None:
    settings = json.loads(arguments)
    set_up(settings["threads"], settings["seed"])
    sizes = Sizes(*settings["sizes"])
    training, x = ours(sizes.decoder(), sizes.fast_steps), sizes.texts()
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            training.step(x)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
