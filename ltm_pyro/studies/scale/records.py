"""What the cells of a study of scale come to: a record of every run, means over seeds, and laws."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ltm_pyro.errors import InputError
from ltm_pyro.studies.priors.records import error_over_seeds, mean_score
from ltm_pyro.studies.scale.grid import TRAINED, Cell

Record = dict[str, Any]
Results = Mapping[str, Record]
Compute = Literal["flops_per_token", "paper_flops_per_token"]
BOUNDS = ("elbo", "importance_weighted")
NUMBERS = (*BOUNDS, "prior", "predictive")
OTHERS = ("kl_per_token", "effective_sample_size", "parameters", "flops_per_token", "paper_flops_per_token")
SPENT = ("tokens", "train_seconds", "seconds_per_step")


def run_records(cells: Sequence[Cell], results: Results, inference: Sequence[int | str]) -> list[Record]:
    """A flat record of every run at each T_fast of inference, and one of every run that has failed."""
    records = []
    for cell in cells:
        result = results.get(cell.key)
        if result is None:
            continue
        about = {**_sizes(cell), "seed": cell.seed, "run": f"runs/{cell.key}", "status": result["status"]}
        if result["status"] != "done":
            records.append({**about, "reason": result["reason"]})
            continue
        for steps in inference:
            scored = result["scored"][str(steps)]
            at = {"inference": str(steps), "inference_steps": scored["inference_steps"]}
            records.append({**about, **at, **scored["numbers"], **result["cost"]})
    return records


def summaries(cells: Sequence[Cell], results: Results, inference: Sequence[int | str]) -> list[Record]:
    """A flat record of every model with a run that is done, at each T_fast of inference: means over its seeds.

    `..._standard_error` and `..._bits_per_byte_error` are over texts, of the mean over seeds; `..._seed_error` is over
    seeds, NaN for one.
    """
    return [_summary(own, results, steps) for own in _by_sizes(cells, results).values() for steps in inference]


def laws(
    cells: Sequence[Cell], results: Results, inference: Sequence[int | str], compute: Compute, draws: int, seed: int
) -> list[Record]:
    """A law of each bound at each T_fast of inference, or the reason why there is none.

    Returns:
        Records of `inference`, `number`, `law` (a `Law`, or None) and `reason`.
    """
    from ltm_pyro.studies.scale.law import fit_law

    found = []
    groups = _by_sizes(cells, results).values()
    for steps in inference:
        for number in BOUNDS:
            about: Record = {"inference": str(steps), "number": number, "law": None, "reason": ""}
            try:
                about["law"] = fit_law([_point(own, results, steps, number, compute) for own in groups], draws, seed)
            except InputError as error:
                about["reason"] = str(error)
            found.append(about)
    return found


def curves(cells: Sequence[Cell], results: Results, name: Any) -> list[Record]:
    """The points of every run's learning curve; its model's name, which `name` gives, stands as `prior`."""
    done = [cell for cell in cells if results.get(cell.key, {}).get("status") == "done"]
    return [
        {"prior": name(_sizes(cell)), "seed": cell.seed, **point}
        for cell in done
        for point in results[cell.key]["curve"]
    ]


def _sizes(cell: Cell) -> Record:
    return {**cell.sizes, "all_thoughts": cell.sizes["layers"] * cell.sizes["thoughts"]}


def _by_sizes(cells: Sequence[Cell], results: Results) -> dict[tuple, list[Cell]]:
    """The cells that are done, those of one model together."""
    groups: dict[tuple, list[Cell]] = {}
    for cell in cells:
        if results.get(cell.key, {}).get("status") == "done":
            groups.setdefault(tuple(cell.sizes[name] for name in TRAINED), []).append(cell)
    return groups


def _summary(own: Sequence[Cell], results: Results, steps: int | str) -> Record:
    scored = [results[cell.key]["scored"][str(steps)] for cell in own]
    flat = [{**one["numbers"], **results[cell.key]["cost"]} for cell, one in zip(own, scored, strict=True)]
    row: Record = {**_sizes(own[0]), "inference": str(steps), "inference_steps": scored[0]["inference_steps"]}
    row |= {"seeds": len(own), "sequences": flat[0]["sequences"], "draws": flat[0]["draws"]}
    for number in NUMBERS:
        mean = mean_score(number, [_sequences(one, number) for one in scored])
        row |= {f"{number}_nats_per_token": mean.nats_per_token, f"{number}_standard_error": mean.standard_error}
        row |= {
            f"{number}_bits_per_byte": mean.bits_per_byte,
            f"{number}_bits_per_byte_error": mean.bits_per_byte_error,
        }
        row[f"{number}_perplexity"] = mean.perplexity
        row[f"{number}_seed_error"] = error_over_seeds([record[f"{number}_nats_per_token"] for record in flat])
        bits = [record[f"{number}_bits_per_byte"] for record in flat]
        row[f"{number}_bits_per_byte_seed_error"] = error_over_seeds(bits)
    return row | {key: statistics.fmean(record.get(key, math.nan) for record in flat) for key in (*OTHERS, *SPENT)}


def _point(own: Sequence[Cell], results: Results, steps: int | str, number: str, compute: Compute) -> Any:
    """A model as a law sees it."""
    import numpy as np

    from ltm_pyro.studies.scale import law as scaling_law

    found = [_sequences(results[cell.key]["scored"][str(steps)], number) for cell in own]
    nats = np.array([record["nats"] for record in found])
    return scaling_law.Cell(results[own[0].key]["cost"][compute], nats, np.asarray(found[0]["tokens"], dtype=float))


def _sequences(scored: Record, number: str) -> Record:
    return next(record for record in scored["sequences"] if record["number"] == number)
