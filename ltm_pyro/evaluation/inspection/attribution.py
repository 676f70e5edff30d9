"""One text, token by token: which thought each token attends to, and what each thought tells of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyro
import torch
from torch import Tensor


class TokenAttribution(NamedTuple):
    """The effect of the thoughts on every token of B texts.

    Attributes:
        attention: the share of a token's attention that each thought of a layer has, mean over heads and draws,
            (B, L, K, T); over K it adds up to 1.
        told: how many nats less a token costs with a thought than with that thought drawn from the prior, the others
            as they are, mean over draws, (B, L, K, T).
        cost: nats of each token with all its thoughts, mean over draws, (B, T).
        thoughtless: the same with all thoughts from the prior.
    """

    attention: Tensor
    told: Tensor
    cost: Tensor
    thoughtless: Tensor


@torch.no_grad()
def attribute(model: Any, guide: Any, draws: int, **batch: Any) -> TokenAttribution:
    """Look at texts whose posterior has been fitted.

    Attention says where a token looks, and nothing of what it finds there: with softmax over K thoughts it always
    adds up to 1, also where they say nothing. What a thought tells is measured by taking it away.

    Args:
        model, guide: the guide fitted to the batch.
        draws: S.
        batch: x, mask, previous.
    """
    parts = []
    for _ in range(draws):
        z = pyro.poutine.trace(guide).get_trace(**batch).nodes["z"]["value"]  # (B, L, K, D)
        other = model.prior().sample((len(z),))
        parts.append(_attribute_once(model, z, other, batch["x"], batch.get("previous")))
    return TokenAttribution(*(torch.stack(column).mean(0) for column in zip(*parts, strict=True)))


def _attribute_once(model: Any, z: Tensor, other: Tensor, x: Tensor, previous: Tensor | None) -> TokenAttribution:
    decoder = model.decoder

    def cost(z: Tensor) -> Tensor:
        return -decoder.token_log_prob(x, model.thoughts(z), previous)

    whole = cost(z)
    layers, thoughts = z.shape[1:3]
    told = torch.stack(
        [
            torch.stack([cost(_without(z, other, layer, thought)) - whole for thought in range(thoughts)], 1)
            for layer in range(layers)
        ],
        1,
    )
    attention = decoder.attention_on_thoughts(decoder.inputs(x, previous), model.thoughts(z))
    return TokenAttribution(attention, told, whole, cost(other))


def _without(z: Tensor, other: Tensor, layer: int, thought: int) -> Tensor:
    changed = z.clone()
    changed[:, layer, thought] = other[:, layer, thought]
    return changed
