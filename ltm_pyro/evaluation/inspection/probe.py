"""The progressive probe: how well a text is told by the thoughts of the first layers alone."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from torch import Tensor, nn


@torch.no_grad()
def progressive(model: nn.Module, guide: Any, draws: int, **batch: Any) -> Tensor:
    r"""Log-likelihood with the thoughts of the first l layers from q and the others from the prior, (L + 1, B).

    .. math:: \mathbb{E}_{q(z_{\le l})\,p(z_{>l})} \log p(x \mid z), \qquad l = 0 \dots L

    A decoder trained with thoughts in every layer cannot read none, so "only the first l" is: the others say nothing
    of this text. Less the KL of the first l layers it is a bound on log p(x), the ELBO of that mixed posterior.
    (Kong et al., 2025, arXiv 2502.01567, reconstruct text so.)

    Args:
        model, guide: the guide fitted to the batch, with layers independent in q.
        draws: S, the mean of which is taken; each serves all l, so that they are compared with the same noise.
        batch: x, mask, previous.
    """
    rows = len(batch["x"])
    totals: list[Tensor] = []
    for _ in range(draws):
        known = pyro.poutine.trace(guide).get_trace(**batch).nodes["z"]["value"]  # (B, L, K, D)
        unknown = model.prior().sample((rows,))  # type: ignore[operator]
        layers = torch.arange(known.shape[1], device=known.device).view(-1, 1, 1)
        mixed = [torch.where(layers < told, known, unknown) for told in range(known.shape[1] + 1)]
        totals.append(torch.stack([log_likelihood(model, z, **batch) for z in mixed]))
    return torch.stack(totals).mean(0)


def log_likelihood(model: nn.Module, z: Tensor, **batch: Any) -> Tensor:
    """log p(x | z), shape (B,)."""
    trace = pyro.poutine.trace(pyro.condition(model, {"z": z})).get_trace(**batch)
    trace.compute_log_prob(lambda name, site: name == "x")
    return trace.nodes["x"]["log_prob"]
