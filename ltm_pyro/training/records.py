"""Log records of training steps, as plain numbers."""

from __future__ import annotations

import math
from typing import Any

import torch

from ltm_pyro.bounds import Terms


def per_token(terms: Terms, tokens: int, has_density: bool = True) -> dict[str, Any]:
    """The terms of a batch in nats per token, as plain numbers; without KL and ELBO if q has no density."""
    sums = torch.stack([terms.objective.sum(), terms.elbo.sum(), terms.log_likelihood.sum(), terms.kl.sum()])
    objective, elbo, log_likelihood, kl = (sums.double() / tokens).tolist()
    layers = [] if terms.kl_per_layer is None else (terms.kl_per_layer.sum(0).double() / tokens).tolist()
    record = {"objective": objective, "elbo": elbo, "log_likelihood": log_likelihood, "kl": kl, "kl_per_layer": layers}
    record["kl_closed_form"] = terms.kl_closed_form
    return record if has_density else {name: record[name] for name in ("objective", "log_likelihood")}


def flat(record: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers of a nested record by path, for trackers without nesting."""
    numbers: dict[str, float] = {}
    for name, value in record.items():
        items = dict(enumerate(value, 1)) if isinstance(value, list) else value
        if isinstance(items, dict):
            numbers.update(flat({str(key): item for key, item in items.items()}, f"{prefix}{name}/"))
        elif isinstance(value, (int, float)) and math.isfinite(value):
            numbers[prefix + name] = float(value)
    return numbers
