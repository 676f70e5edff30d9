"""`ltm sums`."""

from __future__ import annotations

from pathlib import Path

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import say, show
from ltm_pyro.suites.sums import write_sums


def _show(paths: list[Path]) -> None:
    for path in paths:
        show(str(path))
    say(
        f"Next: ltm train {paths[0]} --data.prompt question --data.answer answer --data.mode documents "
        "--data.vocabulary 258 --data.length 64"
    )


main = Command(write_sums, "ltm sums", _show, device=False)
