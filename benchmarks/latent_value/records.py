"""Records of the study: runs, differences to their autoregressive rows, and means over seeds."""

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
PAIRED = {  # number, and the autoregressive row's number to compare with
    "elbo": "exact",
    "importance_weighted": "exact",
    "prior": "exact",
    "predictive": "predictive",
}
SUMMED = ("parameters", "parameters_guide", "tokens", "tokens_before", "train_seconds", "cpu_seconds", "kl_per_token")


def key_of(corpus: str, row: str, seed: int) -> str:
    """Folder name of a trial."""
    return re.sub(r"[^\w.]+", "-", f"{corpus} {row} seed {seed}").strip("-.")


def run_records(trials: Sequence[Trial], results: Results) -> list[Record]:
    """Flat records of all runs that have ended."""
    return [_record(trial, trials, results) for trial in trials if trial.key in results]


def summaries(trials: Sequence[Trial], results: Results) -> list[Record]:
    """Flat records of every row on every corpus, means over seeds.

    `..._standard_error` and `..._error` are errors over sequences of the mean over seeds; `..._seed_error` is the error
    over seeds.
    """
    rows: dict[str, list[Trial]] = {}
    for trial in done(results, trials):
        rows.setdefault(trial.variant, []).append(trial)
    return [_summary(runs, trials, results) for runs in rows.values()]


def curves(trials: Sequence[Trial], results: Results) -> list[Record]:
    """Points of all learning curves; a row that starts from another row continues that row's curve."""
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
    """Lines about the failed trials."""
    ended = [trial for trial in trials if trial.key in results and not is_done(results, trial)]
    return [f"{trial}: {results[trial.key]['reason']}" for trial in ended]


def _record(trial: Trial, trials: Sequence[Trial], results: Results) -> Record:
    result = results[trial.key]
    about = {key: trial.about[key] for key in ("corpus", "row", "kind")}
    about |= {"seed": trial.seed, "status": result["status"], "reason": result.get("reason", "")}
    if result["status"] != "done":
        return about
    scores = numbers(results, trial)
    about |= {"tokens_before": _before(trial, "tokens", trials, results), "cpu_seconds": result["cpu_seconds"]}
    return {**about, **scores, "parameters": scores["parameters_model"], **_paired([trial], trials, results)}


def _before(trial: Trial, name: str, trials: Sequence[Trial], results: Results) -> float:
    """Tokens or seconds (`tokens`, `train_seconds`) of the runs that the run's initial weights come from."""
    parent = next((candidate for candidate in trials if candidate.key == trial.start_from), None)
    return 0 if parent is None else numbers(results, parent)[name] + _before(parent, name, trials, results)


def _summary(runs: Sequence[Trial], trials: Sequence[Trial], results: Results) -> Record:
    records = [_record(trial, trials, results) for trial in runs]
    first = records[0]
    summary = {key: first[key] for key in ("corpus", "row", "kind")} | {"variant": first["row"], "seeds": len(runs)}
    summary |= {name: first[name] for name in ("sequences", "draws")}
    for name in [*SUMMED, *(name for name in first if name.startswith("kl_layer_"))]:
        if all(record.get(name) is not None for record in records):
            summary[name] = statistics.fmean(record[name] for record in records)
    for number in NUMBERS:
        if has(results, runs, number):
            score, key = mean_score(results, runs, number), f"{number}_nats_per_token"
            summary |= {key: score.nats_per_token, f"{number}_standard_error": score.standard_error}
            summary[f"{key}_seed_error"] = error_over_seeds([record[key] for record in records])
    return summary | _paired(runs, trials, results)


def _paired(runs: Sequence[Trial], trials: Sequence[Trial], results: Results) -> Record:
    """Differences in cost of a row's runs to their autoregressive rows, nats per token, mean over seeds."""
    record: Record = {}
    for name, reference in (("autoregressive", "twin"), ("full_context", "full")):
        pairs = list(_pairs(runs, reference, trials, results))
        for ours, theirs in PAIRED.items():
            if pairs and has(results, [run for run, _ in pairs], ours):
                record |= difference(results, pairs, ours, theirs, f"{ours}_minus_{name}")
    return record


def _pairs(
    runs: Sequence[Trial], reference: str, trials: Sequence[Trial], results: Results
) -> Iterator[tuple[Trial, Trial]]:
    by_key = {trial.key: trial for trial in trials}
    for trial in runs:
        row = trial.about[reference]
        twin = by_key.get(key_of(trial.about["corpus"], row, trial.seed)) if row else None
        if twin is not None and is_done(results, twin):
            yield trial, twin


def _as_bounds(point: Record) -> Record:
    """Point of a curve in which an autoregressive model's log-likelihood also stands for the bounds."""
    exact = point.get("exact")
    return point if exact is None else {**point, "importance_weighted": exact, "from_prior": exact}
