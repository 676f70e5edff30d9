"""The interface of a masked-diffusion network to its likelihood and its samplers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from ltm_pyro.models.decoder import Decoder


class MaskedNetwork(Protocol):
    """A network that predicts the masked tokens of a text; `MaskedDiffusionModel` is one.

    Attributes:
        decoder: the source of the vocabulary, the length T and the token before a text.
        absorbed: the embedding of a mask, shape (D,).
    """

    decoder: Decoder
    absorbed: nn.Parameter

    def intensities(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Log-intensity of every token at every position, shape (N, T, V); meaningful at masked positions alone."""

    def token_nats(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Sum of the log-likelihood terms of each text's masked tokens, in nats, shape (N,)."""

    def filled(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Texts padded to the full length, and a mask of the positions that may be masked, (B, length) each."""
