"""`ltm scale`."""

from __future__ import annotations

from typing import Any

from ltm_pyro.cli.command import Command
from ltm_pyro.cli.grid_argv import axis_values, divided
from ltm_pyro.cli.run_arguments import settings_of
from ltm_pyro.cli.study_argv import refuse_instead
from ltm_pyro.studies.scale.grid import AS_TRAINED, HELP, INFERENCE, TRAINED, read_grid
from ltm_pyro.studies.scale.kept_study import study_scale
from ltm_pyro.studies.scale.study import ScaleStudy, defaults

USAGE = (
    "[CORPUS] [--grid FILE] [--DIMENSION VALUE ...] [--grid.ARGUMENT VALUE ...] [--out FOLDER] [--resume] "
    "[ARGUMENT OF ltm train ...]"
)
EPILOG = """for example:
  ltm scale --fast_steps 2 4 8 --thoughts 1 4 --seeds 0 1 --out comparisons/scale --train.steps 200
  ltm scale --grid.slow.learning_rate 1e-3 4e-3 --grid.decoder.window 4 8     # any argument of ltm train
  ltm scale --grid.prior GaussianPrior "MixturePrior(components=4)" --fast_steps 2 8
  ltm scale stories.jsonl --grid grid.yaml --processes 2 --data.mode documents
With --resume the same command continues where it was stopped, and further values or seeds add trials to the study.
A second process started in this way shares the work with the first."""
INSTEAD = {
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
    "--model": "leave it out: a grid of T_fast and thoughts needs a Latent Thought Model",
}


def _prepare(arguments: dict[str, Any]) -> dict[str, Any]:
    """The settings of `ltm train`, and the values of the grid's dimensions as numbers.

    Raises:
        InputError: for arguments that the study sets itself, or that `ltm train` refuses.
    """
    argv, axes = divided(arguments["base"])
    inference = arguments[INFERENCE]
    if inference is not None:
        inference = [value if value == AS_TRAINED or not value.isdecimal() else int(value) for value in inference]
    arguments = {**arguments, INFERENCE: inference}
    values = {name: arguments[name] for name in (*TRAINED, INFERENCE)}
    grid = read_grid(arguments["grid"], {**values, **axes})
    dimensions = {
        f"--{TRAINED[name][0]}": f"it is a dimension of this grid, {name}" for name in grid if name in TRAINED
    }
    dimensions |= {f"--{name}": "it is a dimension of this grid" for name in grid if name not in HELP}
    refuse_instead("study of scale", argv, {**INSTEAD, **dimensions})
    settings = settings_of(argv, defaults(settings_of(argv)["train"]["steps"]))
    return {**arguments, "axes": axis_values(axes, argv), "base": settings}


def _code(study: ScaleStudy) -> int:
    """Exit code: 0 if every trial is done, else 1."""
    return 0 if study.is_done else 1


main = Command(
    study_scale, "ltm scale", _code, prepare=_prepare, others="base", inner=["axes"], usage=USAGE, epilog=EPILOG
)
