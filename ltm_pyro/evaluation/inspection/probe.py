"""Progressive probe: reconstruction of a text from the thoughts of the first layers."""

from __future__ import annotations

from typing import Any

import pyro
import torch
from torch import Tensor, nn


@torch.no_grad()
def progressive(model: nn.Module, guide: Any, draws: int, **batch: Any) -> Tensor:
    r"""Log-likelihood with the thoughts of the first l layers from q and the others from the prior, (L + 1, B).

    .. math:: \mathbb{E}_{q(z_{\le l})\,p(z_{>l})} \log p(x \mid z), \qquad l = 0 \dots L

    A decoder trained with thoughts in every layer needs thoughts in every layer: those of the other layers are drawn
    from the prior, and so carry nothing about this text. Minus the KL of the first l layers, the result is a bound on
    log p(x), the ELBO of that mixed posterior. (Kong et al., 2025, arXiv 2502.01567, reconstruct text this way.)

    Args:
        model, guide: the guide fitted to the batch, with layers independent in q.
        draws: S, number of samples in the mean; each sample serves all l, so that they share the noise.
        batch: x, mask, previous.
    """
    rows = len(batch["x"])
    totals: list[Tensor] = []
    for _ in range(draws):
        posterior_z = pyro.poutine.trace(guide).get_trace(**batch).nodes["z"]["value"]  # (B, L, K, D)
        prior_z = model.prior().sample((rows,))  # type: ignore[operator]
        count = posterior_z.shape[1]
        layers = torch.arange(count, device=posterior_z.device).view(-1, 1, 1)
        mixed = [torch.where(layers < first, posterior_z, prior_z) for first in range(count + 1)]
        totals.append(torch.stack([log_likelihood(model, z, **batch) for z in mixed]))
    return torch.stack(totals).mean(0)


def log_likelihood(model: nn.Module, z: Tensor, **batch: Any) -> Tensor:
    """log p(x | z), shape (B,)."""
    trace = pyro.poutine.trace(pyro.condition(model, {"z": z})).get_trace(**batch)
    trace.compute_log_prob(lambda name, site: name == "x")
    return trace.nodes["x"]["log_prob"]
