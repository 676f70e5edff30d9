"""Autoregressive generation: thoughts from the prior, or from a posterior fitted on a prompt, then token by token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ltm_pyro.errors import InputError
from ltm_pyro.generation.sampling import Sampling
from ltm_pyro.inference import FastLoop
from ltm_pyro.instances import refuse_class
from ltm_pyro.models import AbstractDecoder, AbstractModel
from ltm_pyro.token_ids import check_range, token_ids


def thoughts_from_prior(model: AbstractModel, count: int) -> Tensor | None:
    """z ~ p(z), shape (N, L, K, D); None for a model without thoughts."""
    with torch.no_grad():
        return None if model.prior is None else model.prior().sample((count,))


def thoughts_from_prompt(model: AbstractModel, guide: Any, fast: FastLoop, prompt: Tensor, count: int) -> Tensor | None:
    """z ~ q(z | prompt), shape (N, L, K, D); None for a model without thoughts.

    Args:
        prompt: token ids, shape (P,); q is fitted on these alone.
        count: N; each text has its own posterior inference.
    """
    return thoughts_from_prompts(model, guide, fast, prompt.expand(count, -1))


def thoughts_from_prompts(model: AbstractModel, guide: Any, fast: FastLoop, prompts: Tensor) -> Tensor | None:
    """z ~ q(z | prompt), shape (N, L, K, D), for prompts (N, P), each with its own inference; None without thoughts."""
    if model.prior is None:
        return None
    fast.fit(model, guide, prompts)
    with torch.no_grad():
        return guide(prompts)


def write(
    model: AbstractModel,
    z: Tensor | None,
    prompt: Tensor,
    tokens: int,
    sampling: Sampling | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Continue prompts token by token, with fixed thoughts.

    Args:
        model: has a `decoder`.
        z: a value of the site `z`, shape (N, *prior.z_shape); None without thoughts.
        prompt: token ids to continue, shape (N, P); P may be 0.
        tokens: the most to write.
        sampling: how a token is drawn; from the model's own distribution if None.
        eos_id: the token that ends a text; None never ends one.
        generator: of random numbers; torch's global one if None.

    Yields:
        The next token of each text, shape (N,); `eos_id` for texts that have ended. Stops when all have ended.

    Raises:
        InputError: at the call, if the prompt is invalid, or prompt and text would be longer than the decoder's
            sequences.
    """
    prompt = checked_prompt(model, z, prompt, tokens)
    refuse_class("sampling", sampling, "Sampling()")
    thoughts = held_thoughts(model, z)
    return ordinary(continued(model.decoder, thoughts, prompt, tokens, sampling or Sampling(), eos_id, generator))


def held_thoughts(model: AbstractModel, z: Tensor | None) -> Tensor | None:
    """Thoughts that the decoder attends to, detached; None for a model without thoughts."""
    return None if z is None else model.thoughts(z).detach()


def checked_prompt(
    model: AbstractModel, z: Tensor | None, prompt: Tensor, tokens: int, of: str = "this model"
) -> Tensor:
    """Prompts as int64, shape (N, P).

    Args:
        of: the model's name in messages.

    Raises:
        InputError: for another shape, ids outside the model's vocabulary, another number of thoughts than of prompts,
            or a decoder whose length is too short for the prompts and `tokens` new tokens.
    """
    refuse_class(of, model)
    prompt = token_ids(prompt, "the prompt")
    if prompt.dim() != 2:
        raise InputError(
            f"the prompt has shape {tuple(prompt.shape)}: expected (N, P), one row for each text; for a single "
            "prompt give prompt[None]"
        )
    if z is not None and len(z) != len(prompt):
        raise InputError(f"{len(z)} thoughts for {len(prompt)} prompts: {of} needs one z, (L, K, D), for each prompt")
    if prompt.device.type == "cpu":  # on other devices the check would synchronise host and device
        check_range(prompt, model.decoder.vocabulary, "the prompt")
    _check_room(model.decoder, prompt, tokens, of)
    return prompt


def _check_room(decoder: AbstractDecoder, prompt: Tensor, tokens: int, of: str) -> None:
    if prompt.shape[1] + tokens > decoder.length:
        raise InputError(
            f"a prompt of {prompt.shape[1]} tokens and {tokens} new ones exceed the {decoder.length} tokens {of} "
            f"was built for: shorten the prompt, or write at most {max(0, decoder.length - prompt.shape[1])}"
        )


def ordinary(written: Iterator[Tensor]) -> Iterator[Tensor]:
    """Copies of inference tensors as ordinary tensors, which a pass with gradients accepts."""
    for token in written:
        yield token.clone()


@torch.inference_mode()
def continued(
    decoder: AbstractDecoder,
    thoughts: Tensor | None,
    prompt: Tensor,
    tokens: int,
    sampling: Sampling,
    eos_id: int | None,
    generator: torch.Generator | None,
) -> Iterator[Tensor]:
    """Continuations of checked prompts by a decoder, from thoughts that it attends to; otherwise as `write`."""
    first = prompt.new_full((len(prompt), 1), decoder.bos_id)
    logits, cache = decoder.prefill(torch.cat((first, prompt), 1), thoughts)
    over = torch.zeros(len(prompt), dtype=torch.bool, device=prompt.device)
    for written in range(1, tokens + 1):
        token = sampling.draw(logits, generator)
        if eos_id is not None:
            token = token.masked_fill(over, eos_id)
            over |= token == eos_id
        yield token
        if written == tokens or (eos_id is not None and over.all()):
            return
        logits = decoder.decode_step(token, cache)
