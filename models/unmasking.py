"""Samplers of masked diffusion: texts from masks alone, or from a prompt followed by masks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltm_pyro.models.drawing import draw
from ltm_pyro.models.masked_network import MaskedNetwork

Choose = Callable[[Tensor, torch.Generator | None], Tensor]


def choose(log_intensities: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Sample a token of each row, (..., V) -> (...), in proportion to the intensities."""
    return draw(log_intensities.softmax(-1), generator)


@torch.no_grad()
def first_hitting(
    model: MaskedNetwork,
    prompt: Tensor,
    previous: Tensor,
    chosen: Choose = choose,
    generator: torch.Generator | None = None,
) -> Tensor:
    """First-hitting sampler: exact samples of the continuous-time process, one unmasked token per text and pass.

    The next position to jump is drawn in proportion to its intensity; with normalised intensities all masked positions
    are equally likely (Zheng et al., 2024, arXiv 2409.02908, algorithm 1). The times of the jumps are not needed, as
    the network has no time input.

    Args:
        model: the masked-diffusion network.
        prompt: the first tokens of each text, kept, shape (N, P).
        previous: the token before each text, shape (N,).
        chosen: samples tokens, shape (N,), from log-intensities, shape (N, V).
        generator: of all draws; the global one if None.

    Returns:
        Shape (N, length).
    """
    tokens, hidden = _begin(model, prompt)
    rows = torch.arange(len(tokens), device=tokens.device)
    for _ in range(tokens.shape[1] - prompt.shape[1]):
        log_g = model.intensities(tokens, hidden, previous)
        position = draw(log_g.logsumexp(-1).exp() * hidden, generator)
        tokens[rows, position] = chosen(log_g[rows, position], generator)
        hidden[rows, position] = False
    return tokens


@torch.no_grad()
def ancestral(
    model: MaskedNetwork,
    prompt: Tensor,
    previous: Tensor,
    steps: int,
    chosen: Choose = choose,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Ancestral sampler: equal steps of time from 1 to 0, each of which may unmask several tokens of a text.

    From t to s < t a masked position jumps with probability 1 - (s/t)^a, where a is its total intensity: 1 - s/t for
    normalised ones (Sahoo et al., 2024, arXiv 2406.07524, equation 7, log-linear schedule). Tokens unmasked in the same
    step are independent of each other, so that few steps do not sample the process in continuous time.

    The arguments are those of `first_hitting`.

    Args:
        steps: number of passes; the last unmasks all remaining tokens.
    """
    tokens, hidden = _begin(model, prompt)
    for step in range(steps):
        log_g = model.intensities(tokens, hidden, previous)
        stays = (1 - 1 / (steps - step)) ** log_g.logsumexp(-1).exp()  # s/t = (steps - step - 1) / (steps - step)
        uniform = torch.rand(stays.shape, device=stays.device, dtype=stays.dtype, generator=generator)
        jumps = hidden & (uniform >= stays)
        tokens = torch.where(jumps, chosen(log_g.flatten(0, 1), generator).view_as(tokens), tokens)
        hidden = hidden & ~jumps
    return tokens


def _begin(model: MaskedNetwork, prompt: Tensor) -> tuple[Tensor, Tensor]:
    """Texts that begin with the prompts, and a mask of their masked positions, (N, length) each."""
    tokens = prompt.new_full((len(prompt), model.decoder.length), model.decoder.bos_id)
    tokens[:, : prompt.shape[1]] = prompt
    hidden = torch.ones_like(tokens, dtype=torch.bool)
    hidden[:, : prompt.shape[1]] = False
    return tokens, hidden
