"""Which folder a comparison's or a suite's results go to."""

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
NO_DEVICE = {"device": None}  # was a setting once: a folder that a hash tells apart keeps its name


def comparison_folder(path: Path, call: Call, settings: Mapping[str, Any], run: Run | None = None) -> ComparisonFolder:
    """The folder that `out` names; else one by how much was compared and how well.

    Two that would have one name and differ in anything else are told apart by a hash of their settings. One that
    `resume` goes on with may lie where an earlier version kept it.

    Args:
        path: with all arguments at their defaults.
        call: what was asked for.
        settings: what the results depend on.
        run: whose checkpoint it is, if there is one.
    """
    settings = {**NO_DEVICE, **settings}
    if call.given.get("out"):
        return ComparisonFolder(Path(call.given["out"]), settings)
    name = result_name(path.name, call, run, [key for key in call.given if key not in NAMED])
    before = [path.with_name(name.replace("-limit-", "-sequences-")), path] if call.given.get("resume") else []
    earlier = next((place for place in before if place.exists()), None)
    return ComparisonFolder.named(path.with_name(name), settings, earlier, chosen="out" in call.given)
