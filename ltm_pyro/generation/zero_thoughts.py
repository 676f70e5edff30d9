"""Generation by a decoder with thoughts whose thoughts are all zero: its twin without thoughts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.writer import checked_prompt, continued, ordinary
from ltm_pyro.models import AbstractModel


def write_at_zero(
    model: AbstractModel,
    prompt: Tensor,
    tokens: int,
    sampling: Sampling | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Continuations with the decoder's thoughts at zero, without inference.

    Zero are the thoughts that the decoder attends to, not a value of the site `z`, which a projection or a codebook
    would map elsewhere. For a pretrained decoder this is its twin `z = 0, the same adapters`.

    Args:
        model: a model with or without thoughts.
        prompt, tokens, sampling, eos_id, generator: as for `write`.

    Yields:
        The next token of each text, as `write` does.

    Raises:
        InputError: as `write`.
    """
    prompt = checked_prompt(model, None, prompt, tokens)
    decoder = model.decoder
    weight = next((p for p in decoder.parameters() if p.is_floating_point()), torch.zeros((), device=prompt.device))
    zero = weight.new_zeros(len(prompt), *decoder.z_shape) if decoder.z_shape[1] else None
    return ordinary(continued(decoder, zero, prompt, tokens, sampling or Sampling(), eos_id, generator))
