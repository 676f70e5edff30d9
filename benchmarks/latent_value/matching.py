"""How wide an autoregressive decoder's feed-forward must be to have as many parameters as one with thoughts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.training.build import build
from ltm_pyro.training.run import run_parser

if TYPE_CHECKING:
    from jsonargparse import Namespace

MULTIPLE = 8  # of the width: kernels are made for that
WITHIN = 0.02


def parameters_of(config: Namespace, vocabulary: int) -> int:
    """Parameters of the model, prior included, that a configuration describes; a guide's encoder writes no text."""
    with torch.device("meta"):
        model = build(run_parser(config), config, vocabulary, bos_id=0).model
    return sum(parameter.numel() for parameter in model.parameters())


def matched_inner(config: Namespace, parameters: int, vocabulary: int) -> int:
    r"""The inner width of the feed-forward at which an autoregressive model has so many parameters.

    A layer's cross-attention is :math:`4D^2 + D` of them, a channel of its SwiGLU 3D: without a prior's own
    parameters the answer is the inner width of before and (4D + 1)/3, to the nearest multiple of 8.

    Args:
        config: of the autoregressive model.
        parameters: how many it should have.
        vocabulary: V.

    Raises:
        InputError: if no width comes within 2 %.
    """
    few, many = (parameters_of(with_inner(config, inner), vocabulary) for inner in (MULTIPLE, 2 * MULTIPLE))
    inner = MULTIPLE * max(1, 1 + round((parameters - few) / (many - few)))
    found = few + (inner // MULTIPLE - 1) * (many - few)
    if abs(found - parameters) > WITHIN * parameters:
        raise InputError(
            f"no autoregressive decoder of width {config.decoder.width} and {config.decoder.layers} layers has within "
            f"2 % of {parameters:,} parameters; the nearest, with inner={inner}, has {found:,}: take a wider decoder"
        )
    return inner


def with_inner(config: Namespace, inner: int) -> Namespace:
    """The same configuration with another inner width."""
    config = config.clone()
    config.decoder.inner = inner
    return config
