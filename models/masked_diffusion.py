"""Masked discrete diffusion: a Transformer that sees both ways and fills in what is masked."""

from __future__ import annotations

from typing import get_args

import pyro
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from ltm_pyro.errors import InputError
from ltm_pyro.instances import require_instance
from ltm_pyro.models.abstract import AbstractModel
from ltm_pyro.models.decoder import Decoder
from ltm_pyro.models.decoder.cross_entropy import token_nats
from ltm_pyro.models.decoder.modes import refuse_unknown_mode
from ltm_pyro.models.decoder.rotary import rotary_table
from ltm_pyro.models.masked_sequence import Loss, MaskedSequence
from ltm_pyro.ranges import bounded, whole


class MaskedDiffusionModel(AbstractModel):
    r"""Masked diffusion over tokens: the absorbing state, and what a network says stands behind it.

    MDLM (Sahoo et al., 2024, arXiv 2406.07524): a masked token is never predicted to stay masked, an unmasked one is
    carried over, and the network is not told the time. With the loss `score-entropy`, SEDD's (Lou et al., 2024, arXiv
    2310.16834) for the same absorbing state, its answers are intensities that need not add up to 1; scaled by the
    known function of time, so that here too the network need not be told it (Ou et al., 2024, arXiv 2406.03736).

    Its blocks are those of a `Decoder` without thoughts, in which every token sees all others, or, with a `window`, in
    each layer those nearer than that on either side. Where all are seen, a small network must first find out by its
    positions alone who its neighbours are, and for long it learns no more than how often each token occurs.

    Site: `x`, batch (B,), event (T,), whose `log_prob` estimates a lower bound: see `MaskedSequence`. There is no
    latent site to infer.

    Args:
        decoder: with `thoughts=0`; its window is not used.
        loss: `masked` (MDLM) or `score-entropy` (SEDD).
        window: a token sees itself and the `window` - 1 tokens on either side in a layer; None sees all.

    Raises:
        InputError: if the decoder has thoughts, or there is no such loss, or nothing is seen.
    """

    exact = False

    decoder: Decoder  # whose blocks are used

    @bounded(window=whole(1))
    def __init__(self, decoder: Decoder, loss: Loss = "masked", window: int | None = None) -> None:
        super().__init__()
        require_instance("decoder", decoder, Decoder, "Decoder(vocabulary=1000, thoughts=0)")
        if decoder.z_shape[1]:
            raise InputError("masked diffusion has no thoughts: build its decoder with thoughts=0")
        if loss not in get_args(Loss):
            raise InputError(f"loss={loss!r}: expected one of {', '.join(get_args(Loss))}")
        if window is not None and window < 2:
            raise InputError(
                f"window={window}: expected 2 or more, so that neighbours are seen, or none for all tokens"
            )
        self.decoder, self.prior, self.loss, self.window = decoder, None, loss, window
        self.absorbed = nn.Parameter(torch.randn(decoder.embedding.embedding_dim) * decoder.initial_scale)
        channels = 2 * decoder.rotary.shape[1]
        self.rotary: Tensor
        self.register_buffer("rotary", rotary_table(torch.arange(decoder.length + 1), channels), persistent=False)
        self.near: Tensor | None
        self.register_buffer("near", None if window is None else near(decoder.length + 1, window), persistent=False)

    def forward(
        self,
        x: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        length = None if x is None else x.shape[-1]
        size = batch_size or (1 if x is None else len(x))
        with pyro.plate("sequences", size, dim=-1):
            return pyro.sample("x", MaskedSequence(self, mask, previous, length, (size,)), obs=x)

    def compile_passes(self, mode: str = "default") -> None:
        refuse_unknown_mode(mode)
        self.hidden_states = torch.compile(self.hidden_states, mode=mode)  # type: ignore[method-assign]

    def hidden_states(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Hidden states of a text with masked tokens, shape (N, T, D).

        Args:
            tokens: shape (N, T), up to the decoder's length.
            hidden: which of them are masked, shape (N, T).
            previous: the token before each text, shape (N,).
        """
        seen = torch.where(
            hidden[..., None], self.absorbed.to(self.decoder.embedding.weight.dtype), self.decoder.embedding(tokens)
        )
        h = torch.cat((self.decoder.embedding(previous)[:, None], seen), 1)
        length = h.shape[1]
        table, sees = self.rotary[:length], None if self.near is None else self.near[:length, :length]
        for block in self.decoder.blocks:
            h = block.cross_attend(block.self_attend(h, table, sees), None, None)
        return self.decoder.norm(h[:, 1:])

    def intensities(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Log-intensity of every token at every position, shape (N, T, V), as far as it is masked.

        For the masked loss these are log-probabilities. The arguments are those of `hidden_states`.
        """
        f = linear(self.hidden_states(tokens, hidden, previous), self.decoder.embedding.weight)
        return f.log_softmax(-1) if self.loss == "masked" else f - f.new_tensor(f.shape[-1]).log()

    def token_nats(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Log-likelihood terms of a text's hidden tokens, added up, in nats, shape (N,): minus their losses.

        The arguments are those of `hidden_states`. Only what is hidden is multiplied by the vocabulary.
        """
        rows = self.hidden_states(tokens, hidden, previous)[hidden]
        targets, weight = tokens[hidden], self.decoder.embedding.weight
        nats = token_nats(rows, weight, targets)
        if self.loss == "score-entropy":
            log_total = torch.logsumexp(linear(rows, weight), -1) - nats.new_tensor(float(len(weight))).log()
            # - (Σg - 1 - log g_x) = log softmax_x + (log Σg + 1 - Σg), whose second part is never above zero
            nats = nats + log_total + 1 - log_total.exp()
        row_of = torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(hidden)[hidden]
        return nats.new_zeros(len(tokens)).index_add(0, row_of, nats)

    def filled(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """A text filled up to the full length with `begin`, and where it may be masked, (B, length) each.

        What comes after the last scored token is filling, which is scored: it says where the text ends. The text of one
        batch is therefore the same in any other.
        """
        scored = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        last = (scored * torch.arange(1, x.shape[-1] + 1, device=x.device)).amax(-1, keepdim=True)
        after = torch.arange(self.decoder.length, device=x.device) >= last
        more = self.decoder.length - x.shape[-1]
        text = pad(x, (0, more)).masked_fill(after, self.decoder.bos_id)
        return text, pad(scored, (0, more)) | after


def near(length: int, window: int) -> Tensor:
    """Mask of the keys that a query sees: itself and the `window` - 1 tokens on either side. Boolean, shape (T, T)."""
    return torch.ones(length, length, dtype=torch.bool).triu(1 - window).tril(window - 1)
