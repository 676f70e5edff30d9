"""Tables of a comparison of bounds, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ltm_pyro.evaluation.pareto import TRUSTED
from ltm_pyro.studies.bounds.measured import Measured, Record
from ltm_pyro.tables import aligned, number, with_error

UNRESOLVED = "unresolved"
Rows = list[tuple[str, ...]]


def report(measured: Measured) -> str:
    """Summary, a table for every measured part, and the refusals with their reasons."""
    sections = [
        (f"Summary at S={measured.at_particles}", _summary),
        ("Tightness", _tightness),
        ("Gradient by γ, q's local parameters", lambda c: _gradients(c, "γ")),
        ("Gradient by θ, the weights", lambda c: _gradients(c, "θ")),
        ("Reliability of the importance weights", _weights),
        ("Cost of a step", _cost),
        ("Inference from a cold start", lambda c: _curves(c, "inference")),
        ("Learning from the initial weights", lambda c: _curves(c, "learning")),
        ("Not measured", _refusals),
    ]
    texts = [(title, make(measured)) for title, make in sections]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in texts if text)


def _snr(record: Record) -> str:
    """Signal-to-noise ratio of a gradient, if its mean is distinguishable from noise."""
    if not record:
        return "–"
    return UNRESOLVED if math.isnan(record["snr"]) else with_error(record["snr"], record["snr_error"], 2)


def _summary(measured: Measured) -> str:
    gradients = [r for r in measured.to_records("gradient") if r["particles"] == measured.at_particles]
    of = {(r["parameters"], r["estimator"]): r for r in gradients}
    cost = {r["estimator"]: r for r in measured.to_records("cost")}
    ended = {r["estimator"]: r for r in measured.to_records("inference")}
    values = {r["bound"]: r for r in measured.to_records("tightness") if r["particles"] == measured.at_particles}
    names = {r["estimator"]: r["bound"] for r in [*ended.values(), *gradients] if r.get("parameters") != "θ"}
    unit = next((r["unit"] for r in [*values.values(), *ended.values()]), "")
    rows: Rows = []
    for name, bound in names.items():
        γ, θ = of.get(("γ", name), {}), of.get(("θ", bound), {})
        value, price = values.get(bound, {}), cost.get(name, {})
        claim = {**ended.get(name, {}), **γ, **value}.get("claim", "")
        rows.append(
            (
                name,
                claim,
                with_error(value.get("value"), value.get("error_over_draws")),
                _snr(γ),
                _bias(γ),
                _snr(θ),
                number(price.get("fast_time"), 2),
                number(price.get("slow_time"), 2),
                _ended(ended[name]["elbo"], math.nan) if name in ended else "–",
            )
        )
    header = (
        "",
        "claim",
        f"value, {unit}",
        "SNR γ",
        "bias γ, %",
        "SNR θ",
        "fast step, ×",
        "slow step, ×",
        "ELBO fitted",
    )
    if not rows:
        return ""
    note = (
        "Value: the bound at the fitted q, ± over draws of z. SNR and bias: of a single gradient at a partly fitted q. "
        "Steps: time as under Cost. ELBO fitted: after a fit of q by this estimator, on the sequences of the inference "
        "part."
    )
    return _table([header, *rows], note)


def _tightness(measured: Measured) -> str:
    records = measured.to_records("tightness")
    if not records:
        return ""
    counts = sorted({r["particles"] for r in records})
    cells = {(r["bound"], r["particles"]): with_error(r["value"], r["error_over_draws"]) for r in records}
    claims = {r["bound"]: r["claim"] for r in records}
    rows = [(b, claim, *(cells.get((b, s), "") for s in counts)) for b, claim in claims.items()]
    first = records[0]
    note = (
        f"{first['unit']}, ± over draws of z; over the {first['sequences']} sequences the error is about "
        f"{number(first['error_over_sequences'])}, the same for all rows, which share one set of draws."
    )
    if "log_evidence" in first:
        note += f" log p(x) is exactly {number(first['log_evidence'])}."
    return _table([("", "claim", *(f"S={s}" for s in counts)), *rows], note)


def _gradients(measured: Measured, parameters: str) -> str:
    records = [r for r in measured.to_records("gradient") if r["parameters"] == parameters]
    if not records:
        return ""
    counts = sorted({r["particles"] for r in records})
    particles = measured.at_particles if measured.at_particles in counts else counts[-1]
    slopes = {r["estimator"]: r for r in measured.to_records("slope") if r["parameters"] == parameters}
    rows: Rows = []
    for r in records:
        if r["particles"] == particles or not any(
            o["particles"] == particles for o in records if o["estimator"] == r["estimator"]
        ):
            slope = slopes.get(r["estimator"], {})
            rows.append(
                (
                    r["estimator"],
                    str(r["particles"]),
                    _significant(r["norm"]) if r["norm"] > 0 else UNRESOLVED,
                    _significant(r["variance"]),
                    UNRESOLVED if math.isnan(r["snr"]) else with_error(r["snr"], r["snr_error"], 3),
                    number(r["snr_coordinates"], 3),
                    with_error(slope.get("slope"), slope.get("slope_error"), 2),
                    "–" if slope.get("theory") is None else f"{slope['theory']:+.1f}",
                    _bias(r),
                    number(r["bias_along_z"], 1),
                    number(r["bias_z"], 1),
                    r["target"],
                )
            )
    header = ("", "S", "‖E g‖", "tr Var", "SNR", "SNR by coordinate", "slope of SNR", "theory")
    noise = records[0]["snr_coordinates_of_noise"]
    note = (
        f"{records[0]['draws']} draws of each. Bias: along the reference, in % of its length; z: in standard errors, "
        "along it and in all directions; beyond ±4 it is significant. The SNR is corrected for its estimation "
        f"noise; the SNR by coordinate is {noise:.3f} for pure noise. Slope: of log SNR by log S."
    )
    if any(UNRESOLVED in row for row in rows):
        note += f" {UNRESOLVED[0].upper()}{UNRESOLVED[1:]}: too few draws to distinguish the mean gradient from noise."
    heavy = [r["estimator"] for r in records if r["particles"] == particles and r["heavy_tails"]]
    if heavy:
        note += f" Heavy tails, so that errors and z are not to be trusted: {', '.join(heavy)}."
    return _table([(*header, "bias, %", "z along", "z all", "compared with"), *rows], note)


def _bias(record: Record) -> str:
    if not record:
        return "–"
    if record["target"] == "another objective":
        return "another objective"
    return with_error(100 * record["bias_along"], 100 * record["bias_along_error"], 1)


def _weights(measured: Measured) -> str:
    records = measured.to_records("weights")
    if not records:
        return ""
    sizes = [r["effective_sample_size"] for r in records]
    shapes = [r["pareto_k"] for r in records if not math.isnan(r["pareto_k"])]
    text = (
        f"Effective sample size of {records[0]['particles']} draws: {sum(sizes) / len(sizes):.1f} in the mean, "
        f"{min(sizes):.1f} at worst, over {len(records)} sequences."
    )
    if shapes:
        bad = sum(k > TRUSTED for k in shapes)
        ordered = sorted(shapes)
        text += (
            f"\nPareto k-hat of {records[0]['draws']} draws: median {ordered[len(ordered) // 2]:.2f}, largest "
            f"{ordered[-1]:.2f}; above {TRUSTED} for {bad} of {len(shapes)} sequences"
            + (", whose importance-weighted numbers are not to be trusted." if bad else ".")
        )
    return text


def _cost(measured: Measured) -> str:
    records = measured.to_records("cost")
    rows = [
        (
            r["estimator"],
            str(r["particles"]),
            *(_cell(r.get(f"{kind}_{quantity}"), form) for kind in ("fast", "slow") for quantity, form in COSTS),
        )
        for r in records
    ]
    header = ("", "S", *(f"{kind} {name}" for kind in ("fast", "slow") for name in ("time, ×", "memory, MB", "passes")))
    note = (
        "Time relative to the reparameterised ELBO with S=1 (the score-function ELBO with S=2 if q is not "
        "reparameterised), median of alternating rounds; memory kept for backward (the peak on CUDA); decoder passes "
        "per sequence."
    )
    return _table([header, *rows], note) if rows else ""


COSTS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("time", lambda value: f"{value:.2f}"),
    ("bytes", lambda value: f"{value / 1e6:.2f}"),
    ("passes", lambda value: f"{value:.0f}"),
)


def _curves(measured: Measured, part: str) -> str:
    records = measured.to_records(part)
    ends = {r["estimator"]: r for r in records}
    rows = [
        (
            name,
            r["claim"],
            str(r["particles"]),
            str(r["step"]),
            f"{r['passes']:,}",
            f"{r['seconds']:.2f}",
            *(_ended(r[value], r[f"{value}_error"]) for value in ("elbo", "importance_weighted")),
        )
        for name, r in ends.items()
    ]
    if not rows:
        return ""
    first = records[0]
    header = ("", "claim", "S", "steps", "passes", "seconds", "ELBO at the end", "importance-weighted")
    note = (
        f"{first['unit']}, ± over {first['sequences']} sequences; every estimator is measured by the same two "
        f"bounds with {first['measure_draws']} fresh draws. Seconds exclude the measurements."
    )
    swapped = [
        f"{n}: {r['fast']} in the fast loop, {r['slow']} in the slow step"
        for n, r in ends.items()
        if r.get("fast") != r.get("slow")
    ]
    return _table([header, *rows], " ".join([note, *(f"{text}." for text in swapped)]))


def _ended(value: float, error: float) -> str:
    return with_error(value, error) if math.isfinite(value) else "diverged"


def _refusals(measured: Measured) -> str:
    reasons = dict.fromkeys(
        (r["estimator"], r.get("parameters", ""), r["reason"]) for r in measured.to_records("refusal")
    )
    return "\n".join(f"- {name}{f', {who}' if who else ''}: {reason}" for name, who, reason in reasons)


def _table(rows: Iterable[tuple[str, ...]], note: str) -> str:
    return "\n".join([*aligned(list(rows)), "", note])


def _cell(value: float | None, form: Callable[[float], str]) -> str:
    return "–" if value is None else form(value)


def _significant(value: float) -> str:
    return f"{value:.3g}"
