"""`ltm compare guides`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ltm_pyro.cli.command import Command
from ltm_pyro.cli.named_classes import parse_all, variants_of
from ltm_pyro.errors import InputError
from ltm_pyro.runs.loading import open_run
from ltm_pyro.studies.guides.kept_study import study_guides
from ltm_pyro.studies.guides.sizes import QUICK

EPILOG = """A guide is a class, by name or import path, with its arguments in brackets, followed, in the same quotes, by
arguments of ltm train for this guide alone:
  ltm compare guides RUN --guides MeanFieldGuide "LowRankGuide(rank=4)" "MeanFieldGuide --fast.learning_rate 1.0"
Each q is fitted as for the tables of `ltm evaluate`, by natural steps where its family has them. A guide with --fast
arguments, other than --fast.steps and --fast.patience, is fitted by the run's fast loop with these arguments.
"""
NOT_HERE = (
    *("--model", "--prior", "--transport", "--decoder", "--data", "--train", "--thought_width"),
    *("--run", "--recipe", "--config"),
)


def _variants(arguments: dict[str, Any]) -> dict[str, Any]:
    """The named guides, as the changes that each makes in the run's settings.

    Raises:
        InputError: for arguments that the run fixes, or that `ltm train` refuses.
    """
    if arguments["guides"] is None:
        return arguments
    folder: Path = open_run(arguments["run"], arguments["trust_code"]).folder
    names = parse_all("guide", arguments["guides"])
    trust = ["--trust_code"] if arguments["trust_code"] else []
    for name in names:
        for word in name.further:
            if word.startswith(NOT_HERE):
                raise InputError(f"--guides {name}: {word.split('=')[0]} is the run's own, the same for all guides")
    return {**arguments, "guides": variants_of(names, ["--config", str(folder / "config.yaml"), *trust])}


def _sizes(argv: Sequence[str]) -> dict[str, Any]:
    return {f"sizes.{name}": size for name, size in QUICK.items()} if "--quick" in argv else {}


main = Command(study_guides, "ltm compare guides", prepare=_variants, presets=_sizes, epilog=EPILOG)
