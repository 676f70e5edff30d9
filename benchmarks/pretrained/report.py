"""The table of the experiment, from its records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.pretrained.experiment import CONSTANT, DTYPES, FROZEN, HALF, ZERO
from ltm_pyro.evaluation.score import LN2, ratio_error

Record = Mapping[str, Any]
HEADER = (
    "corpus",
    "window",
    "seed",
    "weights",
    "model",
    "bits/byte",
    "gain over the constant prompt",
    "gain over its z = 0",
    "KL, bits/byte",
    "prior - ELBO, bits/byte",
    "second half, bits/byte",
    "gain, second half",
    "tokens/s",
)


def table(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """Rows of cells, with a header; gains are paired over texts, in bits/byte, with standard errors."""
    rows = [HEADER]
    groups: dict[tuple[str, Any, int, str], list[Record]] = {}
    for record in records:
        trial = record["trial"]
        dtype = trial.get("dtype", DTYPES[0])
        groups.setdefault((trial["corpus"], trial["window"], trial["seed"], dtype), []).append(record)
    for (corpus, window, seed, dtype), group in sorted(groups.items(), key=str):
        constant = next((record for record in group if record["trial"]["arm"]["name"] == CONSTANT), None)
        where = (corpus, str(window or "all"), str(seed), dtype)
        with_twins = [record for record in group if FROZEN in record["nats"]]
        rows += [(*where, *_frozen(record, constant)) for record in with_twins[:1]]
        for record in sorted(group, key=lambda record: str(record["trial"]["arm"]["name"])):
            rows.append((*where, *_arm(record, constant)))
    return rows


def _frozen(record: Record, constant: Record | None) -> tuple[str, ...]:
    nats, half = _nats(record, FROZEN), _nats(record, FROZEN + HALF)
    gains = _gain(nats, constant, record["bytes"], ""), _gain(half, constant, record["half"]["bytes"], HALF)
    bits, bits_half = _bits(nats, record["bytes"]), _bits(half, record["half"]["bytes"])
    return ("frozen", bits, gains[0], "", "", "", bits_half, gains[1], "")


def _arm(record: Record, constant: Record | None) -> tuple[str, ...]:
    exact = "exact" in record["nats"]
    nats, half = _nats(record, "exact" if exact else "importance_weighted"), _nats(record, "predictive")
    worth = "" if exact else _with_error(_nats(record, "prior") - _nats(record, "elbo"), record["bytes"])
    return (
        record["trial"]["arm"]["name"],
        _bits(nats, record["bytes"]),
        _gain(nats, constant, record["bytes"], ""),
        "" if exact else _with_error(_nats(record, ZERO) - nats, record["bytes"]),
        "" if exact else f"{record['kl'] * sum(record['tokens']) / sum(record['bytes']) / LN2:.4f}",
        worth,
        _bits(half, record["half"]["bytes"]),
        _gain(half, constant, record["half"]["bytes"], HALF),
        f"{record['tokens_per_second']:.0f}",
    )


def _nats(record: Record, name: str) -> np.ndarray:
    return np.asarray(record["nats"][name])


def _bits(nats: np.ndarray, bytes_: Sequence[int]) -> str:
    return _with_error(nats, bytes_, sign="")


def _gain(nats: np.ndarray, constant: Record | None, bytes_: Sequence[int], half: str) -> str:
    """Bits/byte less than the constant prompt's, with their paired error."""
    if constant is None:
        return ""
    return _with_error(_nats(constant, "predictive" if half else "exact") - nats, bytes_)


def _with_error(nats: np.ndarray, bytes_: Sequence[int], sign: str = "+") -> str:
    sizes = np.asarray(bytes_)
    error = ratio_error(nats / LN2, sizes)
    mean = nats.sum() / LN2 / sizes.sum()
    return f"{mean:{sign}.4f}" + ("" if math.isnan(error) else f" ± {error:.4f}")
