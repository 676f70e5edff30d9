"""Import of comparisons by an earlier version, which kept results in results.json only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ltm_pyro.studies import process
from ltm_pyro.studies.priors.records import run_key
from ltm_pyro.studies.process import PLAN, RESULT
from ltm_pyro.studies.trial import VALIDATION, Plan, Trial


def keep_earlier(out: Path, pieces: Mapping[str, list[dict[str, Any]]], plans: Iterable[tuple[Trial, Plan]]) -> None:
    """Write trials that only results.json holds into the folders of this version.

    Args:
        out: folder of the comparison; its settings must be the same.
        pieces: content of results.json.
        plans: trials with their plans.
    """
    for trial, plan in plans:
        folder, key = out / "cells" / trial.key, run_key(trial.variant, trial.seed)
        finished = [record for record in pieces.get(key, []) if record["status"] == "done"]
        if finished and not folder.exists():
            folder.mkdir(parents=True)
            costs = {"numbers": finished[0], "sequences": pieces[f"{key} sequences"]}
            result = {"status": "done", "record": {}, "scored": {VALIDATION: costs}, "curve": pieces[f"{key} curve"]}
            process.write(folder / PLAN, dict(plan))
            process.write(folder / RESULT, {"plan": plan, **result, "cpu_seconds": 0.0})
