"""Feed-forward width at which an autoregressive decoder has as many parameters as a decoder with thoughts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ltm_pyro.errors import InputError
from ltm_pyro.training.build import build
from ltm_pyro.training.run import run_parser
from ltm_pyro.training.stand_in_tokenizer import StandInTokenizer

if TYPE_CHECKING:
    from jsonargparse import Namespace

MULTIPLE = 8  # the inner width is a multiple of 8, which suits kernels
WITHIN = 0.02


def parameters_of(config: Namespace, vocabulary: int) -> int:
    """Number of parameters of a configuration's model with its prior; a guide's encoder generates no text."""
    with torch.device("meta"):
        model = build(run_parser(config), config, StandInTokenizer(vocabulary)).model
    return sum(parameter.numel() for parameter in model.parameters())


def matched_inner(config: Namespace, parameters: int, vocabulary: int) -> int:
    r"""Inner width of the feed-forward at which an autoregressive model has the given number of parameters.

    A layer's cross-attention has :math:`4D^2 + D` parameters, a channel of its SwiGLU 3D: for a prior without
    parameters, the result is the previous inner width plus (4D + 1)/3, to the nearest multiple of 8.

    Args:
        config: configuration of the autoregressive model.
        parameters: target number of parameters.
        vocabulary: V.

    Raises:
        InputError: if no width comes within 2 %.
    """
    few, many = (parameters_of(with_inner(config, inner), vocabulary) for inner in (MULTIPLE, 2 * MULTIPLE))
    inner = MULTIPLE * max(1, 1 + round((parameters - few) / (many - few)))
    count = few + (inner // MULTIPLE - 1) * (many - few)
    if abs(count - parameters) > WITHIN * parameters:
        raise InputError(
            f"no autoregressive decoder of width {config.decoder.width} and {config.decoder.layers} layers has within "
            f"2 % of {parameters:,} parameters; the nearest, with inner={inner}, has {count:,}: take a wider decoder"
        )
    return inner


def with_inner(config: Namespace, inner: int) -> Namespace:
    """Copy of a configuration with another inner width."""
    config = config.clone()
    config.decoder.inner = inner
    return config
