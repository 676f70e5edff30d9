"""The contract of a decoder: the probability of a text given its thoughts, token by token."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.abstract_cache import AbstractCache
from ltm_pyro.models.decoder.history import TokenHistory
from ltm_pyro.models.decoder.modes import refuse_unknown_mode
from ltm_pyro.recorded import Recorded
from ltm_pyro.renamed_members import refuse_renamed_arguments
from ltm_pyro.token_ids import token_ids


class AbstractDecoder(Recorded, nn.Module, ABC):
    r"""A likelihood of token sequences that factorises from left to right.

    .. math:: p_\theta(x \mid z) = \prod_t p_\theta(x_t \mid x_{<t}, z)

    Two members are to be written: `features`, the last hidden states, and `unembed`, their logits. All others are made
    of these two, right for every decoder, and slow where a better way is known: writing then reads the whole text again
    for every token. A decoder overrides what it can do faster.

    A run makes one with `vocabulary`, `length` and `bos_id`, which it has from its tokenizer and its data, and with the
    arguments that its settings name. A decoder that also serves without thoughts takes their number as `thoughts`.

    Args:
        z_shape: (L, K, D), the thoughts of a text; K = 0 for a decoder without.
        vocabulary: V, the number of token ids.
        length: T, the longest sequence.
        bos_id: the token id that stands before a text.

    Attributes:
        has_attention_on_thoughts: whether `attention_on_thoughts` is known.
    """

    has_attention_on_thoughts = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_renamed_arguments(cls, {"begin": "bos_id"})

    def __init__(self, z_shape: tuple[int, int, int], vocabulary: int, length: int, bos_id: int = 0) -> None:
        super().__init__()
        self.z_shape, self.vocabulary, self.length, self.bos_id = z_shape, vocabulary, length, bos_id

    @abstractmethod
    def features(
        self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*SB L K D"] | None = None
    ) -> Float[Tensor, "*SB T C"]:
        """Last hidden states after each token.

        What follows a token changes nothing of its state, and no sequence changes those of another.

        Args:
            tokens: token ids that are read, no more than `length` of them.
            z: thoughts, with any leading particle dimensions; None where K is 0.

        Returns:
            Shape (B, T, C), or (S, B, T, C) with S particles of z; C is the decoder's own.
        """

    @abstractmethod
    def unembed(self, h: Float[Tensor, "*N C"]) -> Float[Tensor, "*N V"]:
        """Logits of the token that follows, from hidden states."""

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        weight = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if weight is None else weight.device

    def forward(self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*SB L K D"] | None = None) -> Tensor:
        """The same as `features`."""
        return self.features(tokens, z)

    def logits(self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*SB L K D"] | None = None) -> Tensor:
        """Logits of the token after each of `tokens`, shape (..., B, T, V)."""
        return self.unembed(self(tokens, z))

    def prefix_states(self, tokens: Int[Tensor, "*B T"]) -> Any:
        """Prefix states: what a pass computes before z matters. By default the tokens themselves."""
        return tokens

    def hidden_states(
        self, prefix: Any, z: Float[Tensor, "*SB L K D"] | None = None, positions: Int[Tensor, " N"] | None = None
    ) -> Tensor:
        """The rest of a pass, from prefix states to hidden states.

        Args:
            prefix: what `prefix_states` made of the tokens.
            z: thoughts, with any leading particle dimensions.
            positions: the positions whose hidden states are wanted; None wants all.

        Returns:
            Hidden states, shape (B, T, C), (B, N, C) at positions, or (S, B, ...) with S particles of z.
        """
        h = self.features(prefix, z)
        return h if positions is None else h.index_select(-2, positions)

    def token_log_prob(
        self,
        x: Integer[Tensor, "*B T"],
        z: Float[Tensor, "*SB L K D"] | None = None,
        previous: Int[Tensor, ...] | None = None,
        prefix: Any = None,
        positions: Int[Tensor, " N"] | None = None,
    ) -> Tensor:
        """Log-probability of every token given those before it, in nats.

        Args:
            x: token ids.
            z: thoughts, with any leading particle dimensions.
            previous: the token that stands before each sequence, or, shape (B, T), what is read before each token;
                `bos_id` if None.
            prefix: of `inputs(x, previous)`, where it is known already.
            positions: the positions to score; None scores all.

        Returns:
            Shape (B, T), or (S, B, T) with S particles of z; (..., N) at positions.
        """
        x = token_ids(x)
        if prefix is None:
            prefix = self.prefix_states(self.inputs(x, previous))
        logits = self.unembed(self.hidden_states(prefix, z, positions))
        log_p = logits.log_softmax(-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        targets = (x if positions is None else x[..., positions]).expand(log_p.shape[:-1])
        return log_p.gather(-1, targets[..., None]).squeeze(-1)

    def inputs(self, x: Tensor, previous: Tensor | None = None) -> Tensor:
        """Input tokens from which the decoder predicts x: x moved one place to the right, shape (..., T).

        Args:
            x: token ids.
            previous: the token before each sequence, shape (...); or all that is read, shape (..., T), which is given
                back. `bos_id` if None.
        """
        self.refuse_longer(x)
        if previous is not None and previous.dim() == x.dim():
            return previous
        first = torch.full_like(x[..., 0], self.bos_id) if previous is None else previous.expand(x.shape[:-1])
        return torch.cat((first[..., None], x[..., :-1]), dim=-1)

    def refuse_longer(self, x: Tensor) -> None:
        """Raises InputError if texts, shape (..., T), are longer than the decoder's."""
        if x.shape[-1] > self.length:
            raise InputError(
                f"a sequence of {x.shape[-1]} tokens is longer than the decoder's {self.length}: "
                f"cut the text to {self.length} tokens, or build the decoder with length={x.shape[-1]}"
            )

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "N T"], z: Float[Tensor, "N L K D"] | None, ahead: int = 0
    ) -> tuple[Tensor, AbstractCache]:
        """Read the beginning of texts and remember it.

        Args:
            tokens: token ids.
            z: thoughts.
            ahead: how many tokens beyond the first `decode_steps` may then read at once, and the cache may forget.

        Returns:
            Logits of the next token, shape (N, V), and the cache to `decode_step` with.
        """
        cache = TokenHistory(z, len(tokens), self.length + ahead, tokens.device)
        return self._read_again(tokens, cache)[:, -1], cache

    def decode_step(self, token: Int[Tensor, " N"], cache: Any) -> Tensor:
        """Read one more token: logits of the next one, shape (N, V)."""
        return self.decode_steps(token[:, None], cache)[:, 0]

    @torch.no_grad()
    def decode_steps(self, tokens: Int[Tensor, "N T"], cache: Any) -> Tensor:
        """Read several more tokens at once: logits of the one after each, shape (N, T, V)."""
        return self._read_again(tokens, cache)

    def _read_again(self, tokens: Tensor, cache: TokenHistory) -> Tensor:
        positions = cache.append(tokens).clamp_max(self.length - 1)  # those beyond the end are forgotten again
        h = self.features(cache.tokens[:, : self.length], cache.z)  # (N, T, C)
        return self.unembed(h.gather(1, positions[..., None].expand(-1, -1, h.shape[-1])))

    @classmethod
    def tokenizer_of(cls, arguments: Mapping[str, Any]) -> str | None:
        """The tokenizer of a decoder with these arguments, as `data.tokenizer` names it; None if it takes any."""
        return None

    @classmethod
    def pinned(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Constructor arguments that identify all weights from elsewhere, for a run's configuration."""
        return dict(arguments)

    def twins(self) -> dict[str, AbstractDecoder]:
        """Decoders without thoughts that belong beside this one in every table, by the label of their rows."""
        return {}

    def attention_on_thoughts(self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*B L K D"]) -> Tensor:
        """Share of each token's attention that each thought of a layer has, mean over heads, shape (B, L, K, T).

        Raises:
            InputError: by a decoder that has no such attention.
        """
        raise InputError(
            f"a {type(self).__name__} says nothing of its attention to thoughts: it has no attention_on_thoughts"
        )

    def compile_passes(self, mode: str = "default") -> None:
        """Let `torch.compile` make the passes of this decoder, on the device where it is, from here on.

        Values are the same to rounding.

        Args:
            mode: of `torch.compile`. `reduce-overhead` records CUDA graphs, where there is CUDA.

        Raises:
            InputError: for a mode that there is not.
        """
        refuse_unknown_mode(mode)
        self.features = torch.compile(self.features, mode=mode)  # type: ignore[method-assign]
