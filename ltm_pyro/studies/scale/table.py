"""Tables of a scaling study, in Markdown that is also readable in a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ltm_pyro.studies.records import Record
from ltm_pyro.studies.scale.axes import axes_of, short_names
from ltm_pyro.studies.scale.grid import AS_TRAINED
from ltm_pyro.studies.scale.records import BOUNDS

NAMES = {"elbo": "ELBO", "importance_weighted": "importance-weighted", "prior": "prior", "predictive": "predictive"}
COLUMNS = {"fast_steps": "T_fast", "thoughts": "K", "layers": "L", "width": "D", "window": "window"}


def markdown(rows: Sequence[Record], laws: Sequence[Record], failed: Sequence[Record], compute: str) -> str:
    """Tables of a study in Markdown.

    Args:
        rows: summaries of all models at each T_fast of inference.
        laws: laws, from `records.laws`.
        failed: records of failed runs.
        compute: measure of compute of the laws, `flops_per_token` or `paper_flops_per_token`.
    """
    parts = [_numbers(rows), _cost(rows), _laws(laws, compute)] if rows else []
    if failed:
        lines = [f"- {record['run']}: {record['reason']}" for record in failed]
        parts.append("\n".join(["## Failed", "", *lines]))
    return "\n\n".join(parts)


def name_of(row: Mapping[str, Any], among: Sequence[Mapping[str, Any]], but: Sequence[str] = ()) -> str:
    """Name of a model by the dimensions that vary; thoughts as N_z, the number in all layers.

    Args:
        row: row of the model.
        among: rows of all models.
        but: dimensions to leave out.
    """
    columns = columns_of(row)
    varied = [name for name in columns if name not in but and len({model[name] for model in among}) > 1]
    parts = [
        f"N_z = {row['all_thoughts']}" if name == "thoughts" else f"{columns[name]} = {row[name]}" for name in varied
    ]
    return ", ".join(parts) or "model"


def columns_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Dimensions of a model, with their names in tables."""
    sizes = {name: short for name, short in COLUMNS.items() if name in row}
    return {**sizes, **short_names(axes_of(row))}


def fitted(law: Any) -> str:
    """Equation of a law."""
    a, b, *c = law.parameters.values()
    if law.kind == "power":
        return f"{a:.4g} {b:+.3g} (C / {law.reference:.3g})^-{c[0]:.3g}"
    return f"{a:.4g} {b:+.3g} ln(C / {law.reference:.3g})"


def _numbers(rows: Sequence[Record]) -> str:
    from ltm_pyro.evaluation.fit_check import note_on_gains
    from ltm_pyro.tables import section

    first, seeds = rows[0], any(row["seeds"] > 1 for row in rows)
    columns = columns_of(first)
    header = [*columns.values(), "N_z", "T_fast, inference", "seeds", *(NAMES[n] for n in NAMES)]
    header += ["ELBO, bits/byte", "importance-weighted, bits/byte", "KL"]
    cells = [
        [
            *(str(row[name]) for name in columns),
            str(row["all_thoughts"]),
            str(row["inference_steps"]),
            str(row["seeds"]),
            *(_number(row, number, "nats_per_token", "standard_error", "seed_error") for number in NAMES),
            *(_number(row, n, "bits_per_byte", "bits_per_byte_error", "bits_per_byte_seed_error") for n in BOUNDS),
            f"{row['kl_per_token']:.4f}",
        ]
        for row in rows
    ]
    over = "; the second, in brackets, over seeds" if seeds else "; a single seed gives no error over seeds"
    notes = [
        f"nats/token, lower is better; {first['sequences']:,} held-out texts, {first['draws']} draws of z each, with "
        f"fresh noise. ± one standard error over texts, the same texts for all{over}.",
        "ELBO and importance-weighted: q fitted on the text. Predictive: of the second half, q fitted on the first. "
        "Prior: nothing fitted. The checkpoint is the last, so that the scored text had no part in its choice.",
    ]
    gains = {
        f"{name_of(row, rows)} with {row['inference_steps']} steps": (row["fit_gain"], row["fit_gain_error"])
        for row in rows
        if "fit_gain" in row
    }
    return section("The numbers", [header, *cells], [*notes, *note_on_gains(gains)])


def _number(row: Record, number: str, key: str, error: str, over_seeds: str) -> str:
    from ltm_pyro.tables import number as digits
    from ltm_pyro.tables import with_error

    text = with_error(row[f"{number}_{key}"], row[f"{number}_{error}"])
    spread = row[f"{number}_{over_seeds}"]
    return text if math.isnan(spread) else f"{text} ({digits(spread)})"


def _cost(rows: Sequence[Record]) -> str:
    from ltm_pyro.tables import section

    first = [row for row in rows if row["inference"] == rows[0]["inference"]]
    columns = columns_of(first[0])
    header = [*columns.values(), "parameters", "MFLOPs/token spent", "as the paper counts", "tokens", "seconds/step"]
    cells = [
        [
            *(str(row[name]) for name in columns),
            f"{row['parameters']:,.0f}",
            f"{row['flops_per_token'] / 1e6:,.2f}",
            f"{row['paper_flops_per_token'] / 1e6:,.2f}",
            f"{row['tokens']:,.0f}",
            f"{row['seconds_per_step']:.3g}",
        ]
        for row in first
    ]
    notes = [
        "Training FLOPs: as torch counts them in this library's loops, and (T_fast + 1)(6 N + 6 L D T). Seconds are of "
        "one thread, with other runs on the machine."
    ]
    return section("What training spends", [header, *cells], notes)


def _laws(laws: Sequence[Record], compute: str) -> str:
    from ltm_pyro.tables import number, section

    measure = "spent" if compute == "flops_per_token" else "as the paper counts them"
    grouped = any(record["among"] for record in laws)
    header = [
        *(["models with"] if grouped else []),
        "T_fast, inference",
        "number",
        "law, nats/token",
        "a",
        "b",
        "c",
        "left over",
        "of seeds",
        "models",
    ]
    cells, notes = [], []
    for record in laws:
        law = record["law"]
        where = "as in training" if record["inference"] == AS_TRAINED else record["inference"]
        of = f"{record['among']}: " if record["among"] else ""
        subject = f"{of}{NAMES[record['number']]}, T_fast at inference {where}"
        if law is None:
            notes.append(f"{subject}: {record['reason']}.")
            continue
        intervals = [f"{low:.4g} to {high:.4g}" for low, high in law.intervals.values()]
        quality = [number(law.residual), number(law.noise), str(law.cells)]
        dashes = ["–"] * (3 - len(intervals))
        group = [record["among"]] if grouped else []
        cells.append([*group, where, NAMES[record["number"]], fitted(law), *intervals, *dashes, *quality])
        low, high = law.intervals["b"]
        if low < 0 < high:
            notes.append(f"{subject}: the interval of b includes 0: no effect of C.")
        if law.remark:
            notes.append(f"{subject}: logarithmic, since {law.remark}.")
    title = f"Loss against training FLOPs per token, {measure}"
    if not cells:
        return "\n".join([f"## {title}", "", *notes])
    fit = next(record["law"] for record in laws if record["law"] is not None)
    seeds = "texts and seeds" if not math.isnan(fit.noise) else "texts alone: a second seed would widen them"
    about = (
        f"Intervals: {fit.level:.0%}, of the bootstrap over {seeds}. Left over: root mean square of the residuals; if "
        "it is well above the part that seeds explain, compute alone does not determine the loss, and the intervals do "
        "not cover the misfit of the law. The law holds on this grid, at equal tokens, and says nothing about larger "
        "models."
    )
    return section(title, [header, *cells], [about, *notes])
