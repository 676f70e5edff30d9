"""`ltm pull`."""

from __future__ import annotations

from pathlib import Path

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.console import say, show
from ltm_pyro.runs.pull import Pulled, pull
from ltm_pyro.training.bases import Base, is_of_hub


def _show(pulled: Pulled) -> None:
    folder, foreign, bases = pulled
    trust = " --trust_code" if foreign else ""
    if foreign:
        say(
            f"{folder} names {', '.join(map(str, foreign))}: code from outside ltm_pyro, which was not fetched. "
            "Opening the run needs --trust_code"
        )
    for base in bases:
        say(_needed(folder, base))
    say(f"Next: ltm generate {folder}{trust}, or ltm evaluate {folder} CORPUS{trust}")
    show(str(folder))


def _needed(folder: Path, base: Base) -> str:
    """Line on a pretrained model that a run needs: where it comes from, or how to say where it is."""
    part, name = base["part"], base["name"]
    needed = f"{folder} needs {name} as its {part} (sha256 {base['sha256'][:12]}…, licence: {base['licence']})"
    if is_of_hub(base):
        return f"{needed}, which is fetched from the hub when the run is first used"
    if Path(name).exists():
        return f"{needed}, which is here"
    return f"{needed}, which is not part of the run: give its place by --base, or as `name` of {part} in config.yaml"


main = Command(pull, "ltm pull", _show, device=False)
