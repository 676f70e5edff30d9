"""A pretrained causal language model as the decoder of a latent thought model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor
from torch.nn.functional import linear

from ltm_pyro.errors import InputError
from ltm_pyro.files import read_json
from ltm_pyro.models.decoder.abstract import AbstractDecoder
from ltm_pyro.models.decoder.cross_entropy import token_nats
from ltm_pyro.models.decoder.modes import refuse_unknown_mode
from ltm_pyro.models.decoder.pretrained.body import PretrainedBody
from ltm_pyro.models.decoder.pretrained.cache import PretrainedCache, additive_mask, growing_cache, prefix_cache
from ltm_pyro.models.decoder.pretrained.injections import Inserted, make_injection
from ltm_pyro.models.decoder.pretrained.injections.choice import NONE, PLACED, Joined, parts_of, places_of
from ltm_pyro.models.decoder.pretrained.recomputing import Recompute
from ltm_pyro.pretrained import PretrainedSource, find_source, load_model
from ltm_pyro.pretrained.loading import read_config, tokenizer_folder
from ltm_pyro.ranges import NOT_NEGATIVE, bounded, whole
from ltm_pyro.token_ids import token_ids

Learns = Literal["adapters", "lora", "all"]
Precision = Literal["float32", "bfloat16"]
SEPARATOR = "<|endoftext|>"
TOKENIZER_BYTES = 2**27
ARGUMENT = "--decoder.name"


class PretrainedDecoder(AbstractDecoder):
    r"""A causal language model of transformers whose text depends on thoughts.

    .. math:: p_\theta(x \mid z) = \prod_t p_\theta(x_t \mid x_{<t}, z)

    Thoughts enter by an injection, whose parameters learn; the model's own weights are frozen, unless `learns` says
    otherwise. They are no parameters then, and no checkpoint holds them. Dropout is off in all of them.

    - `prefix`: keys and values of K positions before the text, in every layer (prefix tuning, arXiv 2101.00190; the
      memory of Optimus, arXiv 2004.04092, and of LlaMaVAE, arXiv 2312.13208).
    - `prompt`: K soft tokens before the text (prompt tuning, arXiv 2104.08691).
    - `embedding`: one vector added to every token's embedding (Optimus). `prefix+embedding` is Optimus' default.
    - `cross-attention`: gated adapters between layers (Flamingo, arXiv 2204.14198); at the start the decoder is the
      frozen model to the bit.
    - `none`: no thoughts; the frozen model itself.

    Args:
        name: a folder saved by transformers, a `.gguf` file, or a name on the Hugging Face hub.
        vocabulary: V of the text's tokenizer, which may not exceed the model's own; the model's if None. The
            likelihood is over the model's own vocabulary.
        length: T, the longest sequence; with the positions of the injection, no more than the model knows.
        bos_id: the token id that stands before a text; if None, that of `<|endoftext|>`, the usual separator of
            pre-training, else the model's own.
        injection: see above.
        thoughts: K, thought vectors of a text; 0 for a decoder without.
        thought_width: D.
        constant: learned positions that do not depend on z, before those of the thoughts; with `thoughts=0`, plain
            prefix or prompt tuning.
        thought_scale: z is multiplied by this on its way in, relative to the states that it moves.
        per_layer: with `prefix`, let each layer read thoughts of its own, z of shape (layers, K, D).
        every: with `cross-attention`, layers from one adapter to the next.
        window: how many of the last tokens, the current one included, a token sees in a layer, besides the prefix; the
            model's own context if None.
        learns: what learns besides the injection: nothing (`adapters`), low-rank matrices in all linear layers (`lora`,
            needs the extra `lora`), or `all` weights.
        rank: of the low-rank matrices.
        recompute: activations that are computed again in the backward pass, instead of being kept: those of the
            `feed-forward` networks, for two thirds of the memory of a fast step; of whole `layers`, for a third of it
            and the most time; or of `none`. Values and gradients are the same.
        dtype: of the model's own weights.
        revision: a branch, a tag or a commit, of a name on the hub.
        sha256: of the expected weights; others are refused.

    Attributes:
        source: the model's files.

    Raises:
        InputError: for a model that cannot be found, loaded or used, or sizes that do not fit it.
    """

    injection: Joined

    @bounded(
        length=whole(1),
        thoughts=whole(0),
        thought_width=whole(1),
        constant=whole(0),
        thought_scale=NOT_NEGATIVE,
        every=whole(1),
        window=whole(1),
        rank=whole(1),
    )
    def __init__(
        self,
        name: str = "",
        vocabulary: int | None = None,
        length: int = 256,
        bos_id: int | None = None,
        injection: str = "prefix",
        thoughts: int = 4,
        thought_width: int = 32,
        constant: int = 0,
        thought_scale: float = 0.2,
        per_layer: bool = False,
        every: int = 4,
        window: int | None = None,
        learns: Learns = "adapters",
        rank: int = 8,
        recompute: Recompute = "none",
        dtype: Precision = "float32",
        revision: str | None = None,
        sha256: str | None = None,
    ) -> None:
        parts = parts_of(injection)
        if parts == [NONE]:
            thoughts = constant = 0
        elif not thoughts and not (constant and set(PLACED) & set(parts)):
            injection = NONE  # nothing is left to insert
        source = find_source(name, revision, ARGUMENT, sha256)
        source.require(sha256, ARGUMENT)
        config = read_config(source, ARGUMENT)
        _refuse_unfit(source, config, vocabulary, length, places_of(injection, thoughts, constant))
        model = load_model(source, "AutoModelForCausalLM", getattr(torch, dtype), ARGUMENT)
        if learns == "all":
            model = _own_copy(model)
        body = PretrainedBody(model, f"{ARGUMENT} {source.name}", learns, rank, recompute)
        begin = _begin_of(source, config) if bos_id is None else bos_id
        sizes = body.sizes(begin, places_of(injection, thoughts, constant))
        made = make_injection(injection, sizes, thoughts, thought_width, constant, thought_scale, per_layer, every)
        super().__init__((made.layers, thoughts, thought_width), body.vocabulary, length, begin)
        self.source, self.window, self.body, self.injection = source, window, body, made
        self.dtype: Precision = dtype
        if made.cross_attention is not None:
            body.adapt(made.cross_attention)

    def features(
        self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*SB L K D"] | None = None
    ) -> Float[Tensor, "*SB T C"]:
        shape = tokens.shape if z is None else (*z.shape[:-3], tokens.shape[-1])
        rows = tokens.expand(shape).reshape(-1, shape[-1])
        h = self._features(rows, None if z is None else z.reshape(-1, *self.z_shape))
        return h.view(*shape, h.shape[-1])

    def _features(self, tokens: Tensor, z: Tensor | None) -> Tensor:
        """Hidden states, shape (N, T, C), of texts with a thought each."""
        inserted = self._inserted(z, len(tokens))
        places, length = self.injection.places, tokens.shape[1]
        embeddings, soft = self._embeddings(tokens, inserted), inserted.soft_tokens
        cache = None if inserted.keys_values is None else prefix_cache(inserted.keys_values)
        positions = torch.arange(places, places + length, device=tokens.device)[None]
        if soft is not None:
            embeddings = torch.cat((soft, embeddings), 1)
            positions = torch.arange(places + length, device=tokens.device)[None]
        mask = None if self.window is None else self._window_mask(positions, embeddings.dtype)
        return self.body(embeddings, inserted, cache, positions, mask)[:, -length:]

    def _window_mask(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Mask of a text's positions behind those of the injection, which all see; soft tokens see those before."""
        places = self.injection.places
        text = positions - places
        mask = additive_mask(text, text[text >= 0][None], places, self.window, dtype)
        if positions[0, 0] == places:  # no soft tokens: the places are in the cache
            return mask
        first = torch.arange(places, device=positions.device)[None]
        return torch.cat((additive_mask(first, positions, 0, None, dtype), mask[:, :, places:]), 2)

    def unembed(self, h: Float[Tensor, "*N C"]) -> Float[Tensor, "*N V"]:
        return linear(h, self.body.head_weight)

    def token_log_prob(
        self,
        x: Integer[Tensor, "*B T"],
        z: Float[Tensor, "*SB L K D"] | None = None,
        previous: Int[Tensor, ...] | None = None,
        prefix: Any = None,
        positions: Int[Tensor, " N"] | None = None,
    ) -> Tensor:
        """Log-probability of every token given those before it, in nats; the logits are never all in memory."""
        x = token_ids(x)
        h = self.hidden_states(self.inputs(x, previous) if prefix is None else prefix, z, positions)
        targets = (x if positions is None else x[..., positions]).expand(h.shape[:-1])
        return token_nats(h.flatten(0, -2), self.body.head_weight, targets.flatten()).view(h.shape[:-1])

    @torch.no_grad()
    def prefill(
        self, tokens: Int[Tensor, "N T"], z: Float[Tensor, "N L K D"] | None, ahead: int = 0
    ) -> tuple[Tensor, PretrainedCache]:
        inserted, rows, places = self._inserted(z, len(tokens)), len(tokens), self.injection.places
        past, room = growing_cache(inserted.keys_values), self.length + ahead
        if inserted.soft_tokens is not None:
            first = torch.arange(places, device=tokens.device)[None]
            self.body(inserted.soft_tokens, inserted, past, first)
        cache = PretrainedCache(inserted, past, rows, places, room, self.window, tokens.device)
        return self.decode_steps(tokens, cache)[:, -1], cache

    @torch.no_grad()
    def decode_steps(self, tokens: Int[Tensor, "N T"], cache: PretrainedCache) -> Tensor:
        if cache.position + tokens.shape[1] > cache.room:
            raise InputError(
                f"this decoder writes texts of up to {cache.room} tokens, not {cache.position + tokens.shape[1]}"
            )
        positions = cache.admit(tokens.shape[1])
        embeddings = self._embeddings(tokens, cache.inserted)
        mask = cache.mask(positions, embeddings.dtype)
        last = (self.body.longest or NO_END) - 1 - cache.places  # tokens ahead of a text's end are forgotten again
        h = self.body(embeddings, cache.inserted, cache.past, positions.clamp_max(last) + cache.places, mask)
        return self.unembed(h)

    @classmethod
    def tokenizer_of(cls, arguments: Mapping[str, Any]) -> str | None:
        return str(tokenizer_folder(_source_of(arguments), ARGUMENT))

    @classmethod
    def pinned(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return _source_of(arguments).pinned(arguments, ARGUMENT)

    def twins(self) -> dict[str, AbstractDecoder]:
        """The same decoder with z = 0, and the frozen model itself, both without thoughts."""
        frozen = PretrainedDecoder(
            self.source.place,
            None,
            self.length,
            self.bos_id,
            NONE,
            window=self.window,
            dtype=self.dtype,
            revision=self.source.revision,
        )
        return {"z = 0, the same adapters": AtZero(self), "the frozen model": frozen.to(self.device)}

    @property
    def has_attention_on_thoughts(self) -> bool:  # type: ignore[override]
        """Whether its thoughts stand at positions before the text, to which tokens attend."""
        return self.injection.places > 0

    def attention_on_thoughts(self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*B L K D"]) -> Tensor:
        """Share of each token's attention that each thought has, shape (B, L, K, T).

        It is the mean over heads, and over layers too where all layers share the thoughts.
        """
        if not self.has_attention_on_thoughts:
            return super().attention_on_thoughts(tokens, z)
        shape, thoughts = tokens.shape, slice(self.injection.places - self.z_shape[1], self.injection.places)
        with self.body.showing_attention() as shown:
            self._features(tokens.reshape(-1, shape[-1]), z.reshape(-1, *self.z_shape))
        shares = torch.stack([layer.mean(1)[:, -shape[-1] :, thoughts] for layer in shown], 1)  # (N, layers, T, K)
        shares = shares if self.z_shape[0] > 1 else shares.mean(1, keepdim=True)
        return shares.transpose(-2, -1).view(*shape[:-1], *self.z_shape[:2], shape[-1])

    def compile_passes(self, mode: str = "default") -> None:
        refuse_unknown_mode(mode)
        self.body.compile_passes(mode)

    def _embeddings(self, tokens: Tensor, inserted: Inserted) -> Tensor:
        embeddings = self.body.embedding(tokens)
        return embeddings if inserted.shift is None else embeddings + inserted.shift

    def _inserted(self, z: Tensor | None, rows: int) -> Inserted:
        """Insertion of the thoughts of N texts, in the dtype of the body."""
        if z is None and self.z_shape[1]:
            raise InputError(f"z is missing: this decoder reads thoughts of shape (L, K, D) = {self.z_shape}")
        inserted = self.injection(z if self.z_shape[1] else None, rows)
        dtype = self.body.dtype
        return Inserted(
            inserted.keys_values and [(k.to(dtype), v.to(dtype)) for k, v in inserted.keys_values],
            None if inserted.soft_tokens is None else inserted.soft_tokens.to(dtype),
            None if inserted.shift is None else inserted.shift.to(dtype),
            inserted.thoughts,
        )


class AtZero(AbstractDecoder):
    """A decoder with thoughts, read at z = 0: a decoder without, whose likelihood is exact.

    Args:
        decoder: the one with thoughts, which is shared.
    """

    def __init__(self, decoder: AbstractDecoder) -> None:
        super().__init__((1, 0, 1), decoder.vocabulary, decoder.length, decoder.bos_id)
        self.decoder = decoder

    def features(
        self, tokens: Int[Tensor, "*B T"], z: Float[Tensor, "*SB L K D"] | None = None
    ) -> Float[Tensor, "*SB T C"]:
        return self.decoder.features(tokens, self._zero(tokens))

    def unembed(self, h: Float[Tensor, "*N C"]) -> Float[Tensor, "*N V"]:
        return self.decoder.unembed(h)

    def token_log_prob(
        self,
        x: Integer[Tensor, "*B T"],
        z: Float[Tensor, "*SB L K D"] | None = None,
        previous: Int[Tensor, ...] | None = None,
        prefix: Any = None,
        positions: Int[Tensor, " N"] | None = None,
    ) -> Tensor:
        return self.decoder.token_log_prob(x, self._zero(x), previous, prefix, positions)

    def _zero(self, tokens: Tensor) -> Tensor:
        return torch.zeros(*tokens.shape[:-1], *self.decoder.z_shape, device=tokens.device)


NO_END = 2**62


def _source_of(arguments: Mapping[str, Any]) -> PretrainedSource:
    return find_source(arguments.get("name") or "", arguments.get("revision"), ARGUMENT, arguments.get("sha256"))


def _refuse_unfit(source: PretrainedSource, config: Any, vocabulary: int | None, length: int, places: int) -> None:
    """Refuse a model of another kind, or sizes that do not fit it, before any weight is read."""
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"{ARGUMENT} {source.name} is an encoder–decoder ({config.model_type}): take a causal language model"
        )
    text = config.get_text_config()
    if vocabulary is not None and vocabulary > text.vocab_size:
        raise InputError(
            f"the tokenizer has {vocabulary:,} ids, and {ARGUMENT} {source.name} only {text.vocab_size:,}: leave "
            "--data.tokenizer out, for the model's own"
        )
    longest = getattr(text, "max_position_embeddings", None)
    if longest is not None and length + places > longest:
        behind = f" behind {places} positions of the injection" if places else ""
        raise InputError(
            f"{ARGUMENT} {source.name} knows {longest:,} positions, fewer than texts of {length:,} tokens{behind}: "
            f"give --data.length {longest - places} or less"
        )


def _own_copy(model: Any) -> Any:
    """The model with weights of its own in memory, as those of a file may be mapped into it."""
    for weight in model.parameters():
        weight.data = weight.data.clone()
    return model


def _begin_of(source: PretrainedSource, config: Any) -> int:
    """The id of the separator of pre-training, else that of the model's own begin or end token."""
    try:
        file = tokenizer_folder(source, ARGUMENT) / "tokenizer.json"
        content: Mapping[str, Any] = read_json(file, dict[str, Any], TOKENIZER_BYTES, follow=True)
    except InputError:  # a model without a tokenizer
        content = {}
    for token in content.get("added_tokens", ()):
        if token.get("content") == SEPARATOR:
            return int(token["id"])
    named = (getattr(config, name, None) for name in ("bos_token_id", "eos_token_id"))
    return next((int(id[0] if isinstance(id, list) else id) for id in named if id is not None), 0)
