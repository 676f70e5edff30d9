"""The folder of a comparison's or a suite's results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltm_pyro.runs.arguments import Call
from ltm_pyro.runs.result_names import result_name
from ltm_pyro.runs.results_folder import ComparisonFolder

if TYPE_CHECKING:
    from ltm_pyro.training.run import Run

NAMED = ("limit", "documents", "draws", "fast_steps", "checkpoint", "seed", "quick")
NO_DEVICE = {"device": None}  # once a setting: keeps the hash in the names of earlier folders


def comparison_folder(path: Path, call: Call, settings: Mapping[str, Any], run: Run | None = None) -> ComparisonFolder:
    """The folder that `out` names; else one named by the arguments that are not at their defaults.

    If a comparison with other settings has that name already, a hash of the settings is appended. A comparison that is
    resumed may be in a folder named by an earlier version.

    Args:
        path: the folder for a call with all arguments at their defaults.
        call: the arguments of the call.
        settings: everything that the results depend on.
        run: whose checkpoint it is, if there is one.
    """
    settings = {**NO_DEVICE, **settings}
    if call.given.get("out"):
        return ComparisonFolder(Path(call.given["out"]), settings)
    name = result_name(path.name, call, run, [key for key in call.given if key not in NAMED])
    before = [path.with_name(name.replace("-limit-", "-sequences-")), path] if call.given.get("resume") else []
    earlier = next((place for place in before if place.exists()), None)
    return ComparisonFolder.named(path.with_name(name), settings, earlier, chosen="out" in call.given)
