"""Record of a benchmark: JSON with its provenance, and a figure."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing.measures import Measure

HERE = Path(__file__).parent
CODE = (":(top,glob)**/*.py", ":(top,glob)**/*.yaml")  # files that the results depend on
PLACES = ("--out", "--run", "--corpus", "--against", "--name")  # options whose values are paths of this machine


def provenance(name: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Command, commit and versions, without paths and the name of the machine."""
    return {
        "benchmark": name,
        "command": ["python", "-m", f"benchmarks.{name}", *_without_places(arguments)],
        "commit": commit_of(HERE),
        "clean": _git("status", "--porcelain", "--", *CODE) == "",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "pyro": version("pyro-ppl")},
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }


def save(
    folder: Path,
    name: str,
    arguments: Sequence[str],
    measures: Sequence[Measure],
    more: Mapping[str, Any] | None = None,
    stem: str | None = None,
) -> Path:
    """Write `<stem>.json`, `<stem>.png` and its caption `<stem>.txt` into a folder; returns the path of the first.

    The figure is drawn from the record alone, so that `python -m benchmarks.gallery` can draw it again.

    Args:
        folder: folder of the files, created if missing.
        name: name of the benchmark.
        arguments: arguments of the command line.
        measures: measures of the benchmark.
        more: further entries of the record.
        stem: stem of the files' names, without a figure; the benchmark's name if None.
    """
    from benchmarks.timing.drawings import drawing
    from ltm_pyro.plots.saving import save_drawing

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem or name}.json"
    record = {**provenance(name, arguments), "measures": [measure.record() for measure in measures], **(more or {})}
    path.write_text(json.dumps(rounded(record), indent=2) + "\n", encoding="utf-8")
    figure = None if stem else drawing(json.loads(path.read_text(encoding="utf-8")))
    if figure is not None:
        save_drawing(folder / name, figure, ("png", "txt"))
    return path


def report(measures: Sequence[Measure]) -> None:
    """Print the measures."""
    for measure in measures:
        print(measure.line(), flush=True)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """Options that affect the measures."""
    return {
        name: value
        for name, value in vars(options).items()
        if f"--{name}" not in PLACES and isinstance(value, (int, float, str, bool, list))
    }


def _without_places(arguments: Sequence[str]) -> list[str]:
    words, skip = [], False
    for argument in arguments:
        if not skip and not argument.startswith(tuple(f"{place}=" for place in PLACES)) and argument not in PLACES:
            words.append(argument)
        skip = argument in PLACES
    return words


def commit_of(folder: Path) -> str | None:
    """The commit that a checkout is at; None if it is none."""
    return _git("rev-parse", "--short=7", "HEAD", folder=folder)


def _git(*arguments: str, folder: Path = HERE) -> str | None:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else None


def rounded(value: Any) -> Any:
    """Values with floats rounded to six digits, the precision of a clock."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    return value


def arguments_of(given: Sequence[str] | None) -> list[str]:
    """The given arguments, or those of the command line."""
    return list(sys.argv[1:] if given is None else given)
