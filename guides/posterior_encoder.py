"""The encoder of amortised guides: from texts to the moments of q."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract_encoder import AbstractEncoder, SupportsDecode
from ltm_pyro.guides.encoder import TextEncoder
from ltm_pyro.guides.moments import moments
from ltm_pyro.instances import require_instance


class Reading(NamedTuple):
    """Inputs of the encoder: a batch, and the moments of the prior, to which the encoder's outputs are relative."""

    x: Tensor  # (B, T)
    mask: Tensor | None
    mean: Tensor  # (L, K, D)
    sigma: Tensor


class PosteriorEncoder(nn.Module):
    """Encoder from texts to mean and log-scale of q, constructed when the vocabulary is known.

    Args:
        z_shape: (L, K, D).
        vocabulary, width, blocks, heads, encoder: as in `AmortisedGuide`.
    """

    encoder: nn.Module | None

    def __init__(
        self,
        z_shape: tuple[int, int, int],
        vocabulary: int = 0,
        width: int = 128,
        blocks: int = 2,
        heads: int = 4,
        encoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.z_shape, self.vocabulary = z_shape, 0
        self.width, self.blocks, self.heads = width, blocks, heads
        if encoder is not None:
            require_instance("encoder", encoder, nn.Module, "TextEncoder(z_shape, vocabulary)")
        self.own = encoder is not None
        self.encoder = encoder
        if isinstance(encoder, AbstractEncoder):
            encoder.prepare(z_shape)
        if vocabulary:
            self.prepare(vocabulary)

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        """Hand the run's tokenizer to an encoder that reads text."""
        if isinstance(self.encoder, AbstractEncoder):
            self.encoder.attach_tokenizer(tokenizer)

    def prepare(self, vocabulary: int) -> None:
        """Construct the encoder, unless it is the user's own."""
        if self.own or vocabulary == self.vocabulary:
            return
        if self.encoder is not None:
            raise InputError(
                f"the encoder was made for a vocabulary of {self.vocabulary}, not of {vocabulary}: make another guide"
            )
        self.encoder = TextEncoder(self.z_shape, vocabulary, self.width, self.blocks, self.heads)
        self.vocabulary = vocabulary

    def open(self, x: Tensor, mask: Tensor | None, prior: Distribution | None) -> Reading:
        """Inputs of the encoder for a batch and a prior.

        Raises:
            InputError: if there is no encoder yet.
        """
        if self.encoder is None:
            raise InputError(
                "the guide has no encoder yet, as the size of the vocabulary is not known: give it vocabulary=, or "
                "call guide.prepare(vocabulary)"
            )
        mean, sigma = (moment.detach().expand(self.z_shape) for moment in moments(prior, x.device))
        return Reading(x, mask, mean, sigma)

    def forward(self, reading: Reading) -> tuple[Tensor, Tensor]:
        """Mean and log of the standard deviation of every text, shape (B, L, K, D) each."""
        assert self.encoder is not None
        shift, log_scale = self.encoder(reading.x, reading.mask)
        dtype = torch.promote_types(reading.sigma.dtype, shift.dtype)  # an encoder may run in half precision
        mu = reading.mean + reading.sigma * shift.to(dtype)
        return mu, reading.sigma.log() + log_scale.to(dtype)
