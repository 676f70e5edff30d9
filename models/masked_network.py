"""The network of masked diffusion, as its likelihood and its samplers ask it."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from ltm_pyro.models.decoder import Decoder


class MaskedNetwork(Protocol):
    """A network that says what stands behind the masks of a text; `MaskedDiffusionModel` is one.

    Attributes:
        decoder: its vocabulary, its length T and the token before a text.
        absorbed: the embedding of a mask, shape (D,).
    """

    decoder: Decoder
    absorbed: nn.Parameter

    def intensities(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Log-intensity of every token at every position, shape (N, T, V), as far as it is masked."""

    def token_nats(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """The log-likelihoods of each text's masked tokens, added up, in nats, shape (N,)."""

    def filled(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """A text filled up to the full length, and where it may be masked, (B, length) each."""
