"""One part in a process of its own, which can be stopped, and whose faults on the device stop no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.gpu import attention, contest, equality, marked, memory, writing
from benchmarks.gpu.finding import Finding
from benchmarks.gpu.setting import Setting
from benchmarks.timing.child import set_up
from benchmarks.timing.sizes import Sizes

ROOT = Path(__file__).parents[2]
CACHE = "TORCHINDUCTOR_CACHE_DIR"
MOST = 4000  # characters of what a part says when it fails
PARTS: dict[str, Callable[[Setting], Finding]] = {
    "tests": marked.measure,
    "equality": equality.measure,
    "compiled": contest.compiled,
    "bf16": contest.in_bf16,
    "attention": attention.measure,
    "memory": memory.measure,
    "writing": writing.measure,
}


class PartError(RuntimeError):
    """A part that gave no finding."""


def measured(name: str, setting: Setting, threads: int, seconds: float) -> Finding:
    """The finding of a part.

    Args:
        name: of the part.
        setting: its own.
        threads: of torch.
        seconds: after which it is stopped.

    Raises:
        PartError: it failed, or took longer.
    """
    told = json.dumps({"name": name, "setting": setting, "threads": threads})
    return Finding.of(json.loads(last_line([sys.executable, "-m", "benchmarks.gpu.child", told], seconds)))


def last_line(command: Sequence[str], seconds: float) -> str:
    """The last line that a command prints; kernels are compiled into a cache of its own, and forgotten with it.

    One that is stopped would leave half a kernel in the cache that is shared, on which the next one fails.

    Raises:
        PartError: it failed, printed nothing, or took longer; what it left running is ended too.
    """
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        own: dict[str, Any] = {"cwd": ROOT, "env": {**os.environ, CACHE: cache}, "start_new_session": True}
        with subprocess.Popen(command, **own, **pipes) as process:
            try:
                printed, said = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                raise PartError(f"stopped after {seconds:.0f} seconds, its share of the time") from error
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise PartError(f"ended with {process.returncode}: {said.strip().replace(str(ROOT), '.')[-MOST:]}")
    if not printed.strip():
        raise PartError("printed nothing")
    return printed.splitlines()[-1]


def _main(told: str) -> None:
    what = json.loads(told)
    device, sizes, *rest = what["setting"]
    setting = Setting(device, Sizes(*sizes), *rest)
    set_up(what["threads"], setting.seed)
    print(json.dumps(PARTS[what["name"]](setting).record()))


if __name__ == "__main__":
    _main(sys.argv[1])
