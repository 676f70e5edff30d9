"""Records of a study's trials: costs of every sequence, paired differences, means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.studies.trial import VALIDATION, Trial

if TYPE_CHECKING:
    from ltm_pyro.evaluation import Score

Record = dict[str, Any]
Results = Mapping[str, Record]  # of trials, by key


def is_done(results: Results, trial: Trial) -> bool:
    """True if a trial has its numbers."""
    return results.get(trial.key, {}).get("status") == "done"


def done(results: Results, trials: Iterable[Trial]) -> list[Trial]:
    """Trials that have their numbers."""
    return [trial for trial in trials if is_done(results, trial)]


def numbers(results: Results, trial: Trial, scoring: str = VALIDATION) -> Record:
    """Numbers of a finished trial, costs and parameters included, as a flat record."""
    result = results[trial.key]
    return {**result["scored"][scoring]["numbers"], **result["record"]}


def sequences(results: Results, trial: Trial, number: str, scoring: str = VALIDATION) -> Record:
    """Cost of every sequence for a number: `nats`, `tokens` and `bytes`.

    Raises:
        StopIteration: if the trial has no such number.
    """
    costs = results[trial.key]["scored"][scoring]["sequences"]
    return next(record for record in costs if record["number"] == number)


def has(results: Results, trials: Sequence[Trial], number: str, scoring: str = VALIDATION) -> bool:
    """True if all of these finished trials have a number."""
    costs = (results[trial.key]["scored"][scoring]["sequences"] for trial in trials)
    return all(any(record["number"] == number for record in records) for records in costs)


def mean_score(results: Results, trials: Sequence[Trial], number: str, scoring: str = VALIDATION) -> Score:
    """Costs of every sequence, mean over finished trials, one for each seed."""
    import numpy as np

    from ltm_pyro.evaluation import Score

    costs = [sequences(results, trial, number, scoring) for trial in trials]
    nats = np.mean([np.asarray(cost["nats"]) for cost in costs], axis=0)
    return Score(number, nats, np.asarray(costs[0]["tokens"]), np.asarray(costs[0]["bytes"]))


def difference(
    results: Results, pairs: Sequence[tuple[Trial, Trial]], ours: str, theirs: str, name: str, over_seeds: bool = True
) -> Record:
    """Difference in cost between paired trials, nats per token, paired by sequence and seed.

    Args:
        results: results of all trials.
        pairs: a trial and its reference trial, for each seed.
        ours, theirs: number of the trials, and of the references.
        name: name of the difference.
        over_seeds: also compute the error over seeds.

    Returns:
        `NAME`, the mean over seeds, `NAME_error`, over sequences, and `NAME_seed_error`, NaN for one seed.
    """
    trials, references = (list(side) for side in zip(*pairs, strict=True))
    gap, error = mean_score(results, trials, ours).minus(mean_score(results, references, theirs))
    record = {name: gap, f"{name}_error": error}
    if over_seeds:
        by_seed = [mean_score(results, [a], ours).minus(mean_score(results, [b], theirs))[0] for a, b in pairs]
        record[f"{name}_seed_error"] = error_over_seeds(by_seed)
    return record


def curves(results: Results, trials: Sequence[Trial]) -> list[Record]:
    """Points of the learning curves of all finished trials, with their variants and seeds."""
    return [
        {"variant": trial.variant, "seed": trial.seed, **point}
        for trial in done(results, trials)
        for point in results[trial.key]["curve"]
    ]


def error_over_seeds(values: Sequence[float]) -> float:
    """Standard error of a mean over seeds; NaN for a single seed."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
