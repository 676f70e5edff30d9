"""A wheel in an empty environment: `python tests/packaging/try_wheel.py dist/*.whl [PIP ARGUMENT ...]`.

The environment is made in a new folder, away from the repository, from the wheel and the pins of constraints.txt. There
the README's examples run as the wheel's own metadata has them, then a short training by the command, and the times of
`ltm --help` and of the imports are printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import Distribution, distributions
from pathlib import Path

PINS = Path(__file__).resolve().parents[2] / "constraints.txt"
IMPORTS = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
ROUNDS = 5


def main(wheel: Path, pip_arguments: list[str]) -> None:
    """Install the wheel in a new environment and use it there."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run(folder, sys.executable, "-m", "venv", "env")
        python = folder / "env" / "bin" / "python"
        run(folder, python, "-m", "pip", "install", "--quiet", "-c", PINS, *pip_arguments, wheel.resolve())
        for number, code in enumerate(examples(folder / "env")):
            (folder / f"example{number}.py").write_text(code, encoding="utf-8")
            print(f"README's example {number + 1}", flush=True)
            run(folder, python, f"example{number}.py")
        ltm = python.with_name("ltm")
        run(folder, ltm, "train", "--recipe", "tiny", "--train.steps", "20", "--run", "run", "--train.samples", "0")
        times = [seconds(lambda: run(folder, ltm, "--help", quiet=True)) for _ in range(ROUNDS)]
        print(f"ltm --help: {median(times):.2f} s")
        own, base = [], []
        for _ in range(ROUNDS):  # alternately
            own.append(float(run(folder, python, "-c", IMPORTS.format("ltm_pyro, ltm_pyro.models"), quiet=True)))
            base.append(float(run(folder, python, "-c", IMPORTS.format("torch, pyro"), quiet=True)))
        print(f"import of ltm_pyro with its models / import of torch and pyro: {median(own) / median(base):.2f}")


def examples(environment: Path) -> list[str]:
    """Python blocks of the README that the installed distribution carries."""
    site = next(environment.glob("lib/python*/site-packages"))
    installed: Distribution = next(distributions(name="ltm-pyro", path=[str(site)]))
    description = installed.metadata.get_payload()  # type: ignore[attr-defined]
    return re.findall(r"```python\n(.*?)```", str(description), re.DOTALL)


def run(folder: Path, *words: object, quiet: bool = False) -> str:
    """Run a command in a folder; returns its output if `quiet`."""
    done = subprocess.run([str(word) for word in words], cwd=folder, check=True, text=True, capture_output=quiet)
    return done.stdout or ""


def seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
