"""Parts of a body whose activations are computed again in the backward pass, instead of being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ltm_pyro.errors import InputError

Recompute = Literal["none", "feed-forward", "layers"]
FEED_FORWARD = ("mlp", "feed_forward", "ffn")  # the names of a layer's feed-forward network in transformers


def recompute_parts(layers: Iterable[nn.Module], recompute: str) -> None:
    """Let layers, or their feed-forward networks alone, keep their inputs and nothing else, in place.

    Names of weights, values and gradients stay as they are. Layers whose feed-forward network is no module of its own
    (OPT) keep all that they kept.

    Args:
        layers: of a body.
        recompute: `none`, `feed-forward` or `layers`.

    Raises:
        InputError: for another choice.
    """
    if recompute not in get_args(Recompute):
        raise InputError(f"recompute={recompute!r}: expected {', '.join(get_args(Recompute))}")
    for layer in layers if recompute != "none" else ():
        inner = [getattr(layer, name) for name in FEED_FORWARD if isinstance(getattr(layer, name, None), nn.Module)]
        for part in [layer] if recompute == "layers" else inner[:1]:
            part.forward = partial(_again, part.forward)


def _again(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)
