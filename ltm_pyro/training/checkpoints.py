"""Checkpoints that survive kills, full disks and damaged files.

`folder/step-00001200/` holds `model.safetensors` (the weights), `training-state.safetensors` and
`training-state.json` (optimizers, schedules, random generators, data position), `info.json` (step, loss,
fingerprint of the configuration) and `manifest.json` (size and SHA-256 of the others).

A checkpoint is written under a temporary name, synced and renamed, and no older one is removed before that.
Temporary names that a killed process leaves behind are cleaned up by the next save:

- `.step-N.partial-PID` is being written, and is incomplete after a kill;
- `.step-N.replaced-PID` is complete, and is the checkpoint of step N until its replacement has that name;
- `.step-N.deleted-PID` is being removed.

One process at a time writes to a folder; any number may read.
"""

import contextlib
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge
from torch import Tensor
from typing_extensions import TypedDict

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json
from ltm_pyro.training.fitting_weights import refuse_non_finite, refuse_other_weights
from ltm_pyro.training.manifest import MANIFEST, fault, write_manifest
from ltm_pyro.training.state_files import load_state, read_tensors, save_state, sync, write_tensors

WEIGHTS, STATE, INFO = "model.safetensors", "training-state", "info.json"
_FILES = (WEIGHTS, f"{STATE}.safetensors", f"{STATE}.json", INFO)
INFO_BYTES = 2**20


class Info(TypedDict):
    """The content of a checkpoint's `info.json`; `loss` is None where none was measured."""

    step: Annotated[int, Ge(0)]
    loss: float | None
    fingerprint: str


class Checkpoint(NamedTuple):
    """A saved state: `weights` as a state dict on the CPU, `info` with "step", "loss" and "fingerprint"."""

    step: int
    weights: dict[str, Tensor]
    state: dict[str, Any]
    info: Info


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: of the checkpoints; made by the first save.
        keep: number of the latest checkpoints that are kept. The one with the lowest loss is kept too.
    """

    def __init__(self, folder: Path | str, keep: int = 2) -> None:
        if keep < 1:
            raise InputError(f"keep is {keep}; expected at least 1, since a run is resumed from its latest checkpoint.")
        self.folder = Path(folder)
        self.keep = keep

    def save(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        state: Mapping[str, Any],
        loss: float | None = None,
        fingerprint: str = "",
    ) -> Path:
        """Save a checkpoint, replacing one of the same step, then remove those that are no longer kept.

        Args:
            step: slow steps done.
            weights: a state dict; tied weights are stored once.
            state: a structure that `save_state` can write.
            loss: decides which checkpoint is the best; lower is better. None or NaN: never the best.
            fingerprint: of the configuration, which `load` can check.

        Raises:
            InputError: if the disk is full or cannot be written. Every earlier checkpoint is then unchanged.
        """
        if step < 0:
            raise InputError(f"step is {step}; expected the number of slow steps done, 0 or more.")
        final = self.folder / f"step-{step:08d}"
        partial = _beside(final, "partial")
        info = Info(step=step, loss=_finite(loss), fingerprint=fingerprint)
        try:
            self._sweep()
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(partial, weights, state, info)
            _put_in_place(partial, final)
        except OSError as error:
            raise self._unwritable(step, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # there only if something went wrong
        self._prune(step)
        return final

    def steps(self) -> list[int]:
        """The steps of all checkpoints, in order."""
        return sorted(_find(self.folder))

    def of_step(self, step: int) -> Path | None:
        """The checkpoint of a step; None if there is none."""
        return _find(self.folder).get(step)

    def latest(self) -> Path | None:
        """The checkpoint of the last step; None if there is none."""
        checkpoints = _find(self.folder)
        return checkpoints[max(checkpoints)] if checkpoints else None

    def best(self) -> Path | None:
        """The checkpoint with the lowest loss, the latest of several; None if none was saved with a loss."""
        checkpoints = _find(self.folder)
        scored = [(loss, -step) for step, path in checkpoints.items() if (loss := _loss(path)) is not None]
        return checkpoints[-min(scored)[1]] if scored else None

    def load(
        self, path: Path | str, fingerprint: str | None = None, parameters: Mapping[str, Tensor] | None = None
    ) -> Checkpoint:
        """Check every file of a checkpoint against its manifest, and read it.

        Args:
            path: the checkpoint's folder.
            fingerprint: of the configuration that it must have; not checked if None.
            parameters: of the model that the weights must fit, by name; not checked if None.

        Raises:
            InputError: if a file is missing, truncated or changed, if the configuration is another one, if the weights
                do not fit the parameters, or if one holds a NaN or an infinity.
        """
        path = Path(path)
        info = read_info(path, fingerprint)
        weights = _read_weights(path, parameters, _FILES)
        return Checkpoint(info["step"], weights, load_state(path, STATE), info)

    @staticmethod
    def load_weights(
        path: Path | str, fingerprint: str | None = None, parameters: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Check and read a checkpoint's weights alone, which suffice for evaluation and generation.

        Arguments and errors are those of `load`.
        """
        path = Path(path)
        if fingerprint is not None:
            read_info(path, fingerprint)
        return _read_weights(path, parameters, (WEIGHTS,))

    def discard_after(self, step: int) -> None:
        """Remove the checkpoints of later steps, for a run that is resumed from an earlier one."""
        for other, path in _find(self.folder).items():
            if other > step:
                _discard(path)

    def _prune(self, saved: int) -> None:
        """Remove all checkpoints but the latest ones, the best one and the one just saved."""
        checkpoints, best = _find(self.folder), self.best()
        recent = {saved, *sorted(checkpoints)[-self.keep :]}
        for step, path in checkpoints.items():
            if step not in recent and path != best:
                _discard(path)

    def _sweep(self) -> None:
        """Clean up the temporary folders of killed processes."""
        complete = set(_find(self.folder).values())
        for path in self.folder.glob(".step-*"):
            kind = _split(path)[1]
            if kind == "replaced" and path in complete:  # killed between the two renames: restore its name
                path.rename(self.folder / f"step-{_split(path)[0]:08d}")
            elif kind:
                shutil.rmtree(path, ignore_errors=True)

    def _unwritable(self, step: int, error: OSError) -> InputError:
        latest = self.latest()
        last = f"The last checkpoint, {latest.name}, is intact" if latest else "There is no earlier checkpoint"
        return InputError(
            f"the checkpoint of step {step} could not be written in {self.folder}: {error.strerror or error}. {last}. "
            "Free some space or make the folder writable, or copy the run's folder to another disk; then resume."
        )


def _read_weights(path: Path, parameters: Mapping[str, Tensor] | None, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Read a checkpoint's weights after checks of their header, then of the files' sums, then of the numbers."""
    remedy = partial(_remedy, path)
    if parameters is not None:
        if damage := fault(path, (WEIGHTS,), sums=False):
            raise InputError(f"{damage}. {remedy()}")
        refuse_other_weights(path / WEIGHTS, parameters, remedy)
    _verify(path, names)
    weights = read_tensors(path / WEIGHTS)
    refuse_non_finite(path / WEIGHTS, weights, parameters or (), remedy)
    return weights


def read_info(path: Path, fingerprint: str | None = None) -> Info:
    """The content of a checkpoint's info.json.

    Raises:
        InputError: if the file is damaged, or the configuration's fingerprint is another one.
    """
    _verify(path, (INFO,))
    info: Info = read_json(path / INFO, Info, INFO_BYTES)
    if fingerprint is not None and info["fingerprint"] != fingerprint:
        raise InputError(
            f"{path} is a checkpoint of another configuration: its fingerprint is {info['fingerprint']!r}, this "
            f"run's is {fingerprint!r}. Resume with the configuration it was saved with, or start a new run in "
            "another folder."
        )
    return info


def step_named(text: str) -> int | None:
    """The step number in a text such as 400 or 00000400; None if the text is no number."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def step_of(path: Path) -> int:
    """The step of a checkpoint, from its folder as `latest`, `best` and `of_step` return it."""
    step = _split(path)[0]
    assert step is not None
    return step


def _write(folder: Path, weights: Mapping[str, Tensor], state: Mapping[str, Any], info: Info) -> None:
    """Write all files of a checkpoint and wait until they are on the disk."""
    folder.mkdir()
    write_tensors(folder / WEIGHTS, weights)
    save_state(folder, STATE, state)
    _write_json(folder / INFO, info)
    write_manifest(folder, _FILES)
    for name in (*_FILES, MANIFEST):
        sync(folder / name)
    sync(folder)


def _put_in_place(partial: Path, final: Path) -> None:
    """Rename a complete checkpoint to its final name; a checkpoint of that name is moved aside, then removed."""
    aside = _beside(final, "replaced")
    if final.exists():
        final.rename(aside)
    try:
        partial.rename(final)
    except OSError:
        if aside.exists():
            aside.rename(final)
        raise
    sync(final.parent)
    if aside.exists():
        _discard(aside)


def _discard(path: Path) -> None:
    """Remove a checkpoint, renaming it first so that none is ever seen half removed.

    A folder that cannot be removed now is left to the next save, since that is no reason to stop a run.
    """
    with contextlib.suppress(OSError):
        shutil.rmtree(path.rename(_beside(path, "deleted")))


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f".step-{_split(path)[0]:08d}.{kind}-{os.getpid()}")


def _split(path: Path) -> tuple[int | None, str]:
    """A checkpoint's step and the kind of its temporary name, if any; (None, "") for any other name."""
    number = "([0-9]{8,18})"
    match = re.fullmatch(rf"step-{number}|\.step-{number}\.(partial|replaced|deleted)-[0-9]+", path.name)
    return (int(match[1] or match[2]), match[3] or "") if match else (None, "")


def _find(folder: Path) -> dict[int, Path]:
    """The complete checkpoint of each step."""
    checkpoints: dict[int, Path] = {}
    for path in sorted(folder.glob("*step-*"), reverse=True):  # "step-N" comes before ".step-N.replaced-PID"
        step, kind = _split(path)
        if step is not None and kind in ("", "replaced"):
            checkpoints.setdefault(step, path)
    return checkpoints


def _loss(path: Path) -> float | None:
    try:
        return read_json(path / INFO, Info, INFO_BYTES)["loss"]
    except InputError:
        return None  # a damaged checkpoint is never the best; `load` raises the error


def _finite(loss: float | None) -> float | None:
    return float(loss) if loss is not None and math.isfinite(loss) else None


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _verify(path: Path, names: tuple[str, ...]) -> None:
    """Check files against the manifest."""
    damage = fault(path, names)
    if damage:
        raise InputError(f"{damage}. {_remedy(path)}")


def _remedy(path: Path) -> str:
    """Remedy for an unusable checkpoint: the last complete one before it, else any complete one."""
    checkpoints = _find(path.parent)
    step = _split(path)[0]
    later = sorted(other for other in checkpoints if step is not None and other > step)
    earlier = sorted((other for other in checkpoints if step is None or other < step), reverse=True)
    for candidate in earlier + later:
        if not fault(checkpoints[candidate], _FILES):
            return f"Use {checkpoints[candidate]} instead."
    return "The run has no other complete checkpoint: restore it from a copy, or start the run anew."
