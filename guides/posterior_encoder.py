"""The encoder of amortised guides: from the text of a batch to moments of q."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ltm_pyro.errors import InputError
from ltm_pyro.guides.encoder import TextEncoder
from ltm_pyro.guides.moments import moments
from ltm_pyro.instances import require_instance


class Reading(NamedTuple):
    """A batch to read, and the prior that q is relative to."""

    x: Tensor  # (B, T)
    mask: Tensor | None
    mean: Tensor  # (L, K, D)
    sigma: Tensor


class PosteriorEncoder(nn.Module):
    """An encoder, made when the vocabulary is known, and what its output means.

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
        if vocabulary:
            self.prepare(vocabulary)

    def prepare(self, vocabulary: int) -> None:
        """Make the encoder, unless it is the user's own."""
        if self.own or vocabulary == self.vocabulary:
            return
        if self.encoder is not None:
            raise InputError(
                f"the encoder was made for {self.vocabulary} token ids, and is told of {vocabulary}: make another guide"
            )
        self.encoder = TextEncoder(self.z_shape, vocabulary, self.width, self.blocks, self.heads)
        self.vocabulary = vocabulary

    def open(self, x: Tensor, mask: Tensor | None, prior: Distribution | None) -> Reading:
        """A batch as it can be read, relative to the prior's mean and standard deviation.

        Raises:
            InputError: if there is no encoder yet.
        """
        if self.encoder is None:
            raise InputError(
                "the guide has no encoder yet, since it does not know how many token ids there are: give it "
                "vocabulary=, or call guide.prepare(vocabulary)"
            )
        mean, sigma = (moment.detach().expand(self.z_shape) for moment in moments(prior, x.device))
        return Reading(x, mask, mean, sigma)

    def forward(self, reading: Reading) -> tuple[Tensor, Tensor]:
        """Mean and log of the standard deviation of every text, shape (B, L, K, D) each."""
        assert self.encoder is not None
        shift, log_scale = self.encoder(reading.x, reading.mask)
        kind = torch.promote_types(reading.sigma.dtype, shift.dtype)  # not the half precision an encoder may run in
        mu = reading.mean + reading.sigma * shift.to(kind)
        return mu, reading.sigma.log() + log_scale.to(kind)
