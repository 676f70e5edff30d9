"""Attribution by token: the attention of each token to the thoughts, and the nats that each thought saves."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor


class TokenAttribution(NamedTuple):
    """Effect of the thoughts on every token of B texts.

    Attributes:
        attention: the share of a token's attention that each thought of a layer has, mean over heads and draws,
            (B, L, K, T); over K it adds up to 1.
        told: nats that a thought saves on a token: cost with that thought alone resampled from the prior, less the cost
            with all thoughts from q, mean over draws, (B, L, K, T).
        cost: nats of each token with all its thoughts, mean over draws, (B, T).
        thoughtless: nats of each token with all thoughts from the prior, mean over draws, (B, T).
    """

    attention: Tensor
    told: Tensor
    cost: Tensor
    thoughtless: Tensor


@torch.no_grad()
def attribute(model: Any, guide: Any, draws: int, **batch: Any) -> TokenAttribution:
    """Attribute the tokens of a batch to thoughts, after q has been fitted.

    Attention is no measure of information: its softmax over K thoughts adds up to 1 even if the thoughts carry
    nothing. The information of a thought is measured by ablation: the thought is replaced by a sample of the prior.

    Args:
        model, guide: the guide fitted to the batch.
        draws: S.
        batch: x, mask, previous.
    """
    parts = []
    for _ in range(draws):
        z = pyro.poutine.trace(guide).get_trace(**batch).nodes["z"]["value"]  # (B, L, K, D)
        prior_z = model.prior().sample((len(z),))
        parts.append(_attribute_once(model, z, prior_z, batch["x"], batch.get("previous")))
    return TokenAttribution(*(torch.stack(column).mean(0) for column in zip(*parts, strict=True)))


@torch.no_grad()
def nats_gained(model: Any, guide: Any, draws: int, **batch: Any) -> Tensor:
    """Gain of each token from all thoughts: log p(token | z from q) less log p(token | z from p), nats, (B, T).

    Both are means over draws with fresh noise, after q has been fitted.

    Args:
        model, guide: the guide fitted to the batch.
        draws: S.
        batch: x, mask, previous.
    """
    x, previous, decoder = batch["x"], batch.get("previous"), model.decoder
    gains = []
    for _ in range(draws):
        z = pyro.poutine.trace(guide).get_trace(**batch).nodes["z"]["value"]  # (B, L, K, D)
        prior_z = model.prior().sample((len(z),))
        with_q, with_p = (decoder.token_log_prob(x, model.thoughts(drawn), previous) for drawn in (z, prior_z))
        gains.append(with_q - with_p)
    return torch.stack(gains).mean(0)


def _attribute_once(model: Any, z: Tensor, prior_z: Tensor, x: Tensor, previous: Tensor | None) -> TokenAttribution:
    decoder = model.decoder

    def cost(z: Tensor) -> Tensor:
        return -decoder.token_log_prob(x, model.thoughts(z), previous)

    full_cost = cost(z)
    layers, thoughts = z.shape[1:3]
    savings = torch.stack(
        [
            torch.stack([cost(_without(z, prior_z, layer, thought)) - full_cost for thought in range(thoughts)], 1)
            for layer in range(layers)
        ],
        1,
    )
    attention = decoder.attention_on_thoughts(decoder.inputs(x, previous), model.thoughts(z))
    return TokenAttribution(attention, savings, full_cost, cost(prior_z))


def _without(z: Tensor, replacement: Tensor, layer: int, thought: int) -> Tensor:
    changed = z.clone()
    changed[:, layer, thought] = replacement[:, layer, thought]
    return changed
