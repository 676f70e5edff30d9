"""`ltm refine`."""

from __future__ import annotations

from ltm_pyro.cli.command import Command
from ltm_pyro.refining import Refined, refine
from ltm_pyro.runs.console import say, show


def _show(refined: Refined) -> None:
    folder = refined.run.folder
    show(refined.table())
    say(f"\nEverything is in {folder}. Next: ltm evaluate {folder} --baseline {refined.run.config.train.start_from}")


main = Command(refine, "ltm refine", _show, usage="RUN --questions FILE --checker NAME [--ARGUMENT VALUE ...]")
