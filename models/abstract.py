"""What every model of text is."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ltm_pyro.models.decoder import Decoder
from ltm_pyro.models.priors import AbstractPrior


class AbstractModel(nn.Module, ABC):
    """A Pyro model with a site `x`, batch (B,), event (T,), in a plate named `sequences` at dim -1.

    Attributes:
        decoder: what writes the text.
        prior: of the site `z`; None for a model without latent variables.
        exact: whether the `log_prob` of `x` is log p(x | z) itself; otherwise it estimates a lower bound.
    """

    exact = True

    decoder: Decoder
    prior: AbstractPrior | None

    def thoughts(self, z: Tensor) -> Tensor:
        """What the decoder attends to, (..., L, K, D), from a value of the site `z`, (..., *prior.z_shape)."""
        return z

    def compile_passes(self, mode: str = "default") -> None:
        """Let `torch.compile` make the passes; see the decoder."""
        self.decoder.compile_passes(mode)

    def drop_tokens(self, x: Tensor, previous: Tensor | None = None) -> Tensor | None:
        """What stands in the place of `previous` in all passes over a batch that is learned from; see the decoder."""
        return self.decoder.drop_tokens(x, previous)

    @abstractmethod
    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Score x, or write texts of the decoder's length.

        Args:
            x: token ids to condition on, shape (B, T); None to write.
            mask: True where a token is scored, shape (B, T).
            batch_size: B, where x is None; 1 if left out.
            previous: the token before each sequence, shape (B,), or, where x is given, what is read before each of its
                tokens, shape (B, T); the decoder's `begin` if None.

        Returns:
            x, shape (B, T).
        """
