"""Tables of a comparison of priors, in Markdown that is also readable in a terminal, and generated texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ltm_pyro.studies.priors.records import NUMBERS, PAIRED
from ltm_pyro.studies.records import Record

NAMES = {"elbo": "ELBO", "importance_weighted": "importance-weighted", "predictive": "predictive", "prior": "prior"}


def markdown(rows: Sequence[Record], runs: Sequence[Record], first: str, notes: Sequence[str] = ()) -> str:
    """Tables of a comparison in Markdown.

    Args:
        rows: summaries of all priors.
        runs: records of all runs.
        first: name of the reference prior.
        notes: notes on the budget.
    """
    parts = [_four_numbers(rows, first), _kl(rows), _aggregate(rows), _cost(rows, notes)] if rows else []
    failed = [record for record in runs if record["status"] == "failed"]
    if failed:
        lines = [f"- {record['prior']}, seed {record['seed']}: {record['reason']}" for record in failed]
        parts.append("\n".join(["## Failed", "", *lines]))
    return "\n\n".join(parts)


def _four_numbers(rows: Sequence[Record], first: str) -> str:
    from ltm_pyro.tables import section

    seeds = any(row["seeds"] > 1 for row in rows)
    has_reference = any(row["prior"] == first for row in rows)
    header = ["prior", "seeds", *NAMES.values(), *(f"{NAMES[number]} - first's" for number in PAIRED)]
    cells = [
        [
            row["prior"],
            str(row["seeds"]),
            *(_number(row, f"{number}_nats_per_token", f"{number}_standard_error") for number in NUMBERS),
            *(_difference(row, number, first) for number in PAIRED),
        ]
        for row in rows
    ]
    row = rows[0]
    over = "; the second, in brackets, over seeds" if seeds else ""
    notes = [
        f"nats/token, lower is better; {row['sequences']:,} held-out sequences, {row['draws']} draws of z each. "
        f"± one standard error over sequences, the same sequences for all{over}.",
        "The predictive number is of the second half of each text, q fitted on the first; in the prior's, nothing is "
        "fitted.",
        f"Differences are paired, sequence by sequence and seed by seed, with those of {first}; below zero is better."
        if has_reference
        else f"There are no differences: the reference, {first}, has no numbers.",
    ]
    notes += [f"z from {row['prior']} is drawn by {row['sampler']}." for row in rows if row.get("sampler")]
    return section("The four numbers", [header, *cells], notes)


def _kl(rows: Sequence[Record]) -> str:
    from ltm_pyro.evaluation.fit_check import note_on_gains
    from ltm_pyro.runs.trials import gains_of
    from ltm_pyro.tables import section, with_error

    header = ["prior", "KL", "by layer", "the KL is", "log p(z) is", "effective sample size", "prior - ELBO"]
    cells = [
        [
            row["prior"],
            _number(row, "kl_per_token"),
            " ".join(f"{kl:.4f}" for kl in layers_of(row, "kl_layer_")) or "does not split",
            row["kl_kind"],
            row["density"],
            f"{row['effective_sample_size']:.1f} of {row['draws']}",
            with_error(row["prior_nats_per_token"] - row["elbo_nats_per_token"], row.get("worth_error")),
        ]
        for row in rows
    ]
    notes = [
        "prior - ELBO: gain of fitting q to the scored text, net of its KL; ± one standard error over sequences. A "
        "gain within two standard errors of zero is not significant.",
        *note_on_gains(gains_of(rows, "prior")),
    ]
    return section("KL(q ‖ p), nats/token", [header, *cells], notes)


def _aggregate(rows: Sequence[Record]) -> str:
    from ltm_pyro.tables import section

    header = ["prior", "MMD²", "95 % if equal", "p-value", "log p(z) under q̄", "under p", "‖z‖ by layer, q̄ / p"]
    header.append("variance by layer, q̄ / p")
    cells = [
        [
            row["prior"],
            f"{row['mmd2']:.2e}",
            f"{row['mmd2_null_95']:.2e}",
            row["mmd_p_values"],
            _number(row, "log_prior", "log_prior_error", digits=2),
            _number(row, "own_log_prior", "own_log_prior_error", digits=2),
            *(_layers_beside(row, kind) for kind in ("norm", "variance")),
        ]
        for row in rows
    ]
    notes = [
        "q̄: a sample of z from the fitted posterior of each held-out sequence; p: as many samples of the prior. A "
        "small p-value (one per seed) means that the two differ. log p(z) in nats per sequence, if its density is "
        "exact."
    ]
    return section("Aggregated posterior q̄ against prior p", [header, *cells], notes)


def _cost(rows: Sequence[Record], notes: Sequence[str]) -> str:
    from ltm_pyro.tables import section

    header = ["prior", "seconds/step", "steps", "tokens", "seconds", "parameters of the prior", "in all"]
    cells = [
        [
            row["prior"],
            f"{row['seconds_per_step']:.3g}",
            *(f"{round(row[key]):,}" for key in ("steps", "tokens")),
            f"{row['train_seconds']:.1f}",
            *(f"{row[key]:,}" for key in ("parameters_prior", "parameters")),
        ]
        for row in rows
    ]
    return section("Budget and cost", [header, *cells], ["Seconds of training, without validations.", *notes])


def _number(row: Record, key: str, error: str = "", digits: int = 4) -> str:
    from ltm_pyro.tables import number, with_error

    text = with_error(row.get(key), row.get(error) if error else None, digits)
    over_seeds = row.get(f"{key}_seed_error", math.nan)
    return text if math.isnan(over_seeds) else f"{text} ({number(over_seeds, digits)})"


def _difference(row: Record, number: str, first: str) -> str:
    key = f"{number}_minus_first"
    if row["prior"] == first:
        return "first"
    return ("+" if row.get(key, 0.0) > 0 else "") + _number(row, key, f"{key}_error")


def layers_of(row: Mapping[str, Any], prefix: str) -> list[float]:
    """Values of a number by layer, from the first."""
    values: list[float] = []
    while f"{prefix}{len(values) + 1}" in row:
        values.append(row[f"{prefix}{len(values) + 1}"])
    return values


def _layers_beside(row: Record, kind: str) -> str:
    ours, prior = layers_of(row, f"{kind}_layer_"), layers_of(row, f"prior_{kind}_layer_")
    return "  ".join(f"{q:.3g}/{p:.3g}" for q, p in zip(ours, prior, strict=True))


def samples_side_by_side(runs: Sequence[Record], folder: Path) -> str:
    """Generated texts of all priors in Markdown, grouped by number and seed.

    Args:
        runs: records of the runs.
        folder: folder of the comparison.
    """
    lines = ["# Texts with z from the prior", ""]
    finished = [record for record in runs if record["status"] == "done"]
    paths = {(r["prior"], r["seed"]): sorted((folder / r["run"] / "samples").glob("prior-*.txt")) for r in finished}
    for number in range(max(map(len, paths.values()), default=0)):
        for seed in dict.fromkeys(record["seed"] for record in finished):
            lines += [f"## Sample {number + 1}, seed {seed}", ""]
            texts = {
                prior: files[number]
                for (prior, run_seed), files in paths.items()
                if run_seed == seed and number < len(files)
            }
            for prior, path in texts.items():
                lines += [f"### {prior}", "", *_quoted(path.read_text(encoding="utf-8")), ""]
    return "\n".join(lines)


def _quoted(text: str) -> list[str]:
    """Lines of a Markdown code block that shows a text verbatim."""
    return [f"    {line}" for line in text.rstrip("\n").split("\n")]
