"""`ltm compare priors`."""

from __future__ import annotations

from typing import Any

from ltm_pyro.cli.command import Command
from ltm_pyro.cli.named_classes import parse_all, variants_of
from ltm_pyro.cli.run_arguments import settings_of
from ltm_pyro.cli.study_argv import refuse_instead
from ltm_pyro.errors import InputError
from ltm_pyro.studies.defaults import default_priors
from ltm_pyro.studies.priors.kept_study import study_priors
from ltm_pyro.studies.priors.study import PriorComparison, check_seconds

USAGE = "[CORPUS] [--priors PRIOR ...] [--seeds SEED ...] [--out FOLDER] [--resume] [ARGUMENT OF ltm train ...]"
EPILOG = """A prior is a class, by name or import path, with its arguments in brackets, followed, in the same quotes, by
arguments of ltm train for this prior alone:
  ltm compare priors --priors GaussianPrior "MixturePrior(components=4)" --train.steps 200
  ltm compare priors --priors "CodebookPrior(codes=16) --guide StraightThroughGuide" GaussianPrior
"""
INSTEAD = {
    "--prior": "name the priors by --priors",
    "--run": "every run has its own folder in that of --out",
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
}


def _prepare(arguments: dict[str, Any]) -> dict[str, Any]:
    """The settings of `ltm train`, and the changes that each prior makes in them.

    Raises:
        InputError: for arguments that the comparison sets itself, or that `ltm train` refuses.
    """
    argv, chosen = arguments["base"], arguments["priors"] is not None
    check_seconds(arguments["seconds"])
    names = parse_all("prior", arguments["priors"] or default_priors())
    for more in (argv, *(name.further for name in names)):
        refuse_instead("comparison", more, INSTEAD)
        if arguments["seconds"] is not None and any(word.split("=")[0] == "--train.steps" for word in more):
            raise InputError("--seconds and --train.steps are two budgets: give one")
    return {**arguments, "base": settings_of(argv), "priors": variants_of(names, argv), "check_models": chosen}


def _code(comparison: PriorComparison) -> int:
    """Exit code: 0 if at least one prior has been trained and scored, else 1."""
    return 0 if any(record["status"] == "done" for record in comparison.to_records()) else 1


main = Command(
    study_priors,
    "ltm compare priors",
    _code,
    prepare=_prepare,
    others="base",
    inner=["check_models"],
    usage=USAGE,
    epilog=EPILOG,
)
