"""`ltm control`."""

from __future__ import annotations

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.control import Controlled, control
from ltm_pyro.runs.keeping import keeping


def _show(controlled: Controlled) -> None:
    show(controlled.table())
    with keeping():
        path = controlled.save()
    say(f"\nSaved in {path.parent}. Next: ltm generate {controlled.run.folder} --given VALUE")


main = Command(control, "ltm control", _show)
