"""`ltm pull`."""

from __future__ import annotations

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import say, show
from ltm_pyro.sharing import Pulled, pull


def _show(pulled: Pulled) -> None:
    folder, foreign = pulled
    trust = " --trust_code" if foreign else ""
    if foreign:
        say(
            f"{folder} names {', '.join(map(str, foreign))}: code from outside ltm_pyro, which was not fetched. "
            "Opening the run needs --trust_code"
        )
    say(f"Next: ltm generate {folder}{trust}, or ltm evaluate {folder} CORPUS{trust}")
    show(str(folder))


main = Command(pull, "ltm pull", _show, device=False)
