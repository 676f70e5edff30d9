"""The gap of a guide and its split: what its family's long run leaves, and what that run closes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ltm_pyro.evaluation.score import Score

Record = dict[str, Any]
NUMBERS = ("elbo", "importance_weighted", "predictive", "prior", "reconstruction")


def gaps(records: Sequence[Record]) -> list[Record]:
    r"""A record for every guide with a density at equal passes.

    .. math:: \underbrace{\log p(x) - \mathcal{L}(q)}_{\text{gap}}
              = \underbrace{\log p(x) - \mathcal{L}(q^*)}_{\text{approximation gap}}
              + \underbrace{\mathcal{L}(q^*) - \mathcal{L}(q)}_{\text{inference gap}}

    (Cremer, Li and Duvenaud, 2018, arXiv 1801.03558; the second is their amortisation gap where an encoder gives q, and
    an optimisation gap where a loop does.) For :math:`q^*`, the family's best, stands the best long run of any guide of
    the same family. It may not have come to the best, so that the first part is what the long run leaves, at least the
    family's own; that of a family which contains another may so be the larger. log p(x) is stood for by the tightest
    importance-weighted bound of all long runs, so that the gap is a lower bound on the true one. In nats/token, with
    standard errors over sequences, paired.

    Args:
        records: those of part `numbers`, each with its `sequences`.
    """
    numbers = [record for record in records if record["part"] == "numbers" and record["has_density"]]
    long = [record for record in numbers if record["budget"] == "long"]
    if not long:
        return []
    reference = min(long, key=lambda record: record["importance_weighted"])
    found = []
    for record in (record for record in numbers if record["budget"] == "passes"):
        best = min(
            (other for other in long if other["family"] == record["family"]),
            key=lambda other: other["elbo"],
            default=None,
        )
        found.append({"part": "gap", "guide": record["guide"], "reference": reference["guide"]})
        found[-1] |= _difference("gap", record, "elbo", reference, "importance_weighted")
        if best is not None:
            found[-1] |= _difference("approximation_gap", best, "elbo", reference, "importance_weighted")
            found[-1] |= _difference("inference_gap", record, "elbo", best, "elbo")
    return found


def _difference(name: str, one: Record, number: str, other: Record, of: str) -> dict[str, float]:
    difference, error = _score(one["sequences"], number).minus(_score(other["sequences"], of))
    return {name: difference, f"{name}_error": error}


def _score(sequences: Mapping[str, list[float]], number: str) -> Score:
    nats, tokens = (np.asarray(sequences[key], dtype=np.float64) for key in (number, "tokens"))
    return Score(number, nats, tokens, np.zeros_like(tokens))
