"""Records of a comparison of priors: runs, differences to the first prior, and means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ltm_pyro.studies.records import Record, Results, difference, done, error_over_seeds, mean_score, numbers
from ltm_pyro.studies.trial import VALIDATION, Trial

NUMBERS = ("elbo", "importance_weighted", "predictive", "prior")
PAIRED = ("elbo", "importance_weighted")
# the same for every seed
AS_ALL = ("kl_kind", "density", "sampler", "parameters_prior", "parameters", "draws", "sequences")
OF_ONE_RUN = ("seed", "run", "status", "reason", "checkpoint_step", "mmd_p_value")
Pieces = dict[str, list[Record]]


def run_records(trials: Sequence[Trial], results: Results) -> list[Record]:
    """Flat records of all runs that have ended, with differences to the first prior's run of the same seed.

    Args:
        trials: trials of the comparison; the variant of the first is the reference.
        results: results of the trials that have ended, by key.
    """
    return [
        {**_record(trial, results), **_paired([trial], trials, results)} for trial in trials if trial.key in results
    ]


def summaries(trials: Sequence[Trial], results: Results) -> list[Record]:
    """Flat records of all priors with a finished run: means over seeds, and both kinds of errors.

    `..._standard_error` is the error over sequences of the mean over seeds; `..._seed_error` the error over seeds, NaN
    for a single seed.
    """
    rows = []
    for name in dict.fromkeys(trial.variant for trial in trials):
        runs = done(results, (trial for trial in trials if trial.variant == name))
        if runs:
            rows.append(_summary(runs, results) | _paired(runs, trials, results))
    return rows


def pieces_of(trials: Sequence[Trial], results: Results) -> Pieces:
    """Content of results.json: by run, its record, the costs of every sequence, and the learning curve."""
    pieces: Pieces = {}
    for trial in trials:
        key, result = run_key(trial.variant, trial.seed), results.get(trial.key)
        if result is None:
            continue
        pieces[key] = [_record(trial, results)]
        if result["status"] == "done":
            pieces[f"{key} sequences"] = result["scored"][VALIDATION]["sequences"]
            about = {"prior": trial.variant, "seed": trial.seed}
            pieces[f"{key} curve"] = [{**about, **point} for point in result["curve"]]
    return pieces


def run_key(name: str, seed: int) -> str:
    """Key of a run's record; the keys of its other pieces have a word appended."""
    return f"{name} seed {seed}"


def _record(trial: Trial, results: Results) -> Record:
    result = results[trial.key]
    about = {"variant": trial.variant, "prior": trial.variant, "seed": trial.seed, "run": f"runs/{trial.key}"}
    about |= {"status": result["status"], "reason": result.get("reason", "")}
    return about if result["status"] != "done" else {**about, **numbers(results, trial)}


def _summary(runs: Sequence[Trial], results: Results) -> Record:
    records = [numbers(results, trial) for trial in runs]
    summary: Record = {"variant": runs[0].variant, "prior": runs[0].variant, "seeds": len(runs)}
    for key, value in records[0].items():
        if key in AS_ALL:
            summary[key] = value
        elif isinstance(value, int | float) and key not in OF_ONE_RUN and not key.endswith("standard_error"):
            values = [record.get(key, math.nan) for record in records]
            summary |= {key: statistics.fmean(values), f"{key}_seed_error": error_over_seeds(values)}
    for number in NUMBERS:
        summary[f"{number}_standard_error"] = mean_score(results, runs, number).standard_error
    summary["mmd_p_values"] = ", ".join(f"{record['mmd_p_value']:.3g}" for record in records)
    return summary


def _paired(runs: Sequence[Trial], trials: Sequence[Trial], results: Results) -> Record:
    """Difference in cost to the runs of the first prior, nats per token, mean over seeds."""
    first = {trial.seed: trial for trial in done(results, trials) if trial.variant == trials[0].variant}
    pairs = [(trial, first[trial.seed]) for trial in done(results, runs) if trial.seed in first]
    if not pairs or runs[0].variant == trials[0].variant:
        return {}
    record: Record = {}
    for number in PAIRED:
        record |= difference(results, pairs, number, number, f"{number}_minus_first", over_seeds=len(runs) > 1)
    return record
