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

EPILOG = """A guide is a class, by name or import path, with its arguments in brackets, and behind them, in the same
quotes, the arguments of ltm train that it alone needs:
  ltm compare guides RUN --guides MeanFieldGuide "LowRankGuide(rank=4)" "MeanFieldGuide --fast.learning_rate 1.0"
Each q is fitted as the tables of `ltm evaluate` fit it, by natural steps where its family has them. A guide with --fast
arguments of its own, beyond --fast.steps and --fast.patience, is fitted by the run's fast loop with these.
"""
NOT_HERE = ("--model", "--prior", "--decoder", "--data", "--train", "--thought_width", "--run", "--recipe", "--config")


def _variants(given: dict[str, Any]) -> dict[str, Any]:
    """The guides that are named, as what each changes in the run's settings.

    Raises:
        InputError: for arguments that are the run's, or that `ltm train` refuses.
    """
    if given["guides"] is None:
        return given
    folder: Path = open_run(given["run"], given["trust_code"]).folder
    names = parse_all("guide", given["guides"])
    trust = ["--trust_code"] if given["trust_code"] else []
    for name in names:
        for word in name.further:
            if word.startswith(NOT_HERE):
                raise InputError(f"--guides {name}: {word.split('=')[0]} is the run's, and the same for all guides")
    return {**given, "guides": variants_of(names, ["--config", str(folder / "config.yaml"), *trust])}


def _sizes(argv: Sequence[str]) -> dict[str, Any]:
    return {f"sizes.{name}": size for name, size in QUICK.items()} if "--quick" in argv else {}


main = Command(study_guides, "ltm compare guides", prepare=_variants, presets=_sizes, epilog=EPILOG)
