"""The base class of models of text."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder import AbstractDecoder
from ltm_pyro.models.priors import AbstractPrior
from ltm_pyro.models.rewards import AbstractReward
from ltm_pyro.models.token_sequence import check_mask
from ltm_pyro.recorded import Recorded
from ltm_pyro.token_ids import check_range, token_ids


class AbstractModel(Recorded, nn.Module, ABC):
    """A Pyro model with a site `x`, batch (B,), event (T,), in a plate named `sequences` at dim -1.

    Attributes:
        decoder: the network that scores and writes text.
        prior: p(z), of the site `z`; None for a model without latent variables.
        reward: p(r | z), of the site `r` of a text's label; None for a model without labels.
        exact: whether the `log_prob` of `x` is log p(x | z) itself; otherwise a lower bound is estimated.
    """

    exact = True

    decoder: AbstractDecoder
    prior: AbstractPrior | None
    reward: AbstractReward | None

    def __init__(self) -> None:
        super().__init__()
        self.reward = None

    def thoughts(self, z: Tensor) -> Tensor:
        """Thoughts that the decoder attends to, (..., L, K, D), from a value of the site `z`, (..., *prior.z_shape)."""
        return z

    def compile_passes(self, mode: str = "default") -> None:
        """Compile the decoder's passes with `torch.compile`; see `AbstractDecoder.compile_passes`."""
        self.decoder.compile_passes(mode)

    def checked_batch(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """A validated batch: its token ids as int64, and its mask.

        The range of the ids is checked on the CPU alone: elsewhere the check would make the host wait for the device.

        Args:
            x: token ids of any integer type, shape (B, T).
            mask: True where a token is scored, shape (B, T).

        Raises:
            InputError: for other shapes or types, an empty batch, texts longer than the decoder's length, or ids
                outside the vocabulary.
        """
        ids = token_ids(x)
        if ids.dim() != 2:
            raise InputError(
                f"x has shape {tuple(ids.shape)}: expected (B, T), a row for each text; a single text is x[None]"
            )
        if not len(ids):
            raise InputError(f"x has shape {tuple(ids.shape)}: expected at least one text")
        self.decoder.refuse_longer(ids)
        if mask is not None:
            check_mask(mask, ids)
        if ids.device.type == "cpu":
            check_range(ids, self.decoder.vocabulary)
        return ids, mask

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
            previous: the token before each sequence, shape (B,), or, where x is given, the input at each position,
                shape (B, T); the decoder's `bos_id` if None.

        Returns:
            x, shape (B, T).
        """
