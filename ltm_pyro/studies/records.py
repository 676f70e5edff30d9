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
    """Whether a trial has its numbers."""
    return results.get(trial.key, {}).get("status") == "done"


def done(results: Results, trials: Iterable[Trial]) -> list[Trial]:
    """Those trials that have their numbers."""
    return [trial for trial in trials if is_done(results, trial)]


def numbers(results: Results, trial: Trial, scoring: str = VALIDATION) -> Record:
    """The numbers of a trial that is done, costs and parameters included, as one flat record."""
    result = results[trial.key]
    return {**result["scored"][scoring]["numbers"], **result["record"]}


def sequences(results: Results, trial: Trial, number: str, scoring: str = VALIDATION) -> Record:
    """Cost of every sequence by one of the numbers: `nats`, `tokens` and `bytes`.

    Raises:
        StopIteration: if the trial has no such number.
    """
    return next(one for one in results[trial.key]["scored"][scoring]["sequences"] if one["number"] == number)


def has(results: Results, trials: Sequence[Trial], number: str, scoring: str = VALIDATION) -> bool:
    """Whether all of these trials, which are done, have one of the numbers."""
    found = (results[trial.key]["scored"][scoring]["sequences"] for trial in trials)
    return all(any(one["number"] == number for one in own) for own in found)


def mean_score(results: Results, trials: Sequence[Trial], number: str, scoring: str = VALIDATION) -> Score:
    """The costs of every sequence, mean over trials that are done: one for each seed."""
    import numpy as np

    from ltm_pyro.evaluation import Score

    found = [sequences(results, trial, number, scoring) for trial in trials]
    nats = np.mean([np.asarray(one["nats"]) for one in found], axis=0)
    return Score(number, nats, np.asarray(found[0]["tokens"]), np.asarray(found[0]["bytes"]))


def difference(
    results: Results, pairs: Sequence[tuple[Trial, Trial]], ours: str, theirs: str, name: str, over_seeds: bool = True
) -> Record:
    """Cost of trials above that of others, nats per token, sequence by sequence and seed by seed.

    Args:
        results: of all trials.
        pairs: a trial and the one that it is compared with, for each seed.
        ours, theirs: the numbers that are compared.
        name: of the difference.
        over_seeds: whether the error over seeds is wanted too.

    Returns:
        `NAME`, the mean over seeds, `NAME_error`, over sequences, and `NAME_seed_error`, NaN for one seed.
    """
    mine, others = (list(side) for side in zip(*pairs, strict=True))
    gap, error = mean_score(results, mine, ours).minus(mean_score(results, others, theirs))
    found = {name: gap, f"{name}_error": error}
    if over_seeds:
        each = [mean_score(results, [a], ours).minus(mean_score(results, [b], theirs))[0] for a, b in pairs]
        found[f"{name}_seed_error"] = error_over_seeds(each)
    return found


def curves(results: Results, trials: Sequence[Trial]) -> list[Record]:
    """The points of the learning curves of all trials that are done, with their variants and seeds."""
    return [
        {"variant": trial.variant, "seed": trial.seed, **point}
        for trial in done(results, trials)
        for point in results[trial.key]["curve"]
    ]


def error_over_seeds(values: Sequence[float]) -> float:
    """Standard error of a mean over seeds, NaN for one."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
