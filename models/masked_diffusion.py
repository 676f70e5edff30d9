"""Masked discrete diffusion: a bidirectional Transformer that predicts masked tokens."""

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
    r"""Masked (absorbing-state) discrete diffusion over tokens: MDLM, or SEDD by its loss.

    MDLM (Sahoo et al., 2024, arXiv 2406.07524): a masked token is never predicted to stay masked, an unmasked one is
    carried over, and the network has no time input. With the loss `score-entropy`, SEDD's (Lou et al., 2024, arXiv
    2310.16834) for the same absorbing state, the network's outputs are intensities that need not add up to 1. Their
    dependence on time is a known factor, so that here too the network has no time input (Ou et al., 2024, arXiv
    2406.03736).

    The blocks are those of a `Decoder` without thoughts, with bidirectional attention: a token attends to all others,
    or, with a `window`, to the nearest on either side in each layer. Without a window, a small network must learn from
    positions alone which tokens are neighbours, and for long it learns no more than the frequencies of tokens.

    Site: `x`, batch (B,), event (T,), whose `log_prob` estimates a lower bound: see `MaskedSequence`. There is no
    latent site to infer.

    Args:
        decoder: one with `thoughts=0`, whose embedding and blocks are used, and whose window is not.
        loss: `masked` (MDLM) or `score-entropy` (SEDD).
        window: a token sees itself and the `window` - 1 tokens on either side in a layer; None sees all.

    Raises:
        InputError: if the decoder has thoughts, for an unknown loss, or for a window below 2.
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
                f"window={window}: expected 2 or more, so that a token sees its neighbours, or None to see all"
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
        embedded = torch.where(
            hidden[..., None], self.absorbed.to(self.decoder.embedding.weight.dtype), self.decoder.embedding(tokens)
        )
        h = torch.cat((self.decoder.embedding(previous)[:, None], embedded), 1)
        length = h.shape[1]
        table, sees = self.rotary[:length], None if self.near is None else self.near[:length, :length]
        for block in self.decoder.blocks:
            h = block.cross_attend(block.self_attend(h, table, sees), None, None)
        return self.decoder.norm(h[:, 1:])

    def intensities(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Log-intensity of every token at every position, shape (N, T, V); meaningful at masked positions alone.

        For the masked loss the log-intensities are log-probabilities. The arguments are those of `hidden_states`.
        """
        f = linear(self.hidden_states(tokens, hidden, previous), self.decoder.embedding.weight)
        return f.log_softmax(-1) if self.loss == "masked" else f - f.new_tensor(f.shape[-1]).log()

    def token_nats(self, tokens: Tensor, hidden: Tensor, previous: Tensor) -> Tensor:
        """Sum of the log-likelihood terms (negative losses) of each text's masked tokens, in nats, shape (N,).

        The arguments are those of `hidden_states`. Logits are computed at masked positions only.
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
        """Texts padded to the full length with `bos_id`, and a mask of the free positions, (B, length) each.

        Padding begins after the last scored token and is scored: it marks the end of the text. A text is therefore the
        same in every batch, whatever the length of the others.
        """
        scored = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        last = (scored * torch.arange(1, x.shape[-1] + 1, device=x.device)).amax(-1, keepdim=True)
        after = torch.arange(self.decoder.length, device=x.device) >= last
        padding = self.decoder.length - x.shape[-1]
        text = pad(x, (0, padding)).masked_fill(after, self.decoder.bos_id)
        return text, pad(scored, (0, padding)) | after


def near(length: int, window: int) -> Tensor:
    """Mask of the keys that a query sees: itself and the `window` - 1 tokens on either side. Boolean, shape (T, T)."""
    return torch.ones(length, length, dtype=torch.bool).triu(1 - window).tril(window - 1)
