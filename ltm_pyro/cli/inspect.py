"""`ltm inspect`."""

from __future__ import annotations

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.inspection import Inspected, inspect
from ltm_pyro.runs.keeping import keeping


def _show(inspected: Inspected) -> int:
    if inspected.inspection is not None:
        show(inspected.table())
        with keeping():
            path, page, figures = inspected.save()
        say(f"\nSaved in {path.parent}: {path.name}, {path.stem}.json, {', '.join(figures)}. Open {page}")
    return 130 if inspected.interrupted else 0


main = Command(inspect, "ltm inspect", _show, names={"field": "data.field"})
