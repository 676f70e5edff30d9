"""Records of a study of thoughts: of runs, of differences to their autoregressive rows, and means over seeds."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence

from ltm_pyro.studies.records import (
    Record,
    Results,
    difference,
    done,
    error_over_seeds,
    has,
    is_done,
    mean_score,
    numbers,
)
from ltm_pyro.studies.trial import Trial

THOUGHTS, TWIN, FULL = "thoughts", "autoregressive", "full context"  # kinds of rows
NUMBERS = ("exact", "elbo", "importance_weighted", "prior", "predictive", "prior_predictive")
PAIRED = {  # a number, and the autoregressive row's that it is compared with
    "elbo": "exact",
    "importance_weighted": "exact",
    "prior": "exact",
    "predictive": "predictive",
}
SUMMED = ("parameters", "parameters_guide", "tokens", "tokens_before", "train_seconds", "cpu_seconds", "kl_per_token")


def key_of(corpus: str, row: str, seed: int) -> str:
    """As a folder's name."""
    return re.sub(r"[^\w.]+", "-", f"{corpus} {row} seed {seed}").strip("-.")


def run_records(trials: Sequence[Trial], results: Results) -> list[Record]:
    """A flat record of every run that has ended."""
    return [_record(trial, trials, results) for trial in trials if trial.key in results]


def summaries(trials: Sequence[Trial], results: Results) -> list[Record]:
    """A flat record of every row on every corpus, means over its seeds.

    `..._standard_error` and `..._error` are over sequences, of the mean over seeds; `..._seed_error` over seeds.
    """
    rows: dict[str, list[Trial]] = {}
    for trial in done(results, trials):
        rows.setdefault(trial.variant, []).append(trial)
    return [_summary(own, trials, results) for own in rows.values()]


def curves(trials: Sequence[Trial], results: Results) -> list[Record]:
    """Points of every learning curve; a row that starts from another goes on where that one ends."""
    return [
        {
            "corpus": trial.about["corpus"],
            "variant": trial.about["row"],
            "seed": trial.seed,
            **_as_bounds(point),
            "tokens": point["tokens"] + _before(trial, "tokens", trials, results),
            "seconds": point["seconds"] + _before(trial, "train_seconds", trials, results),
        }
        for trial in done(results, trials)
        for point in results[trial.key]["curve"]
    ]


def failures(trials: Sequence[Trial], results: Results) -> list[str]:
    """A line for each trial that has failed."""
    ended = [trial for trial in trials if trial.key in results and not is_done(results, trial)]
    return [f"{trial}: {results[trial.key]['reason']}" for trial in ended]


def _record(trial: Trial, trials: Sequence[Trial], results: Results) -> Record:
    result = results[trial.key]
    about = {key: trial.about[key] for key in ("corpus", "row", "kind")}
    about |= {"seed": trial.seed, "status": result["status"], "reason": result.get("reason", "")}
    if result["status"] != "done":
        return about
    found = numbers(results, trial)
    about |= {"tokens_before": _before(trial, "tokens", trials, results), "cpu_seconds": result["cpu_seconds"]}
    return {**about, **found, "parameters": found["parameters_model"], **_paired([trial], trials, results)}


def _before(trial: Trial, name: str, trials: Sequence[Trial], results: Results) -> float:
    """Tokens or seconds (`tokens`, `train_seconds`) that had been spent on the weights before the run began."""
    before = next((other for other in trials if other.key == trial.start_from), None)
    return 0 if before is None else numbers(results, before)[name] + _before(before, name, trials, results)


def _summary(own: Sequence[Trial], trials: Sequence[Trial], results: Results) -> Record:
    found = [_record(trial, trials, results) for trial in own]
    first = found[0]
    summary = {key: first[key] for key in ("corpus", "row", "kind")} | {"variant": first["row"], "seeds": len(own)}
    summary |= {name: first[name] for name in ("sequences", "draws")}
    for name in [*SUMMED, *(name for name in first if name.startswith("kl_layer_"))]:
        if all(record.get(name) is not None for record in found):
            summary[name] = statistics.fmean(record[name] for record in found)
    for number in NUMBERS:
        if has(results, own, number):
            score, key = mean_score(results, own, number), f"{number}_nats_per_token"
            summary |= {key: score.nats_per_token, f"{number}_standard_error": score.standard_error}
            summary[f"{key}_seed_error"] = error_over_seeds([record[key] for record in found])
    return summary | _paired(own, trials, results)


def _paired(own: Sequence[Trial], trials: Sequence[Trial], results: Results) -> Record:
    """Cost of the runs of one row above that of their autoregressive rows, nats per token, mean over seeds."""
    found: Record = {}
    for name, reference in (("autoregressive", "twin"), ("full_context", "full")):
        pairs = list(_pairs(own, reference, trials, results))
        for ours, theirs in PAIRED.items():
            if pairs and has(results, [mine for mine, _ in pairs], ours):
                found |= difference(results, pairs, ours, theirs, f"{ours}_minus_{name}")
    return found


def _pairs(
    own: Sequence[Trial], reference: str, trials: Sequence[Trial], results: Results
) -> Iterator[tuple[Trial, Trial]]:
    by_key = {trial.key: trial for trial in trials}
    for trial in own:
        row = trial.about[reference]
        other = by_key.get(key_of(trial.about["corpus"], row, trial.seed)) if row else None
        if other is not None and is_done(results, other):
            yield trial, other


def _as_bounds(point: Record) -> Record:
    """An autoregressive model's log-likelihood is a bound of each kind, and its KL nothing."""
    exact = point.get("exact")
    return point if exact is None else {**point, "importance_weighted": exact, "from_prior": exact}
