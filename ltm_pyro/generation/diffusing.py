"""Generation by masked diffusion."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.generation.writer import checked_prompt
from ltm_pyro.instances import refuse_class
from ltm_pyro.models import MaskedDiffusionModel
from ltm_pyro.models.unmasking import ancestral, first_hitting


def write_by_diffusion(
    model: MaskedDiffusionModel,
    prompt: Tensor,
    tokens: int,
    sampling: Sampling | None = None,
    eos_id: int | None = None,
    steps: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Continuations of a prompt: the full sequences are unmasked first, then their tokens are yielded one by one.

    Args:
        model: the diffusion model. It writes texts of its full length, of which the first `tokens` are yielded.
        prompt: token ids that stay as they are, shape (N, P); P may be 0.
        tokens: the most to yield after the prompt.
        sampling: how a token is drawn; from the model's own distribution if None.
        eos_id: the token that ends a text; None never ends one.
        steps: number of steps of ancestral sampling; None takes the exact first-hitting sampler, one pass a token.
        generator: of random numbers; torch's global one if None.

    Yields:
        The next token of each text, shape (N,); `eos_id` for texts that have ended. Stops when all have ended.

    Raises:
        InputError: if prompt and text would be longer than the model's sequences, or steps is not positive.
    """
    prompt = checked_prompt(model, None, prompt, tokens)
    refuse_class("sampling", sampling, "Sampling()")
    if steps is not None and steps < 1:
        raise InputError(f"steps={steps}: expected 1 or more, or None for one token a pass")
    draw = (sampling or Sampling()).draw
    previous = prompt.new_full((len(prompt),), model.decoder.bos_id)
    if steps is None:
        text = first_hitting(model, prompt, previous, draw, generator)
    else:
        text = ancestral(model, prompt, previous, steps, draw, generator)
    return _columns(text[:, prompt.shape[1] :][:, :tokens], eos_id)


def _columns(text: Tensor, eos_id: int | None) -> Iterator[Tensor]:
    over = torch.zeros(len(text), dtype=torch.bool, device=text.device)
    for column in text.unbind(1):
        if eos_id is not None:
            column = column.masked_fill(over, eos_id)
            over |= column == eos_id
        yield column
        if eos_id is not None and bool(over.all()):
            return
