"""Log records of a step: plain numbers."""

from __future__ import annotations

import math
from typing import Any

import torch

from ltm_pyro.bounds import Terms


def per_token(terms: Terms, tokens: int, has_density: bool = True) -> dict[str, Any]:
    """A batch's terms in nats per token, as plain numbers; a q without a density has no KL, and no ELBO."""
    sums = torch.stack([terms.objective.sum(), terms.elbo.sum(), terms.log_likelihood.sum(), terms.kl.sum()])
    objective, elbo, log_likelihood, kl = (sums.double() / tokens).tolist()
    layers = [] if terms.kl_per_layer is None else (terms.kl_per_layer.sum(0).double() / tokens).tolist()
    record = {"objective": objective, "elbo": elbo, "log_likelihood": log_likelihood, "kl": kl, "kl_per_layer": layers}
    record["kl_closed_form"] = terms.kl_closed_form
    return record if has_density else {name: record[name] for name in ("objective", "log_likelihood")}


def flat(record: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Numbers by a path, for trackers that know no nesting."""
    found: dict[str, float] = {}
    for name, value in record.items():
        items = dict(enumerate(value, 1)) if isinstance(value, list) else value
        if isinstance(items, dict):
            found.update(flat({str(key): item for key, item in items.items()}, f"{prefix}{name}/"))
        elif isinstance(value, (int, float)) and math.isfinite(value):
            found[prefix + name] = float(value)
    return found
