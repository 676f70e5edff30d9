"""Comparisons of an earlier version, whose results.json was the only place of their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ltm_pyro.studies import process
from ltm_pyro.studies.priors.records import run_key
from ltm_pyro.studies.process import PLAN, RESULT
from ltm_pyro.studies.trial import VALIDATION, Plan, Trial


def keep_earlier(out: Path, pieces: Mapping[str, list[dict[str, Any]]], plans: Iterable[tuple[Trial, Plan]]) -> None:
    """Keep what results.json alone knows of trials where the study looks for it.

    Args:
        out: the folder of the comparison, whose settings are known to be the same.
        pieces: of results.json.
        plans: trials with their plans.
    """
    for trial, plan in plans:
        folder, key = out / "cells" / trial.key, run_key(trial.variant, trial.seed)
        done = [record for record in pieces.get(key, []) if record["status"] == "done"]
        if done and not folder.exists():
            folder.mkdir(parents=True)
            costs = {"numbers": done[0], "sequences": pieces[f"{key} sequences"]}
            result = {"status": "done", "record": {}, "scored": {VALIDATION: costs}, "curve": pieces[f"{key} curve"]}
            process.write(folder / PLAN, dict(plan))
            process.write(folder / RESULT, {"plan": plan, **result, "cpu_seconds": 0.0})
