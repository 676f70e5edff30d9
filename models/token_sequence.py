"""The likelihood of a text as a Pyro distribution: `log_prob` scores, `sample` writes."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.models.decoder import AbstractDecoder
from ltm_pyro.models.drawing import draw
from ltm_pyro.token_ids import check_range, token_ids


class TokenSequence(TorchDistribution):
    r"""Likelihood of a text given thoughts, p(x | z): a distribution over token sequences.

    .. math:: \log p_\theta(x \mid z) = \sum_t m_t \log p_\theta(x_t \mid x_{t-w:t-1}, z)

    Batch shape (B,), or (S, B) with S particles of z; event shape (T,).

    Args:
        decoder: the network that gives the probabilities of the next token.
        z: thoughts, shape (..., B, L, K, D); None for a decoder without thoughts.
        mask: True where a token is scored, shape (B, T); None scores all. Tokens that are not
            scored are still inputs: padding at the end changes nothing, a masked prefix is context.
        previous: the token before each sequence, shape (B,); the decoder's `bos_id` if None. For scoring only, also the
            input token at each position, shape (B, T).
        length: T of the texts that `sample` writes; the mask's, else the decoder's, if None.
        batch_shape: needed where z is None.

    Example:
        >>> from ltm_pyro.models import Decoder
        >>> decoder = Decoder(vocabulary=10, width=8, layers=1, heads=2, thoughts=2, length=6)
        >>> text = TokenSequence(decoder, torch.zeros(3, *decoder.z_shape)).sample()
        >>> text.shape, TokenSequence(decoder, torch.zeros(3, *decoder.z_shape)).log_prob(text).shape
        (torch.Size([3, 6]), torch.Size([3]))
    """

    arg_constraints: dict = {}  # noqa: RUF012  (the base class's own declaration)
    support = constraints.independent(constraints.nonnegative_integer, 1)
    has_rsample = False

    def __init__(
        self,
        decoder: AbstractDecoder,
        z: Tensor | None = None,
        mask: Tensor | None = None,
        previous: Tensor | None = None,
        length: int | None = None,
        batch_shape: torch.Size | tuple[int, ...] | None = None,
        validate_args: bool | None = None,
    ) -> None:
        require_instance("decoder", decoder, AbstractDecoder, "model.decoder")
        self.decoder, self.z, self.mask, self.previous = decoder, z, mask, previous
        self.prefix: Any = None
        self.positions: Tensor | None = None
        if z is not None and tuple(z.shape[-3:]) != decoder.z_shape:
            raise InputError(
                f"z ends in shape {tuple(z.shape[-3:])}, but the decoder expects (L, K, D) = {decoder.z_shape}: "
                "build the prior and the guide with decoder.z_shape"
            )
        if batch_shape is None:
            batch_shape = torch.Size() if z is None else z.shape[:-3]
        length = length or (decoder.length if mask is None else mask.shape[-1])
        super().__init__(torch.Size(batch_shape), torch.Size((length,)), validate_args=validate_args)

    def expand(self, batch_shape: torch.Size, _instance: TokenSequence | None = None) -> TokenSequence:
        """The same distribution with a larger batch shape."""
        batch_shape = torch.Size(batch_shape)
        z = None if self.z is None else self.z.expand(*batch_shape, *self.decoder.z_shape)
        length = self.event_shape[0]
        new = TokenSequence(self.decoder, z, self.mask, self.previous, length, batch_shape, self._validate_args)
        new.prefix, new.positions = self.prefix, self.positions
        return new

    @torch.no_grad()
    def prefix_states(self, x: Tensor) -> Any:
        """Prefix states of x, which do not depend on z, without history: for many passes over x with fixed weights."""
        return self.decoder.prefix_states(self.decoder.inputs(x, self.previous))

    def after(self, prefix: Any, positions: Tensor | None = None) -> TokenSequence:
        """The same distribution with the prefix states of one text given, which it scores without computing them again.

        Args:
            prefix: the text's `prefix_states`; None to compute them at every call.
            positions: the only positions to score, (N,), each with weight T / N: where every position is equally likely
                to be among them, `log_prob` is an unbiased estimate.
        """
        new = copy(self)
        new.prefix, new.positions = prefix, positions
        return new

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability of each text, in nats, shape (B,) or (S, B); an unscored token contributes exactly zero.

        Args:
            x: token ids, shape (B, T), with any T up to the decoder's length.
        """
        x = token_ids(x)
        if self._validate_args:
            check_text(x, self.mask, self.decoder.vocabulary)
        nats = self.decoder.token_log_prob(x, self.z, self.previous, self.prefix, self.positions)  # (..., B, T)
        if self.mask is not None:
            nats = nats.masked_fill(~(self.mask if self.positions is None else self.mask[:, self.positions]), 0.0)
        nats = nats.sum(-1) if self.positions is None else nats.mean(-1) * x.shape[-1]
        return nats.expand(torch.broadcast_shapes(nats.shape, self.batch_shape))

    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008  (the base class's signature)
        """Write texts token by token, shape (*sample_shape, *batch_shape, T)."""
        return self._write(torch.Size(sample_shape) + self.batch_shape).clone()  # an ordinary tensor again

    @torch.inference_mode()
    def _write(self, batch_shape: torch.Size) -> Tensor:
        count, device = batch_shape.numel(), self.decoder.device
        z = None if self.z is None else self.z.expand(*batch_shape, *self.decoder.z_shape)
        z = None if z is None else z.reshape(count, *self.decoder.z_shape)
        previous = torch.full((count,), self.decoder.bos_id, device=device)
        if self.previous is not None:
            previous = self.previous.expand(batch_shape).flatten()
        logits, cache = self.decoder.prefill(previous[:, None], z)
        tokens = [draw(logits.softmax(-1))]
        while len(tokens) < self.event_shape[0]:
            tokens.append(draw(self.decoder.decode_step(tokens[-1], cache).softmax(-1)))
        return torch.stack(tokens, -1).view(*batch_shape, -1)


def check_text(x: Tensor, mask: Tensor | None, vocabulary: int) -> None:
    """Raises InputError if a text, shape (B, T), has ids outside the vocabulary, or a mask that does not fit it."""
    if mask is not None:
        check_mask(mask, x)
    check_range(x, vocabulary)


def check_mask(mask: Tensor, x: Tensor) -> None:
    """Raises InputError unless the mask is boolean, of the shape (B, T) of a text, shape (..., B, T)."""
    if mask.dtype != torch.bool:
        raise InputError(f"the mask is of {mask.dtype}: expected booleans, True where a token is scored")
    if mask.shape != x.shape[-2:]:
        raise InputError(f"the mask has shape {tuple(mask.shape)}, x has {tuple(x.shape)}: they must agree")
