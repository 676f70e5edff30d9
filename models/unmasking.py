"""The samplers of masked diffusion: from masks alone, or a prompt and masks, to a text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltm_pyro.models.drawing import draw
from ltm_pyro.models.masked_network import MaskedNetwork

Choose = Callable[[Tensor, torch.Generator | None], Tensor]


def choose(log_intensities: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A token of each row, (..., V) -> (...), in proportion to the intensities."""
    return draw(log_intensities.softmax(-1), generator)


@torch.no_grad()
def first_hitting(
    model: MaskedNetwork,
    prompt: Tensor,
    previous: Tensor,
    chosen: Choose = choose,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Unmask one token of each text a pass: exactly the process in continuous time.

    A position is the next to jump in proportion to its intensity; for normalised ones each is as likely as another
    (Zheng et al., 2024, arXiv 2409.02908, algorithm 1). When it jumps matters to no one, as the network is not told.

    Args:
        model: what is asked.
        prompt: the first tokens of each text, held, shape (N, P).
        previous: the token before each, shape (N,).
        chosen: draws tokens, shape (N,), from log-intensities, shape (N, V).
        generator: of all draws; the global one if None.

    Returns:
        Shape (N, length).
    """
    tokens, hidden = _begin(model, prompt)
    rows = torch.arange(len(tokens), device=tokens.device)
    for _ in range(tokens.shape[1] - prompt.shape[1]):
        log_g = model.intensities(tokens, hidden, previous)
        place = draw(log_g.logsumexp(-1).exp() * hidden, generator)
        tokens[rows, place] = chosen(log_g[rows, place], generator)
        hidden[rows, place] = False
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
    """Unmask in equal steps of time from 1 to 0, several tokens of each text a pass.

    From t to s < t a masked position jumps with probability 1 - (s/t)^a, a its total intensity: 1 - s/t where that is
    normalised (Sahoo et al., 2024, arXiv 2406.07524, equation 7, log-linear schedule). What jumps in one step does not
    see each other: with few steps the texts are no samples of the process in continuous time.

    The arguments are those of `first_hitting`.

    Args:
        steps: passes; the last unmasks all that is left.
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
    """A text that begins with a prompt, and which of its positions are masked, (N, length) each."""
    tokens = prompt.new_full((len(prompt), model.decoder.length), model.decoder.bos_id)
    tokens[:, : prompt.shape[1]] = prompt
    hidden = torch.ones_like(tokens, dtype=torch.bool)
    hidden[:, : prompt.shape[1]] = False
    return tokens, hidden
