"""Records of a scaling study: runs, means over seeds, and laws."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from ltm_pyro.errors import InputError
from ltm_pyro.studies import records
from ltm_pyro.studies.records import Record, Results, done, error_over_seeds, mean_score, numbers, sequences
from ltm_pyro.studies.scale.axes import axes_of, short_names
from ltm_pyro.studies.scale.grid import AS_TRAINED
from ltm_pyro.studies.trial import Trial

Compute = Literal["flops_per_token", "paper_flops_per_token"]
BOUNDS = ("elbo", "importance_weighted")
NUMBERS = (*BOUNDS, "prior", "predictive")
OTHERS = ("kl_per_token", "effective_sample_size", "parameters", "flops_per_token", "paper_flops_per_token")
SPENT = ("tokens", "train_seconds", "seconds_per_step")


def scoring_of(steps: int | str) -> str:
    """Name of the scoring at a T_fast of inference."""
    return f"inference-{steps}"


def run_records(trials: Sequence[Trial], results: Results, inference: Sequence[int | str]) -> list[Record]:
    """Flat records of every finished run at each T_fast of inference, and of every failed run."""
    rows = []
    for trial in trials:
        result = results.get(trial.key)
        if result is None:
            continue
        about = {**_sizes(trial), "seed": trial.seed, "run": f"runs/{trial.key}", "status": result["status"]}
        if result["status"] != "done":
            rows.append({**about, "reason": result["reason"]})
            continue
        for steps in inference:
            rows.append({**about, **_at(trial, steps), **numbers(results, trial, scoring_of(steps))})
    return rows


def summaries(trials: Sequence[Trial], results: Results, inference: Sequence[int | str]) -> list[Record]:
    """Flat records of every model with a finished run at each T_fast of inference: means over seeds.

    `..._standard_error` and `..._bits_per_byte_error` are errors over texts of the mean over seeds; `..._seed_error` is
    the error over seeds, NaN for a single seed.
    """
    return [_summary(runs, results, steps) for runs in _by_sizes(trials, results).values() for steps in inference]


def laws(
    trials: Sequence[Trial], results: Results, inference: Sequence[int | str], compute: Compute, draws: int, seed: int
) -> list[Record]:
    """Law of each bound at each T_fast of inference, or the reason if there is none.

    Models are grouped by the arguments of `ltm train` among the dimensions: within a group only the sizes differ, which
    is what compute is spent on.

    Returns:
        Records of `among` (the group's name, empty for a single one), `inference`, `number`, `law` (a `Law`, or None)
        and `reason`.
    """
    from ltm_pyro.studies.scale.law import fit_law

    fitted = []
    groups: dict[str, list[list[Trial]]] = {}
    for runs in _by_sizes(trials, results).values():
        groups.setdefault(group_of(runs[0].about), []).append(runs)
    for among, models in groups.items():
        for steps in inference:
            for number in BOUNDS:
                about: Record = {"among": among, "inference": str(steps), "number": number, "law": None, "reason": ""}
                try:
                    points = [_point(runs, results, steps, number, compute) for runs in models]
                    about["law"] = fit_law(points, draws, seed)
                except InputError as error:
                    about["reason"] = str(error)
                fitted.append(about)
    return fitted


def group_of(row: Mapping[str, Any]) -> str:
    """Name of the models that agree in all axes with this one; empty without axes."""
    return ", ".join(f"{short} = {row[name]}" for name, short in short_names(axes_of(row)).items())


def curves(trials: Sequence[Trial], results: Results, name: Callable[[Record], str]) -> list[Record]:
    """Points of every run's learning curve, with the name of its model."""
    names = {trial.variant: name(_sizes(trial)) for trial in trials}
    return [{**point, "variant": names[point["variant"]]} for point in records.curves(results, trials)]


def _sizes(trial: Trial) -> Record:
    return dict(trial.about)


def _at(trial: Trial, steps: int | str) -> Record:
    return {"inference": str(steps), "inference_steps": fast_steps_of(trial, steps)}


def fast_steps_of(trial: Trial, steps: int | str) -> int:
    """T_fast of inference as a number."""
    return int(trial.settings["fast"]["steps"] if steps == AS_TRAINED else steps)


def _by_sizes(trials: Sequence[Trial], results: Results) -> dict[str, list[Trial]]:
    """Finished trials, grouped by model."""
    groups: dict[str, list[Trial]] = {}
    for trial in done(results, trials):
        groups.setdefault(trial.variant, []).append(trial)
    return groups


def _summary(runs: Sequence[Trial], results: Results, steps: int | str) -> Record:
    scoring = scoring_of(steps)
    flat = [numbers(results, trial, scoring) for trial in runs]
    row: Record = {**_sizes(runs[0]), **_at(runs[0], steps)}
    row |= {"seeds": len(runs), "sequences": flat[0]["sequences"], "draws": flat[0]["draws"]}
    for number in NUMBERS:
        mean = mean_score(results, runs, number, scoring)
        row |= {f"{number}_nats_per_token": mean.nats_per_token, f"{number}_standard_error": mean.standard_error}
        row |= {
            f"{number}_bits_per_byte": mean.bits_per_byte,
            f"{number}_bits_per_byte_error": mean.bits_per_byte_error,
        }
        row[f"{number}_perplexity"] = mean.perplexity
        row[f"{number}_seed_error"] = error_over_seeds([record[f"{number}_nats_per_token"] for record in flat])
        bits = [record[f"{number}_bits_per_byte"] for record in flat]
        row[f"{number}_bits_per_byte_seed_error"] = error_over_seeds(bits)
    return row | {key: statistics.fmean(record.get(key, math.nan) for record in flat) for key in (*OTHERS, *SPENT)}


def _point(runs: Sequence[Trial], results: Results, steps: int | str, number: str, compute: Compute) -> Any:
    """Cell of a model for the fit of a law."""
    import numpy as np

    from ltm_pyro.studies.scale import law as scaling_law

    costs = [sequences(results, trial, number, scoring_of(steps)) for trial in runs]
    nats = np.array([record["nats"] for record in costs])
    spent = numbers(results, runs[0], scoring_of(steps))[compute]
    return scaling_law.Cell(spent, nats, np.asarray(costs[0]["tokens"], dtype=float))
