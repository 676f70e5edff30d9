"""`ltm plot`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import show
from ltm_pyro.runs.plot import plot


def _show(paths: Sequence[Path]) -> None:
    show("\n".join(map(str, paths)))


main = Command(plot, "ltm plot", _show, device=False)
