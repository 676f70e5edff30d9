"""Drawings of the studies' committed records.

Where a study keeps its means over seeds and their errors in its table alone, they are read from the table, as rounded.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gallery.records import read_csv, read_tables, with_errors
from benchmarks.latent_value.report import GAPS, differences
from ltm_pyro.plots import Drawing
from ltm_pyro.studies.bounds import figures as figures_of_bounds
from ltm_pyro.studies.bounds.measured import Measured
from ltm_pyro.studies.guides import figures as figures_of_guides
from ltm_pyro.studies.priors import figures as figures_of_priors
from ltm_pyro.studies.records import Record
from ltm_pyro.studies.scale import figures as figures_of_scale
from ltm_pyro.studies.scale.grid import AS_TRAINED
from ltm_pyro.studies.scale.law import Law
from ltm_pyro.studies.scale.records import BOUNDS

LAW = re.compile(r"([\d.]+) ([+-][\d.]+) (?:ln)?\(C / ([\d.e+-]+)\)(?:\^-([\d.]+))?")
PARTS = ("ELBO", "importance-weighted")


def bounds(folder: Path) -> list[Drawing]:
    """Drawings of `ltm compare bounds`."""
    records = [record for record in read_csv(folder / "records.csv") if record["part"] != "slope"]
    return figures_of_bounds.drawings(Measured({"records": records}))


def guides(folder: Path) -> list[Drawing]:
    """Drawings of `ltm compare guides`; step sizes from their table."""
    records = [record for record in read_csv(folder / "records.csv") if record["part"] != "step size"]
    path = folder / "step-sizes.md"
    steps = [record for row in next(read_tables(path)) for record in _step_sizes(row)] if path.exists() else []
    own = figures_of_guides.drawings(records)
    return [*own, *figures_of_guides.drawings(steps)]


def _step_sizes(row: dict[str, str]) -> list[Record]:
    factors = {head: float(head[2:]) for head in row if head.startswith("× ")}
    parts: Record = {"part": "step size", "guide": row["guide"]}
    return [{**parts, "factor": factor, "elbo": float(row[head])} for head, factor in factors.items()]


def priors(folder: Path) -> list[Drawing]:
    """Drawings of `ltm compare priors`; paired differences from the table."""
    runs = [{**record, "variant": record["prior"]} for record in read_csv(folder / "records.csv")]
    table = {row["prior"]: row for row in next(read_tables(folder / "table.md"))}
    rows = []
    for run in runs:
        row = dict(run)
        for key, name in zip(("elbo", "importance_weighted"), PARTS, strict=True):
            key = f"{key}_minus_first"
            cell = table[run["variant"]][f"{name} - first's"]
            row |= with_errors(cell, key, f"{key}_error", f"{key}_seed_error")
        rows.append(row)
    return figures_of_priors.drawings(rows, runs, [])


def latent_value(folder: Path) -> list[Drawing]:
    """Drawings of the paired differences of `benchmarks.latent_value`; means over seeds from the table."""
    records = [{**record, "variant": record["row"]} for record in read_csv(folder / "records.csv")]
    rows = []
    for cells in next(read_tables(folder / "table.md")):
        row: Record = {"variant": cells["row"]}
        for head, key in GAPS.items():
            row |= with_errors(cells.get(head, ""), key, f"{key}_error", f"{key}_seed_error")
        rows.append(row)
    return differences(rows, records, f"differences-{records[0]['corpus']}")


def scale(folder: Path) -> list[Drawing]:
    """Drawings of `ltm scale`; means over seeds and laws, which have no band then, from the table.

    The table's rows are in the order of the first seed's records.
    """
    runs = [{**run, "inference": str(run["inference"])} for run in read_csv(folder / "records.csv")]
    table, _, laws = read_tables(folder / "table.md")
    first = [run for run in runs if run["seed"] == runs[0]["seed"]]
    rows = [{**run, **_mean(run, cells)} for run, cells in zip(first, table, strict=True)]
    drawings = figures_of_scale.drawings(rows, runs, [_law(cells) for cells in laws], [], "flops_per_token")
    kinds = {run["inference"] for run in runs}
    suffix = f"-inference-{kinds.pop()}" if len(kinds) == 1 else " none"  # a study with one kind does without
    return [drawing._replace(name=drawing.name.removesuffix(suffix)) for drawing in drawings]


def _mean(run: Record, cells: dict[str, str]) -> Record:
    assert (str(run["fast_steps"]), str(run["inference_steps"])) == (cells["T_fast"], cells["T_fast, inference"])
    mean: Record = {}
    for key, name in zip(BOUNDS, PARTS, strict=True):
        mean |= with_errors(cells[name], f"{key}_nats_per_token", f"{key}_standard_error", f"{key}_seed_error")
        bits = f"{key}_bits_per_byte"
        mean |= with_errors(cells[f"{name}, bits/byte"], bits, f"{bits}_error", f"{bits}_seed_error")
    return mean


def _law(cells: dict[str, str]) -> Record:
    """Law of a row of the table, without the draws of its bootstrap."""
    inference = cells["T_fast, inference"].replace("as in training", AS_TRAINED)
    number = BOUNDS[PARTS.index(cells["number"])]
    match = LAW.match(cells["law, nats/token"])
    if match is None:
        return {"among": "", "inference": inference, "number": number, "law": None}
    a, b, reference, c = match.groups()
    parameters = {"a": float(a), "b": float(b), **({"c": float(c)} if c else {})}
    numbers: dict[str, Any] = {"residual": math.nan, "noise": math.nan, "level": 0.95, "remark": "", "seeds": 0}
    numbers |= {"cells": 0, "budgets": 0, "intervals": {}, "draws": np.empty((0, len(parameters)))}
    law = Law(kind="power" if c else "logarithmic", parameters=parameters, reference=float(reference), **numbers)
    return {"among": "", "inference": inference, "number": number, "law": law}
