"""The Transformer that writes the text while it attends to the thoughts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.abstract import AbstractDecoder
from ltm_pyro.models.decoder.attention import window_mask
from ltm_pyro.models.decoder.banded import band_masks
from ltm_pyro.models.decoder.block import EPSILON, Block
from ltm_pyro.models.decoder.cache import CacheSlots
from ltm_pyro.models.decoder.cross_entropy import token_nats
from ltm_pyro.models.decoder.flexible import FlexibleWindow, flexible_window
from ltm_pyro.models.decoder.incremental import DecoderCache
from ltm_pyro.models.decoder.modes import refuse_unknown_mode
from ltm_pyro.models.decoder.norm import RMSNorm
from ltm_pyro.models.decoder.prefix_states import PrefixStates
from ltm_pyro.models.decoder.rotary import rotary_table
from ltm_pyro.ranges import NOT_NEGATIVE, POSITIVE, bounded, whole
from ltm_pyro.token_ids import token_ids

INITIAL_SCALE, PAPER_WIDTH = 0.02, 512  # the paper's standard deviation of the initial weights, and its width


class Decoder(AbstractDecoder):
    r"""A causal Transformer with a sliding window and a cross-attention to thoughts in every layer.

    .. math:: p_\theta(x \mid z) = \prod_t p_\theta(x_t \mid x_{t-w:t-1}, z)

    Layer l attends to its own K thought vectors :math:`z_l`; the short window leaves the long range to them.
    Input and output embeddings are tied (Kong et al., 2025, arXiv 2502.01567, section 2).

    Args:
        vocabulary: number of token ids, V.
        width: D, the channels of a token and of a thought vector; a multiple of 2 x `heads`.
        layers: L.
        heads: H.
        thoughts: K, thought vectors a layer (the paper's N_z is L x K). With 0 there is no cross-attention,
            and the decoder is an autoregressive Transformer.
        window: how many of the last tokens, the current one included, a token sees in a layer.
        length: T, the longest sequence.
        bos_id: the token id that stands before a text.
        thought_scale: z is multiplied by this on its way in. With 1, the paper's, the noise in z drowns a narrow
            decoder's small initial weights, and it learns more slowly than one without thoughts.
        recompute: keep no block's activations for the backward pass, and compute them again there: less memory for
            about a third more time. Values and gradients are the same.
        inner: channels between the two matrices of every SwiGLU; 8D/3 rounded up to a multiple of 32 if None.
        initial_scale: standard deviation of the initial weights. None takes 0.02 √(512/D): the paper's 0.02 at its
            width of 512, and in narrower decoders what lets a product with D channels come out as large as there.

    Raises:
        InputError: for sizes that do not fit together.
    """

    has_attention_on_thoughts = True

    blocks: Sequence[Block]
    rotary: Tensor
    thought_rotary: Tensor
    sees: Tensor
    bands: Tensor

    @bounded(
        vocabulary=whole(1),
        width=whole(1),
        layers=whole(1),
        heads=whole(1),
        thoughts=whole(0),
        window=whole(1),
        length=whole(1),
        bos_id=whole(0),
        thought_scale=NOT_NEGATIVE,
        inner=whole(1),
        initial_scale=POSITIVE,
    )
    def __init__(
        self,
        vocabulary: int,
        width: int = 128,
        layers: int = 3,
        heads: int = 4,
        thoughts: int = 4,
        window: int = 16,
        length: int = 128,
        bos_id: int = 0,
        thought_scale: float = 1.0,
        recompute: bool = False,
        inner: int | None = None,
        initial_scale: float | None = None,
    ) -> None:
        super().__init__((layers, thoughts, width), vocabulary, length, bos_id)
        _check_sizes(vocabulary, width, layers, heads, thoughts, window, length, bos_id)
        _check_options(inner, initial_scale)
        self.window, self.thought_scale, self.recompute = window, thought_scale, recompute
        self.initial_scale = INITIAL_SCALE * math.sqrt(PAPER_WIDTH / width) if initial_scale is None else initial_scale
        self.flexible: FlexibleWindow | None = None
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(  # type: ignore[assignment]  # seen as what it holds
            Block(width, heads, thoughts > 0, inner) for _ in range(layers)
        )
        self.norm = RMSNorm(width, eps=EPSILON)
        channels = width // heads
        # The first thought's key stands at position 0; the others step by T // N_z, as in the paper's code.
        step = max(1, length // max(1, layers * thoughts))
        self.register_buffer("rotary", rotary_table(torch.arange(length), channels), persistent=False)
        self.register_buffer("thought_rotary", rotary_table(torch.arange(thoughts) * step, channels), persistent=False)
        self.register_buffer("sees", window_mask(length, window), persistent=False)
        self.register_buffer("bands", band_masks(length, window), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights from N(0, s²), s the `initial_scale`, or 1/√(2L) of it where a residual branch ends."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                ends_branch = name.endswith(("output.weight", "down.weight"))
                depth = math.sqrt(2 * len(self.blocks)) if ends_branch else 1.0
                nn.init.normal_(parameter, std=self.initial_scale / depth)

    def features(self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*SB L K D"] | None = None) -> Tensor:
        """Hidden states after each token, shape (B, T, D), or (S, B, T, D) with S particles of z."""
        return self.hidden_states(self.prefix_states(tokens), z)

    def unembed(self, h: Float[Tensor, "*N D"]) -> Float[Tensor, "*N V"]:
        """Logits of the next token, from hidden states by the embedding's own weights."""
        return linear(h, self.embedding.weight)

    def prefix_states(self, tokens: Int[Tensor, "*B T"]) -> PrefixStates:
        """Prefix states: the pass up to the first block's cross-attention, which no thought touches."""
        return self._prefix_states(self.blocks[0], self.embedding(tokens))

    def hidden_states(
        self,
        prefix: PrefixStates,
        z: Float[Tensor, "*SB L K D"] | None = None,
        positions: Int[Tensor, " N"] | None = None,
    ) -> Tensor:
        """The rest of the pass.

        Args:
            prefix: what `prefix_states` made of the tokens.
            z: thoughts, with any leading particle dimensions.
            positions: the positions whose hidden states are wanted; None wants all. In the last block the others are
                left out as soon as nobody sees them.

        Returns:
            Hidden states, shape (B, T, D), (B, N, D) at positions, or (S, B, ...) with S particles of z.
        """
        *earlier, last = self.latent_keys_values(z)
        for (block, following), thoughts in zip(pairwise(self.blocks), earlier, strict=True):
            prefix = self._layer(block, following, prefix, thoughts)
        if positions is not None:
            prefix = prefix.at(positions)
        return self.norm(self._again(self.blocks[-1].cross_attend, *prefix, last))

    def compile_passes(self, mode: str = "default") -> None:
        """Let `torch.compile` make the passes of this decoder, on the device where it is, from here on.

        Values are the same to rounding.

        The first call of each kind (weights held or learning, another number of particles) takes up to a minute more,
        batches of another size cause one compilation, and then none does. What writes text is not compiled.

        Args:
            mode: of `torch.compile`. `reduce-overhead` records CUDA graphs, where there is CUDA.

        Raises:
            InputError: for a mode that there is not.
        """
        refuse_unknown_mode(mode)
        weight, channels = self.embedding.weight, 2 * self.rotary.shape[1]
        self.flexible = flexible_window(self.length, self.window, channels, weight.device)
        compiled: Any = torch.compile(self.prefix_states)  # its result lasts a batch: it takes no CUDA graph
        self.prefix_states = compiled  # type: ignore[method-assign]
        self.hidden_states = torch.compile(self.hidden_states, mode=mode)  # type: ignore[method-assign]

    def _layer(self, block: Block, following: Block, prefix: PrefixStates, thoughts: Any) -> PrefixStates:
        """From what one block has read to what the next has."""
        return PrefixStates(*self._again(self._next, block, following, thoughts, *prefix))

    def _next(self, block: Block, following: Block, thoughts: Any, h: Tensor, queries: Tensor | None) -> PrefixStates:
        return self._prefix_states(following, block.cross_attend(h, queries, thoughts))

    def _prefix_states(self, block: Block, h: Tensor) -> PrefixStates:
        table = self.rotary[: h.shape[-2]]
        h = block.self_attend(h, table, self._who_sees_whom(h.shape[-2]))
        return PrefixStates(h, block.queries(h, table))

    def _who_sees_whom(self, size: int) -> Tensor | FlexibleWindow:
        mask = self._mask(size)
        return self.flexible if mask is self.bands and self.flexible is not None and size == self.length else mask

    def _mask(self, size: int) -> Tensor:
        """Of the first positions: dense for a short text, in blocks for a long one."""
        return self.sees[:size, :size] if size <= 2 * self.bands.shape[1] else self.bands

    def _again(self, function: Callable[..., Any], *inputs: Any) -> Any:
        """Call a function, whose activations are computed again in `backward` if the decoder is to `recompute`."""
        if not (self.recompute and torch.is_grad_enabled()):
            return function(*inputs)
        return checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)

    def latent_keys_values(self, z: Tensor | None) -> list:
        """Each layer's thought keys and values, or None a layer for a decoder without thoughts."""
        if not self.z_shape[1]:
            return [None] * len(self.blocks)
        if z is None:
            raise InputError(f"z is missing: this decoder attends to thoughts of shape (L, K, D) = {self.z_shape}")
        return [
            block.thoughts(z_l, self.thought_rotary)
            for block, z_l in zip(self.blocks, (z * self.thought_scale).unbind(-3), strict=True)
        ]

    def attention_on_thoughts(self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*B L K D"]) -> Tensor:
        """Share of each token's attention that each thought of a layer has, mean over heads, shape (B, L, K, T)."""
        prefix, every, shares = self.prefix_states(tokens), self.latent_keys_values(z), []
        for place, (block, thoughts) in enumerate(zip(self.blocks, every, strict=True)):
            assert prefix.queries is not None  # `latent_keys_values` has refused a decoder without
            shares.append(block.cross_attention.shares(prefix.queries, thoughts).transpose(-2, -1))
            if place + 1 < len(self.blocks):
                prefix = self._layer(block, self.blocks[place + 1], prefix, thoughts)
        return torch.stack(shares, -3)

    def token_log_prob(
        self,
        x: Integer[Tensor, "*B T"],
        z: Float[Tensor, "*SB L K D"] | None = None,
        previous: Int[Tensor, ...] | None = None,
        prefix: PrefixStates | None = None,
        positions: Int[Tensor, " N"] | None = None,
    ) -> Tensor:
        """Log-probability of every token given those before it, in nats; the logits are never all in memory."""
        x = token_ids(x)
        if prefix is None:
            prefix = self.prefix_states(self.inputs(x, previous))
        h = self.hidden_states(prefix, z, positions)  # (..., B, T, D)
        targets = x if positions is None else x[..., positions]
        nats = token_nats(h.flatten(0, -2), self.embedding.weight, targets.expand(h.shape[:-1]).flatten())
        return nats.view(h.shape[:-1])

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "N T"], z: Float[Tensor, "N L K D"] | None, ahead: int = 0
    ) -> tuple[Tensor, DecoderCache]:
        """Prefill: read the beginning of texts at once, into a cache of the window."""
        slots = CacheSlots(len(tokens), self.window, ahead, tokens.device)
        cache = DecoderCache.of(self.blocks, self.latent_keys_values(z), slots)
        self._refuse_beyond(tokens, cache)
        h = cache.prefill(self.embedding(tokens), self.rotary, self._mask(tokens.shape[-1]))
        return self.unembed(self.norm(h[:, -1:]))[:, 0], cache

    @torch.no_grad()
    def decode_steps(self, tokens: Int[Tensor, "N T"], cache: DecoderCache) -> Tensor:
        """Decode steps of several tokens at once: logits of the one after each, shape (N, T, V)."""
        self._refuse_beyond(tokens, cache)
        return self.unembed(self.norm(cache.decode(self.embedding(tokens), self.rotary)))

    def _refuse_beyond(self, tokens: Tensor, cache: DecoderCache) -> None:
        stop = cache.position + tokens.shape[-1]
        if stop > self.length + cache.slots.ahead:  # tokens ahead of a text's end are forgotten again
            raise InputError(f"this decoder writes texts of up to {self.length} tokens, not {stop}")


def _check_sizes(
    vocabulary: int, width: int, layers: int, heads: int, thoughts: int, window: int, length: int, bos_id: int
) -> None:
    positive = {"vocabulary": vocabulary, "width": width, "layers": layers, "heads": heads, "window": window}
    for name, size in positive.items():
        if size < 1:
            raise InputError(f"{name}={size}: expected a positive whole number")
    if width % (2 * heads):
        near = max(1, round(width / (2 * heads))) * 2 * heads
        raise InputError(
            f"width={width} cannot be shared by heads={heads}: each head needs an even number of channels; "
            f"width={near} would do, or another number of heads"
        )
    if length < 2:
        raise InputError(f"length={length}: a sequence needs at least two tokens")
    if thoughts < 0:
        raise InputError(f"thoughts={thoughts}: expected 0 (no thoughts) or more")
    if not 0 <= bos_id < vocabulary:
        raise InputError(f"bos_id={bos_id} is not a token id of a vocabulary of {vocabulary}")


def _check_options(inner: int | None, initial_scale: float | None) -> None:
    if inner is not None and inner < 1:
        raise InputError(f"inner={inner}: expected a positive whole number, or none for 8/3 of the width")
    if initial_scale is not None and initial_scale <= 0:
        raise InputError(f"initial_scale={initial_scale}: expected a positive number, or none for the default")
