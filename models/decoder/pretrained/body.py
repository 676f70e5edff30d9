"""The body of a pretrained causal language model: from embeddings to hidden states, and the weights of its head."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from warnings import catch_warnings, filterwarnings

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.pretrained.injections import BodySizes, Inserted
from ltm_pyro.models.decoder.pretrained.injections.cross_attention import CrossAttentionInjection
from ltm_pyro.models.decoder.pretrained.recomputing import recompute_parts
from ltm_pyro.optional import import_extra
from ltm_pyro.pretrained import freeze

TESTED = 4  # tokens on which the body's logits are compared with the model's own
TOLERANCE = 1e-4
WITHOUT_CACHE = "has no cache of keys and values, which the injection and writing need: take a Transformer decoder"


class PretrainedBody(nn.Module):
    """A causal language model without its head, which stays in evaluation mode: no dropout in a likelihood.

    Args:
        model: of transformers' `AutoModelForCausalLM`.
        name: of the model, for messages.
        learns: `adapters` freezes all its weights, `lora` adds low-rank matrices to each linear layer, `all` freezes
            none.
        rank: of the low-rank matrices.
        recompute: see `recompute_parts`.

    Raises:
        InputError: for a model without a cache, or one whose logits are no linear map of its hidden states.
    """

    def __init__(self, model: Any, name: str, learns: str, rank: int, recompute: str) -> None:
        super().__init__()
        self.name, self.config = name, model.config
        body = model.get_decoder()
        embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
        if head is None or not isinstance(body, nn.Module):
            raise InputError(f"{name} is a {type(model).__name__}, which has no head over a vocabulary: take another")
        accepted = inspect.signature(body.forward).parameters
        if not {"inputs_embeds", "past_key_values"} <= set(accepted):
            raise InputError(f"{name} is a {type(body).__name__}, which {WITHOUT_CACHE}")
        self.takes_positions = "position_ids" in accepted
        self.body: Any = body
        self.embedding = embedding
        self.tied = head.weight is embedding.weight
        self.head = None if self.tied else head
        bias = getattr(head, "bias", None)
        self.vocabulary, self.width = len(head.weight), head.weight.shape[1]
        if bias is not None:
            raise InputError(f"{name} is a {type(model).__name__}, whose head has a bias, which is not supported")
        self._refuse_other_logits(model)
        for weight in model.parameters():
            weight.requires_grad_(learns == "all")
        if learns == "lora":
            peft = import_extra("peft", "lora", "learns='lora'")
            peft.inject_adapter_in_model(
                peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), body
            )
        freeze(self)
        self.layers = _layers_of(body, self.config)
        self.through: list[Layer] = []
        self.shown: list[Tensor] | None = None
        self.compiled: Callable[..., Any] | None = None
        recompute_parts(self.layers, recompute)
        self.eval()

    def train(self, mode: bool = True) -> PretrainedBody:
        """Evaluation mode, whatever the mode of the module that holds this one."""
        return super().train(False)

    @property
    def head_weight(self) -> Tensor:
        """W of the logits W h, shape (V, C)."""
        return self.embedding.weight if self.head is None else self.head.weight

    @property
    def dtype(self) -> torch.dtype:
        return self.head_weight.dtype

    @property
    def longest(self) -> int | None:
        """Number of positions that the model knows; None if it states none."""
        return getattr(self.config, "max_position_embeddings", None)

    def compile_passes(self, mode: str) -> None:
        """Let `torch.compile` make the pass over a text; writing, whose cache grows, stays as it is."""
        compiled = torch.compile(self.body.forward, mode=mode)

        def run(**inputs: Any) -> Any:
            with catch_warnings():  # tensors of the cache are no leaves, of which the compiler asks the gradient
                filterwarnings("ignore", message="The .grad attribute of a Tensor")
                return compiled(**inputs)

        self.compiled = run

    def adapt(self, injection: CrossAttentionInjection) -> None:
        """Let gated adapters act before the layers that the injection names; the body does not hold them."""
        for place, number in enumerate(injection.before):
            layer = self.layers[number] = Layer(self.layers[number], place)
            vars(layer)["adapter"] = injection.adapters[place]  # past the registration: the injection holds it
            self.through.append(layer)

    def forward(
        self,
        embeddings: Tensor,
        inserted: Inserted,
        cache: Any = None,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states, shape (N, T, C), from embeddings of that shape.

        Args:
            embeddings: of tokens.
            inserted: the thoughts of gated adapters are read from here.
            cache: keys and values before these tokens, as transformers takes them.
            positions: of the tokens, shape (N, T) or (1, T).
            mask: added to the attention's scores, shape (N or 1, 1, T, keys); None for causal attention.
        """
        options: dict[str, Any] = {"position_ids": positions} if self.takes_positions else {}
        if self.shown is not None:
            options["output_attentions"] = True
        self._hand_out(inserted.thoughts)
        run = self.body if self.compiled is None or not torch.is_grad_enabled() else self.compiled
        output = run(inputs_embeds=embeddings, past_key_values=cache, use_cache=False, attention_mask=mask, **options)
        self._hand_out(None)
        if self.shown is not None:
            self.shown.extend(output.attentions)
        h: Tensor = output.last_hidden_state
        return h

    @contextmanager
    def showing_attention(self) -> Iterator[list[Tensor]]:
        """Context manager with a list, to which a pass adds each layer's attention, shape (N, H, T, keys)."""
        shown: list[Tensor] = []
        usual = self.config._attn_implementation
        self.body.set_attn_implementation("eager")  # the only one that keeps its shares
        self.shown = shown
        try:
            yield shown
        finally:
            self.shown = None
            self.body.set_attn_implementation(usual)

    def _hand_out(self, thoughts: tuple[Tensor, ...] | None) -> None:
        """Give each adapter's thoughts to the layer behind it, as transformers hands nothing of ours to its layers."""
        for layer in self.through:
            layer.thoughts = None if thoughts is None else thoughts[layer.place]

    @torch.no_grad()
    def sizes(self, begin: int, places: int) -> BodySizes:
        """Sizes, and the states of `places` begin tokens.

        Raises:
            InputError: if the model keeps no keys and values in some layer.
        """
        tokens = torch.full((1, max(1, places)), begin, device=self.head_weight.device)
        embeddings = self.embedding(tokens)
        cache = import_extra("transformers", "pretrained", "a pretrained decoder").DynamicCache()
        self(embeddings, Inserted(), cache)
        pairs: list[Any] = [(getattr(layer, "keys", None), getattr(layer, "values", None)) for layer in cache.layers]
        if len(pairs) != len(self.layers) or any(k is None or v is None or k.shape != v.shape for k, v in pairs):
            raise InputError(f"{self.name} is a {type(self.body).__name__}, which {WITHOUT_CACHE}")
        states = torch.stack([torch.stack((k[0], v[0])) for k, v in pairs])[..., :places, :]
        scale = float(self.embedding.weight.float().square().mean().sqrt())
        return BodySizes(len(pairs), embeddings.shape[-1], embeddings[0, 0].clone(), states, scale)

    @torch.no_grad()
    def _refuse_other_logits(self, model: Any) -> None:
        """Refuse a model that scales or caps its logits: its likelihood would not be that of its hidden states."""
        tokens = torch.arange(min(TESTED, self.vocabulary), device=self.head_weight.device)[None]
        own = model(input_ids=tokens, use_cache=False).logits
        h = self.body(inputs_embeds=self.embedding(tokens), use_cache=False).last_hidden_state
        if h.shape[-1] != self.width or not torch.allclose(
            linear(h, self.head_weight), own, rtol=TOLERANCE, atol=TOLERANCE * float(own.abs().max())
        ):
            raise InputError(
                f"{self.name} is a {type(model).__name__}, whose logits are no linear map of its last hidden states "
                "(it scales or caps them), which is not supported: take another model"
            )


class Layer(nn.Module):
    """A layer of the body behind a gated adapter."""

    adapter: Any

    def __init__(self, layer: nn.Module, place: int) -> None:
        super().__init__()
        self.layer, self.place = layer, place
        self.thoughts: Tensor | None = None

    def forward(self, h: Tensor, *args: Any, **kwargs: Any) -> Any:
        return self.layer(h if self.thoughts is None else self.adapter(h, self.thoughts), *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)  # transformers asks layers for their kind of attention


def _layers_of(body: nn.Module, config: Any) -> nn.ModuleList:
    count = getattr(config.get_text_config(), "num_hidden_layers", None)
    for module in body.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise InputError(f"{type(body).__name__} has no list of its {count} layers: it is not supported as a decoder")
