"""Record of the end of training, `training.json` in the run's folder, for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say

if TYPE_CHECKING:
    from ltm_pyro.training.run import Run

NAME = "training.json"
Reason = Literal["steps", "patience", "diverged", "lost process"] | str  # else the name of a signal, as SIGTERM
COMPLETE = ("steps", "patience")  # ends after which the run is evaluated


class Ending(TypedDict):
    """End of training.

    Attributes:
        reason: `steps`, all were taken; `patience`, an early stop; `diverged`; `lost process`; or the name of a signal.
        message: the same as a sentence.
        step: slow steps taken.
        steps: slow steps of the run.
        best_step: slow step of the best checkpoint, None if none was validated.
    """

    reason: str
    message: str
    step: int
    steps: int
    best_step: int | None


def forget(run: Run) -> None:
    """Remove the record of an earlier end, since training goes on."""
    (run.folder / NAME).unlink(missing_ok=True)


def write(run: Run, ending: Ending) -> None:
    """Write the record; training has ended all the same if that fails, and a line says so."""
    try:
        run.write(NAME, json.dumps(ending, indent=2) + "\n")
    except InputError as error:
        say(f"The end of training was not recorded: {error}")


def read(run: Run) -> Ending | None:
    """The end of training; None while the run is being trained, or after it was killed.

    Raises:
        InputError: if the record is damaged.
    """
    if not (run.folder / NAME).is_file():
        return None
    ending: Ending = run.read_json(NAME, Ending)
    return ending
