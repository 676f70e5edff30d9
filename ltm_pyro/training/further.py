"""A run that is trained further: settings of training that a resume may change, and the history of those before."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError
from ltm_pyro.files import write_text
from ltm_pyro.training.own_runs import code_folder, remember
from ltm_pyro.training.run import CONFIG, run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.training.run import Run

CHANGEABLE = ("steps", "schedule_steps", "patience")  # arguments of `train` that a resume may change
HISTORY = "history"
REPLACED = ("evaluation/validation.*", "samples/prior-*.txt")  # files that the end of training writes anew


def with_changes(folder: Path, config: Namespace, changes: Mapping[str, int | None]) -> Namespace:
    """The configuration of a run that is trained further.

    With more steps, schedules keep the length that they had: learning rate and weights stay where they ended, instead
    of jumping back to the same share of a longer run. `schedule_steps` gives another length.

    Args:
        folder: of the run, for messages.
        config: of the run so far.
        changes: new values of `CHANGEABLE` settings, by name.

    Raises:
        InputError: for fewer steps, or another schedule without more steps.
    """
    before, changed = config.train, config.clone()
    steps = changes.get("steps") or before.steps
    if steps < before.steps:
        raise InputError(
            f"--train.steps {steps}: {folder} is a run of {before.steps:,} steps, and a resume takes no fewer: give "
            "more, or leave it out"
        )
    length = changes.get("schedule_steps")
    if steps > before.steps:
        changed.train.schedule_steps = length or before.schedule_steps or before.steps
    elif length not in (None, before.schedule_steps or before.steps):
        raise InputError(
            f"--train.schedule_steps {length}: a resume takes it together with a larger --train.steps than "
            f"{before.steps:,}"
        )
    changed.train.steps = steps
    if "patience" in changes:
        changed.train.patience = changes["patience"]
    return changed


def change_settings(run: Run, config: Namespace, step: int) -> Path | None:
    """Replace the configuration of a run; the earlier one is kept in `history/`, with the results that it led to.

    Args:
        run: the run, which has the new configuration afterwards.
        config: from `with_changes`.
        step: slow steps that the run has taken.

    Returns:
        The folder of the earlier configuration; None if nothing changes.

    Raises:
        InputError: if the folder cannot be written. The run is then as it was.
    """
    dump = run_parser(config).dump
    if dump(config, skip_unset=False) == dump(run.config, skip_unset=False):
        return None
    path = run.folder / CONFIG
    code = code_folder(path)
    try:
        kept = _keep_history(run.folder, step)
        write_text(path, dump(config, skip_unset=False))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}. Make the folder writable") from error
    if code is not None:  # still the user's own run
        with suppress(OSError, RuntimeError):
            remember(path, code)
    run.config = config
    return kept


def _keep_history(folder: Path, step: int) -> Path:
    """Copy what the next training replaces to a new folder in `history/`."""
    kept, number = folder / HISTORY / f"until-step-{step}", 1
    while kept.exists():
        number += 1
        kept = folder / HISTORY / f"until-step-{step}-{number}"
    kept.mkdir(parents=True)
    shutil.copy2(folder / CONFIG, kept / CONFIG)
    for path in (path for pattern in REPLACED for path in sorted(folder.glob(pattern))):
        shutil.copy2(path, kept / path.name)
    return kept


def schedule_line(components: Any, before: int, after: int, step: int) -> str:
    """Sentence on the learning rate of the next steps, and on weights of bounds that jump.

    Args:
        components: objects of the run, whose schedules are not yet spread.
        before: steps over which the schedules were spread so far.
        after: steps over which they are spread from now on.
        step: slow steps taken.
    """
    slow = components.slow
    rate, now = slow.rate_over(before, max(0, step - 1)), slow.rate_over(after, step)
    if before == after:
        end = f"ended at step {before:,}" if step >= before else f"ends at step {before:,}"
        last = slow.rate_over(before, before - 1)
        return (
            f"The schedule {end}, as the run began: the learning rate stays at {last:.3g} from there on "
            "(--train.schedule_steps N gives another)"
        )
    jumps = [f"the learning rate goes from {rate:.3g} to {now:.3g}"]
    for name, bound in (("fast.bound", components.fast.bound), ("slow.bound", slow.bound)):
        values = [bound.scheduled_over(length, step) for length in (before, after)]
        if values[0] != values[1]:
            jumps.append(f"the weight of {name} from {values[0]:.3g} to {values[1]:.3g}")
    return f"The schedules are spread over {after:,} steps instead of {before:,}: {', '.join(jumps)}"
