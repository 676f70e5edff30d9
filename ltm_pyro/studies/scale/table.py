"""A study of scale as people read it: Markdown that is also a plain terminal's table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ltm_pyro.studies.records import Record
from ltm_pyro.studies.scale.grid import AS_TRAINED, TRAINED
from ltm_pyro.studies.scale.records import BOUNDS

NAMES = {"elbo": "ELBO", "importance_weighted": "importance-weighted", "prior": "prior", "predictive": "predictive"}
COLUMNS = {"fast_steps": "T_fast", "thoughts": "K", "layers": "L", "width": "D", "window": "window"}


def markdown(rows: Sequence[Record], laws: Sequence[Record], failed: Sequence[Record], compute: str) -> str:
    """All tables of a study.

    Args:
        rows: a summary of every model at each T_fast of inference.
        laws: as `results_of_scale.laws` gives them.
        failed: records of runs that have failed.
        compute: what the laws are of, `flops_per_token` or `paper_flops_per_token`.
    """
    parts = [_numbers(rows), _cost(rows), _laws(laws, compute)] if rows else []
    if failed:
        lines = [f"- {record['run']}: {record['reason']}" for record in failed]
        parts.append("\n".join(["## Failed", "", *lines]))
    return "\n\n".join(parts)


def name_of(row: Mapping[str, Any], among: Sequence[Mapping[str, Any]], but: Sequence[str] = ()) -> str:
    """A model's name by the dimensions in which some differ; the thoughts as N_z, in all layers.

    Args:
        row: of the model.
        among: the rows from which it is to be told.
        but: dimensions that are said elsewhere.
    """
    varied = [name for name in TRAINED if name not in but and len({other[name] for other in among}) > 1]
    parts = [
        f"N_z = {row['all_thoughts']}" if name == "thoughts" else f"{COLUMNS[name]} = {row[name]}" for name in varied
    ]
    return ", ".join(parts) or "model"


def fitted(law: Any) -> str:
    """A law's equation."""
    a, b, *c = law.parameters.values()
    if law.kind == "power":
        return f"{a:.4g} {b:+.3g} (C / {law.reference:.3g})^-{c[0]:.3g}"
    return f"{a:.4g} {b:+.3g} ln(C / {law.reference:.3g})"


def _numbers(rows: Sequence[Record]) -> str:
    from ltm_pyro.evaluation.fit_check import note_on_gains
    from ltm_pyro.tables import section

    one, seeds = rows[0], any(row["seeds"] > 1 for row in rows)
    header = [*COLUMNS.values(), "N_z", "T_fast, inference", "seeds", *(NAMES[n] for n in NAMES)]
    header += ["ELBO, bits/byte", "importance-weighted, bits/byte", "KL"]
    cells = [
        [
            *(str(row[name]) for name in COLUMNS),
            str(row["all_thoughts"]),
            str(row["inference_steps"]),
            str(row["seeds"]),
            *(_number(row, number, "nats_per_token", "standard_error", "seed_error") for number in NAMES),
            *(_number(row, n, "bits_per_byte", "bits_per_byte_error", "bits_per_byte_seed_error") for n in BOUNDS),
            f"{row['kl_per_token']:.4f}",
        ]
        for row in rows
    ]
    over = "; the second, in brackets, over seeds" if seeds else "; one seed tells nothing of the spread over seeds"
    notes = [
        f"nats/token, lower is better; {one['sequences']:,} held-out texts, {one['draws']} draws of z each, with noise "
        f"that nothing was fitted to. ± one standard error over texts, the same for all{over}.",
        "ELBO and importance-weighted: q fitted on the text. Predictive: of the second half, q fitted on the first. "
        "Prior: nothing fitted. The checkpoint is the last, which the scored text had no part in choosing.",
    ]
    gains = {
        f"{name_of(row, rows)} with {row['inference_steps']} steps": (row["fit_gain"], row["fit_gain_error"])
        for row in rows
        if "fit_gain" in row
    }
    return section("The numbers", [header, *cells], [*notes, *note_on_gains(gains)])


def _number(row: Record, number: str, key: str, error: str, over_seeds: str) -> str:
    from ltm_pyro.tables import number as told
    from ltm_pyro.tables import with_error

    text = with_error(row[f"{number}_{key}"], row[f"{number}_{error}"])
    spread = row[f"{number}_{over_seeds}"]
    return text if math.isnan(spread) else f"{text} ({told(spread)})"


def _cost(rows: Sequence[Record]) -> str:
    from ltm_pyro.tables import section

    first = [row for row in rows if row["inference"] == rows[0]["inference"]]
    header = [*COLUMNS.values(), "parameters", "MFLOPs/token spent", "as the paper counts", "tokens", "seconds/step"]
    cells = [
        [
            *(str(row[name]) for name in COLUMNS),
            f"{row['parameters']:,.0f}",
            f"{row['flops_per_token'] / 1e6:,.2f}",
            f"{row['paper_flops_per_token'] / 1e6:,.2f}",
            f"{row['tokens']:,.0f}",
            f"{row['seconds_per_step']:.3g}",
        ]
        for row in first
    ]
    notes = [
        "Training FLOPs: what torch counts in this library's loops, and (T_fast + 1)(6 N + 6 L D T). Seconds are of "
        "one thread, beside whatever else ran."
    ]
    return section("What training spends", [header, *cells], notes)


def _laws(laws: Sequence[Record], compute: str) -> str:
    from ltm_pyro.tables import number, section

    what = "spent" if compute == "flops_per_token" else "as the paper counts them"
    header = ["T_fast, inference", "number", "law, nats/token", "a", "b", "c", "left over", "of seeds", "models"]
    cells, notes = [], []
    for record in laws:
        law = record["law"]
        where = "as in training" if record["inference"] == AS_TRAINED else record["inference"]
        if law is None:
            notes.append(f"{NAMES[record['number']]}, T_fast at inference {where}: {record['reason']}.")
            continue
        intervals = [f"{low:.4g} to {high:.4g}" for low, high in law.intervals.values()]
        left = [number(law.residual), number(law.noise), str(law.cells)]
        cells.append([where, NAMES[record["number"]], fitted(law), *intervals, *["–"] * (3 - len(intervals)), *left])
        low, high = law.intervals["b"]
        if low < 0 < high:
            notes.append(
                f"{NAMES[record['number']]}, T_fast at inference {where}: b may be 0, so that C tells nothing."
            )
        if law.remark:
            notes.append(f"{NAMES[record['number']]}, T_fast at inference {where}: logarithmic, since {law.remark}.")
    title = f"Loss against training FLOPs per token, {what}"
    if not cells:
        return "\n".join([f"## {title}", "", *notes])
    some = next(record["law"] for record in laws if record["law"] is not None)
    seeds = "texts and seeds" if not math.isnan(some.noise) else "texts alone: a second seed would widen them"
    about = (
        f"Intervals: {some.level:.0%}, of the bootstrap over {seeds}. Left over: root mean square of what the law "
        "misses; where it is well above what seeds explain, compute alone does not say what the loss is, and the "
        "intervals do not say how far off the law is. It holds on this grid, at equal tokens; nothing is "
        "told of larger models."
    )
    return section(title, [header, *cells], [about, *notes])
