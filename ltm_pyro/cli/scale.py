"""`ltm scale`."""

from __future__ import annotations

from typing import Any

from ltm_pyro.cli.command import Command
from ltm_pyro.cli.run_arguments import settings_of
from ltm_pyro.cli.study_argv import refuse_instead
from ltm_pyro.studies.scale.grid import AS_TRAINED, INFERENCE, TRAINED, read_grid
from ltm_pyro.studies.scale.kept_study import study_scale
from ltm_pyro.studies.scale.study import ScaleStudy, defaults

USAGE = "[CORPUS] [--grid FILE] [--DIMENSION VALUE ...] [--out FOLDER] [--resume] [ARGUMENT OF ltm train ...]"
EPILOG = """for example:
  ltm scale --fast_steps 2 4 8 --thoughts 1 4 --seeds 0 1 --out comparisons/scale --train.steps 200
  ltm scale stories.jsonl --grid grid.yaml --processes 2 --data.mode documents
With --resume the same command goes on where it was stopped, and with further values or seeds it adds to what is there.
Started so a second time beside the first, it shares the work."""
INSTEAD = {
    "--train.seed": "give the seeds by --seeds; --data.seed is that of the split",
    "--model": "leave it out: T_fast and thoughts are those of a Latent Thought Model",
}


def _prepare(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of `ltm train`, and the values of the dimensions as numbers.

    Raises:
        InputError: for arguments that the study has itself, or that `ltm train` refuses.
    """
    argv, inference = given["base"], given[INFERENCE]
    if inference is not None:
        inference = [value if value == AS_TRAINED or not value.isdecimal() else int(value) for value in inference]
    given = {**given, INFERENCE: inference}
    grid = read_grid(given["grid"], {name: given[name] for name in (*TRAINED, INFERENCE)})
    own = {f"--{TRAINED[name][0]}": f"it is a dimension of this grid, {name}" for name in grid if name in TRAINED}
    refuse_instead("study of scale", argv, {**INSTEAD, **own})
    return {**given, "base": settings_of(argv, defaults(settings_of(argv)["train"]["steps"]))}


def _code(study: ScaleStudy) -> int:
    """0 if every run is done."""
    return 0 if study.is_done else 1


main = Command(study_scale, "ltm scale", _code, prepare=_prepare, others="base", usage=USAGE, epilog=EPILOG)
