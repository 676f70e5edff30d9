"""Record of the trackers' runs to which a run reports, so that a resumed run goes on with the same ones."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json, write_text
from ltm_pyro.runs.trackers.adapter import PROJECT

NAME = "runs.json"


class Reported(TypedDict):
    """Run of a tracker.

    Attributes:
        identity: identifier of the tracker's run.
        until: last slow step whose metrics the tracker has; None while training reports to it.
    """

    identity: str
    until: int | None


def read(folder: Path) -> dict[str, Reported]:
    """Runs by name of the tracker; none if the record is missing or damaged, in which case new ones are begun."""
    with suppress(InputError):
        found: dict[str, Reported] = read_json(folder / PROJECT / NAME, dict[str, Reported])
        return found
    return {}


def write(folder: Path, runs: dict[str, Reported]) -> None:
    """Write the record into the folder of a run.

    Raises:
        OSError: if it cannot be written.
    """
    (folder / PROJECT).mkdir(exist_ok=True)
    write_text(folder / PROJECT / NAME, json.dumps(runs, indent=2) + "\n")


def report_again_after(folder: Path, step: int) -> None:
    """Make trackers receive the steps after this one again, which another schedule makes anew."""
    if runs := read(folder):
        write(folder, {name: {**run, "until": min(run["until"] or step, step)} for name, run in runs.items()})
