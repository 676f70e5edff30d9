"""Tables of a comparison of guides, in Markdown that is also readable in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ltm_pyro.studies.guides.sizes import Sizes
from ltm_pyro.tables import number, section, with_error

Record = dict[str, Any]
HEAD = {"elbo": "ELBO", "importance_weighted": "importance-weighted", "predictive": "predictive", "prior": "prior"}


def report(records: Sequence[Record], sizes: Sizes) -> str:
    """Tables of all measurements."""
    by = {part: [r for r in records if r["part"] == part] for part in ("cost", "numbers", "curve", "step size", "gap")}
    parts = []
    for budget, title in (("passes", f"{sizes.passes} decoder passes"), ("time", "equal time"), ("long", "long run")):
        rows = [record for record in by["numbers"] if record["budget"] == budget]
        if rows:
            parts.append(_four_numbers(rows, f"The four numbers, {title}"))
    at_passes = [record for record in by["numbers"] if record["budget"] == "passes"]
    if by["gap"]:
        parts.append(_gaps(by["gap"]))
    if at_passes:
        parts.append(_about_q(at_passes))
    if by["cost"]:
        parts.append(_costs(by["cost"], at_passes))
    if by["curve"]:
        parts.append(_curves(by["curve"]))
    if by["step size"]:
        parts.append(_step_sizes(by["step size"]))
    return "\n\n".join(parts)


def _four_numbers(rows: Sequence[Record], title: str) -> str:
    header = ["guide", "steps", "ms/sequence", *HEAD.values()]
    cells = [
        [
            row["guide"],
            str(row["steps"]),
            f"{1e3 * row['seconds_per_sequence']:.3g}",
            *(_cost_or_reason(row, name) for name in HEAD),
        ]
        for row in rows
    ]
    notes = [
        f"nats/token, lower is better; ± one standard error over sequences; {rows[0]['draws']} draws of z. The "
        "predictive number is of the second half of each text, q fitted on the first; in the prior's, nothing is "
        "fitted.",
    ]
    if any(not row["has_density"] for row in rows):
        notes.append("No density: there is no bound on log p(x), and a reconstruction from samples of q is no bound.")
    return section(title, [header, *cells], notes)


def _cost_or_reason(row: Record, name: str) -> str:
    if name in row:
        return with_error(row[name], row[f"{name}_error"])
    return "no density" if not row["has_density"] else "–"


def _gaps(rows: Sequence[Record]) -> str:
    header = ["guide", "gap", "left after the long run", "closed by it"]
    names = ("gap", "approximation_gap", "inference_gap")
    cells = [[row["guide"], *(with_error(row.get(name), row.get(f"{name}_error")) for name in names)] for row in rows]
    notes = [
        "nats/token. gap: the ELBO's cost less that of the reference, the importance-weighted bound of the long run "
        f"of {rows[0]['reference']}. Left after the long run: the gap of the best long run of the guide's family, an "
        "upper estimate of its approximation gap. The true approximation gap of a family is no larger than that of a "
        "family it contains; the estimate can be larger if the long run has not converged, or if a flow's weights, "
        "shared by all texts, are held fixed. Closed by it: the rest of the gap (amortisation or optimisation gap); "
        "below zero, the fit within the budget is better than the long run. ± one standard error over sequences, "
        "paired."
    ]
    return section("The gap split", [header, *cells], notes)


def _about_q(rows: Sequence[Record]) -> str:
    header = ["guide", "KL", "by layer", "the KL is", "effective sample size", "k-hat"]
    cells = [
        [
            row["guide"],
            number(row["kl"]),
            " ".join(number(row[f"kl_layer_{i}"]) for i in _layers(row)) or "does not split",
            row["kl_kind"],
            f"{row['effective_sample_size']:.1f} of {row['draws']}",
            number(row["pareto_k"], 2),
        ]
        for row in rows
        if row["has_density"]
    ]
    notes = [
        "KL(q ‖ p) in nats/token, at equal passes; by layer: of every layer given the layers before it. k-hat: median "
        "over sequences; above 0.7 the importance weights are not to be trusted."
    ]
    return section("q and its weights", [header, *cells], notes)


def _layers(row: Record) -> list[int]:
    return [i for i in range(1, len(row)) if f"kl_layer_{i}" in row]


def _costs(rows: Sequence[Record], at_passes: Sequence[Record]) -> str:
    header = ["guide", "ms: start and end", "a step", "passes: start and end", "a step", "q, kB", "a step keeps, MB"]
    header.append("passes in training")
    cells = [
        [
            row["guide"],
            f"{1e3 * row['seconds']:.3g}",
            f"{1e3 * row['seconds_per_step']:.3g}",
            str(row["passes"]),
            str(row["passes_per_step"]),
            f"{row['bytes_of_q'] / 1e3:.1f}",
            f"{row['bytes_of_step'] / 1e6:.2f}",
            f"{row['training_passes']:,}",
        ]
        for row in rows
    ]
    notes = [
        'Per sequence; timed in turn, medians. "A step keeps": memory kept for its backward pass (CUDA: the peak).'
    ]
    return section("Cost", [header, *cells], notes)


def _curves(rows: Sequence[Record]) -> str:
    steps = sorted({row["steps"] for row in rows})
    names = list(dict.fromkeys(row["guide"] for row in rows))
    costs = {(row["guide"], row["steps"]): row["elbo"] for row in rows}
    cells = [[name, *(number(costs.get((name, count))) for count in steps)] for name in names]
    notes = ["nats/token, lower is better. Every number is a separate fit, with a schedule over its number of steps."]
    return section("The ELBO's cost against fast steps", [["guide", *map(str, steps)], *cells], notes)


def _step_sizes(rows: Sequence[Record]) -> str:
    factors = sorted({row["factor"] for row in rows})
    names = list(dict.fromkeys(row["guide"] for row in rows))
    by_factor = {(row["guide"], row["factor"]): row for row in rows}
    cells = []
    for name in names:
        costs = {factor: by_factor[name, factor]["elbo"] for factor in factors if (name, factor) in by_factor}
        best = min(costs, key=lambda factor: costs[factor])
        default = next(row["default"] for row in rows if row["guide"] == name)
        cells.append([name, f"{default:g}", *(number(costs.get(factor)) for factor in factors), f"{best * default:g}"])
    header = ["guide", "its own factor", *(f"× {factor:g}" for factor in factors), "best factor"]
    return section("Step sizes, at equal passes", [header, *cells], ["The ELBO's cost, nats/token, lower is better."])
