"""The cells of this study, as its processes are told of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.earn.plan import Cell
from ltm_pyro.studies.runner import CellRunner

MODULE = "benchmarks.earn.cell"


def runner_of(out: Path, cells: Sequence[Cell], checkpoint: str, jobs: int = 1) -> CellRunner:
    """What carries out cells, or finds what is done of them.

    Args:
        out: the study's folder.
        cells: in the order in which they are begun.
        checkpoint: which one is scored.
        jobs: processes at once.

    Raises:
        InputError: if one of them is there already with other arguments.
    """
    return CellRunner(out, cells, {cell.key: _plan(cell, checkpoint) for cell in cells}, MODULE, jobs)


def _plan(cell: Cell, checkpoint: str) -> dict[str, Any]:
    about = {"corpus": cell.corpus, "row": cell.row, "seed": cell.seed, "start_from": cell.start_from}
    return {**about, "settings": cell.settings, "checkpoint": checkpoint}
