"""A control in a run's folder: weights as safetensors, everything else as JSON, and a manifest of both."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from typing_extensions import TypedDict

from ltm_pyro.control.prior import Condition, ControlPrior, FlowSizes, new_prior
from ltm_pyro.errors import InputError
from ltm_pyro.files import finite, read_json
from ltm_pyro.files.new_folder import made_aside
from ltm_pyro.training.checkpoints import WEIGHTS as CHECKPOINT_WEIGHTS
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.fitting_weights import refuse_non_finite, refuse_other_weights
from ltm_pyro.training.manifest import MANIFEST, MANIFEST_BYTES, Manifest, fault, write_manifest
from ltm_pyro.training.state_files import read_tensors, write_tensors

FOLDER, WEIGHTS, RECORD, TABLE = "control", "flow.safetensors", "control.json", "table.md"
LONGEST = 60  # characters of a field in a folder's name
Size = Annotated[int, Ge(1), Le(2**13)]


class Weights(TypedDict):
    """The weights of a run that a control belongs to: their step, and the SHA-256 sum of their file."""

    step: Annotated[int, Ge(0)]
    sha256: str


class Sizes(TypedDict):
    """`FlowSizes` in JSON."""

    context: Size
    transforms: Size
    hidden: Size
    bins: Annotated[int, Ge(2), Le(2**12)]


class ControlRecord(TypedDict):
    """The content of a control's `control.json`.

    `values` are those with a context of their own, in the order of the contexts; none for the condition `thoughts`.
    """

    field: str
    condition: Condition
    values: Annotated[list[str], Len(0, 2**20)]
    sizes: Sizes
    weights: Weights
    settings: dict[str, Any]
    results: dict[str, Any]
    versions: dict[str, str]


def weights_of(checkpoint: Path) -> Weights:
    """Identity of the weights of a checkpoint, from its manifest.

    Raises:
        InputError: if the manifest is damaged.
    """
    files = read_json(checkpoint / MANIFEST, Manifest, MANIFEST_BYTES)["files"]
    if CHECKPOINT_WEIGHTS not in files:
        raise InputError(f"{checkpoint / MANIFEST} has no entry for {CHECKPOINT_WEIGHTS}. Restore it from a copy")
    return {"step": step_of(checkpoint), "sha256": files[CHECKPOINT_WEIGHTS]["sha256"]}


def control_folder(run: Path, field: str) -> Path:
    """The folder of a field's control; a name that is no plain word has a hash of the field at its end."""
    name = re.sub(r"[^\w-]+", "-", field)[:LONGEST].strip("-")
    if name != field:
        name = f"{name}-{hashlib.sha256(field.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")
    return run / FOLDER / name


def draws_folder(run: Path, side: str) -> Path:
    """The folder of the kept draws of a side of the corpus, `training` or `held-out`."""
    return run / FOLDER / f".draws-{side}"


def save_control(folder: Path, prior: ControlPrior, record: ControlRecord, table: str) -> Path:
    """Write a control, in the place of an earlier one; returns the path of its table.

    Raises:
        InputError: if it cannot be written.
    """
    text = json.dumps(finite(record), indent=1, allow_nan=False) + "\n"
    try:
        with made_aside(folder) as aside:
            write_tensors(aside / WEIGHTS, prior.state_dict())
            (aside / RECORD).write_text(text, encoding="utf-8")
            (aside / TABLE).write_text(table + "\n", encoding="utf-8")
            write_manifest(aside, (WEIGHTS, RECORD))
            if folder.is_dir():
                shutil.rmtree(folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror or error}. Free some space, or make the folder writable"
        ) from error
    return folder / TABLE


def controls_of(run: Path) -> dict[str, Path]:
    """The folders of a run's controls by field."""
    folders = sorted(path for path in (run / FOLDER).glob("*") if not path.name.startswith("."))
    return {read_record(path)["field"]: path for path in folders if path.is_dir()}


def read_record(folder: Path) -> ControlRecord:
    """The control.json of a control, checked against its manifest.

    Raises:
        InputError: if a file is missing, changed or damaged.
    """
    _verify(folder, (RECORD,))
    record: ControlRecord = read_json(folder / RECORD, ControlRecord, remedy=_remedy())
    return record


def load_control(folder: Path, z_shape: tuple[int, int, int], weights: Mapping[str, Any]) -> ControlPrior:
    """The prior of a control, on the CPU.

    Args:
        folder: of the control.
        z_shape: (L, K, D) of the run.
        weights: identity of the run's weights, as `weights_of` returns it.

    Raises:
        InputError: if a file is damaged, or the control was fitted to other weights.
    """
    record = read_record(folder)
    _refuse_other_run_weights(folder, record, weights)
    prior = new_prior(record["condition"], z_shape, len(record["values"]), FlowSizes(**record["sizes"]))
    state = prior.state_dict()
    refuse_other_weights(folder / WEIGHTS, state, _remedy)
    _verify(folder, (WEIGHTS,))
    tensors = read_tensors(folder / WEIGHTS)
    refuse_non_finite(folder / WEIGHTS, tensors, state, _remedy)
    try:
        prior.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{folder / WEIGHTS} does not fit: {' '.join(str(error).split())}. {_remedy()}") from error
    return prior.eval().requires_grad_(False)


def _refuse_other_run_weights(folder: Path, record: ControlRecord, weights: Mapping[str, Any]) -> None:
    fitted = record["weights"]
    if fitted["sha256"] == weights["sha256"]:
        return
    other = "" if fitted["step"] == weights["step"] else f", or give --checkpoint {fitted['step']}"
    anew = f"ltm control {folder.parent.parent} --attribute {record['field']}"
    raise InputError(
        f"{folder} was fitted to other weights, those of step {fitted['step']} then, not to those of step "
        f"{weights['step']} now: fit it anew by `{anew}`{other}"
    )


def _verify(folder: Path, names: tuple[str, ...]) -> None:
    if damage := fault(folder, names):
        raise InputError(f"{damage}. {_remedy()}")


def _remedy() -> str:
    return "Fit the control anew by `ltm control`, or restore its folder from a copy"
