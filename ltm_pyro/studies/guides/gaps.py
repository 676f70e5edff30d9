"""Gap of a guide to log p(x), split into approximation gap and inference gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltm_pyro.evaluation.score import Score

Record = dict[str, Any]
NUMBERS = ("elbo", "importance_weighted", "predictive", "prior", "reconstruction")


def gaps(records: Sequence[Record]) -> list[Record]:
    r"""Gap of every guide with a density at equal passes, as records.

    .. math:: \underbrace{\log p(x) - \mathcal{L}(q)}_{\text{gap}}
              = \underbrace{\log p(x) - \mathcal{L}(q^*)}_{\text{approximation gap}}
              + \underbrace{\mathcal{L}(q^*) - \mathcal{L}(q)}_{\text{inference gap}}

    (Cremer, Li and Duvenaud, 2018, arXiv 1801.03558; the inference gap is their amortisation gap if an encoder gives q,
    and an optimisation gap if a loop does.) The best long run of any guide of the same family estimates :math:`q^*`,
    the best q of the family. If that run has not converged, the estimated approximation gap is larger than the true
    one; it may then be larger for a family than for another family that it contains. The tightest importance-weighted
    bound of all long runs replaces log p(x), so that the gap is a lower bound on the true gap. In nats/token, with
    paired standard errors over sequences.

    Args:
        records: records of part `numbers`, each with its `sequences`.
    """
    numbers = [record for record in records if record["part"] == "numbers" and record["has_density"]]
    long = [record for record in numbers if record["budget"] == "long"]
    if not long:
        return []
    reference = min(long, key=lambda record: record["importance_weighted"])
    rows = []
    for record in (record for record in numbers if record["budget"] == "passes"):
        best = min(
            (candidate for candidate in long if candidate["family"] == record["family"]),
            key=lambda candidate: candidate["elbo"],
            default=None,
        )
        rows.append({"part": "gap", "guide": record["guide"], "reference": reference["guide"]})
        rows[-1] |= _difference("gap", record, "elbo", reference, "importance_weighted")
        if best is not None:
            rows[-1] |= _difference("approximation_gap", best, "elbo", reference, "importance_weighted")
            rows[-1] |= _difference("inference_gap", record, "elbo", best, "elbo")
    return rows


def _difference(name: str, record: Record, number: str, reference: Record, reference_number: str) -> dict[str, float]:
    cost = _score(record["sequences"], number)
    difference, error = cost.minus(_score(reference["sequences"], reference_number))
    return {name: difference, f"{name}_error": error}


def _score(sequences: Mapping[str, list[float]], number: str) -> Score:
    nats, tokens = (np.asarray(sequences[key], dtype=np.float64) for key in (number, "tokens"))
    return Score(number, nats, tokens, np.zeros_like(tokens))
