"""What the runs of a comparison of priors come to: records, paired with the first prior's, and means over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ltm_pyro.evaluation import Score

Record = dict[str, Any]
Pieces = Mapping[str, list[Record]]
NUMBERS = ("elbo", "importance_weighted", "predictive", "prior")
PAIRED = ("elbo", "importance_weighted")
# the same for every seed
AS_ALL = ("kl_kind", "density", "sampler", "parameters_prior", "parameters", "draws", "sequences")
OF_ONE_RUN = ("seed", "run", "status", "reason", "checkpoint_step", "mmd_p_value")


def run_records(pieces: Pieces, names: Sequence[str], seeds: Sequence[int]) -> list[Record]:
    """A flat record of every run that has ended, with what it costs more than the first prior's of the same seed.

    Args:
        pieces: `record`, `sequences` and so on of each run, as `run_key` names them.
        names: the priors, the first of which the others are compared with.
        seeds: of the runs.
    """
    records = []
    for name in names:
        for seed in seeds:
            for record in pieces.get(run_key(name, seed), []):
                records.append({**record, **_paired(pieces, name, names[0], [seed])})
    return records


def summaries(pieces: Pieces, names: Sequence[str], seeds: Sequence[int]) -> list[Record]:
    """A flat record of every prior with a run that is done: means over its seeds, and both kinds of errors.

    `..._standard_error` is over sequences, of the mean over seeds; `..._seed_error` over seeds, NaN for one.
    """
    found = []
    for name in names:
        runs = {seed: record for seed in seeds for record in _done(pieces, name, seed)}
        if runs:
            found.append(_summary(pieces, name, runs) | _paired(pieces, name, names[0], list(runs)))
    return found


def run_key(name: str, seed: int) -> str:
    """What a run's record is kept under; its other pieces have this with another word behind it."""
    return f"{name} seed {seed}"


def _done(pieces: Pieces, name: str, seed: int) -> list[Record]:
    return [record for record in pieces.get(run_key(name, seed), []) if record["status"] == "done"]


def _summary(pieces: Pieces, name: str, runs: Mapping[int, Record]) -> Record:
    records = list(runs.values())
    summary: Record = {"prior": records[0]["prior"], "seeds": len(runs)}
    for key, value in records[0].items():
        if key in AS_ALL:
            summary[key] = value
        elif isinstance(value, int | float) and key not in OF_ONE_RUN and not key.endswith("standard_error"):
            values = [record.get(key, math.nan) for record in records]
            summary |= {key: statistics.fmean(values), f"{key}_seed_error": error_over_seeds(values)}
    for number in NUMBERS:
        summary[f"{number}_standard_error"] = _mean_score(pieces, name, number, list(runs)).standard_error
    summary["mmd_p_values"] = ", ".join(f"{record['mmd_p_value']:.3g}" for record in records)
    return summary


def _paired(pieces: Pieces, name: str, first: str, seeds: list[int]) -> Record:
    """Mean over seeds of this prior's cost minus the first's, nats per token, with its errors."""
    both = [seed for seed in seeds if _done(pieces, name, seed) and _done(pieces, first, seed)]
    if name == first or not both:
        return {}
    found: Record = {}
    for number in PAIRED:
        ours, theirs = (_mean_score(pieces, who, number, both) for who in (name, first))
        gap, error = ours.minus(theirs)
        found |= {f"{number}_minus_first": gap, f"{number}_minus_first_error": error}
        if len(seeds) > 1:
            gaps = [
                _mean_score(pieces, name, number, [s]).minus(_mean_score(pieces, first, number, [s]))[0] for s in both
            ]
            found[f"{number}_minus_first_seed_error"] = error_over_seeds(gaps)
    return found


def _mean_score(pieces: Pieces, name: str, number: str, seeds: Sequence[int]) -> Score:
    return mean_score(number, [_sequences(pieces, name, number, seed) for seed in seeds])


def mean_score(number: str, found: Sequence[Record]) -> Score:
    """The costs of every sequence, mean over runs, each of which has a record of `nats`, `tokens` and `bytes`."""
    import numpy as np

    from ltm_pyro.evaluation import Score

    nats = np.mean([np.asarray(record["nats"]) for record in found], axis=0)
    return Score(number, nats, np.asarray(found[0]["tokens"]), np.asarray(found[0]["bytes"]))


def _sequences(pieces: Pieces, name: str, number: str, seed: int) -> Record:
    return next(r for r in pieces[f"{run_key(name, seed)} sequences"] if r["number"] == number)


def error_over_seeds(values: Sequence[float]) -> float:
    """Standard error of a mean over seeds, NaN for one."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
