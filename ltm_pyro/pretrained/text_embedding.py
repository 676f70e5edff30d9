"""Embeddings of texts by a pretrained encoder of transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.hub_errors import first_line
from ltm_pyro.pretrained.freezing import freeze
from ltm_pyro.pretrained.loading import load_model, load_tokenizer, read_config
from ltm_pyro.pretrained.source import PretrainedSource

Pooling = Literal["mean", "first"]
POOLER = "pooler"  # the part of BERT's family behind the last states, which no embedding here uses


class TextEmbedding(nn.Module):
    r"""Embedding of a text: the last hidden states of a pretrained encoder, pooled over the text's own tokens.

    .. math:: e = \frac{1}{N} \sum_{n=1}^{N} h_n \quad (\text{mean}), \qquad e = h_1 \quad (\text{first})

    where n runs over the tokens of the encoder's own tokenizer, the special ones that it adds included (Reimers and
    Gurevych, 2019, arXiv 1908.10084, section 3). Nothing is normalised. Any `AutoModel` of transformers with
    `last_hidden_state` serves, and of T5's family the encoder. A text that is longer than the encoder's positions is
    cut at its end. A text without a single token has the mean 0.

    Dropout is off in training too, so that an embedding is a function of the text.

    Args:
        source: of the model.
        pooling: `mean`, or `first`, the state of the first token, which is BERT's [CLS].
        frozen: True if no weight learns: weights are then buffers that no checkpoint holds.
        argument: what named the model, for messages.

    Attributes:
        width: of an embedding.
        limit: the largest number of tokens of a text, the special ones included; None without a limit.

    Raises:
        InputError: if the model cannot be loaded, or is no encoder of texts.
    """

    def __init__(self, source: PretrainedSource, pooling: Pooling, frozen: bool, argument: str) -> None:
        super().__init__()
        if pooling not in get_args(Pooling):
            raise InputError(f"pooling={pooling!r}: expected {' or '.join(map(repr, get_args(Pooling)))}")
        self.pooling, self.frozen = pooling, frozen
        self.tokenizer: Any = load_tokenizer(source, argument)
        self.model: Any = _load(source, argument)
        self.pad: int = self.tokenizer.pad_token_id or 0
        self.limit = min(_limits(self.model, self.tokenizer), default=None)
        if frozen:
            self.model.requires_grad_(False)
            freeze(self.model)
        self.width = self._tried(f"{argument} {source.name}")
        self.eval()

    def train(self, mode: bool = True) -> TextEmbedding:
        """Evaluation mode, whatever the mode of the module that holds this one."""
        return super().train(False)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embeddings of texts, shape (B, width)."""
        rows = [self._tokens(text) for text in texts]
        lengths = torch.tensor([len(row) for row in rows])
        longest, device = max(1, int(lengths.max())), self.model.get_input_embeddings().weight.device
        tokens = torch.tensor([row + [self.pad] * (longest - len(row)) for row in rows], device=device)
        own = (torch.arange(longest) < lengths[:, None]).to(tokens.device)  # (B, N)
        seen = own.clone()
        seen[:, 0] = True  # attention to nothing at all would give NaN
        states = self.model(input_ids=tokens, attention_mask=seen.long()).last_hidden_state  # (B, N, width)
        return states[:, 0] if self.pooling == "first" else _mean(states, own)

    def _tokens(self, text: str) -> list[int]:
        cut = {} if self.limit is None else {"truncation": True, "max_length": self.limit}
        return list(self.tokenizer.encode(text, verbose=False, **cut))

    def _tried(self, name: str) -> int:
        """The width of an embedding, by that of the empty text."""
        try:
            entries: int = self.model.get_input_embeddings().num_embeddings
            with torch.no_grad():
                width = self([""]).shape[-1]
        except Exception as error:  # of any model that takes other inputs, or gives other outputs
            raise InputError(
                f"{name} is no encoder of texts: {type(error).__name__}: {first_line(error)}. Give a model with "
                "last_hidden_state, such as BERT or the encoder of T5"
            ) from error
        if len(self.tokenizer) > entries:
            raise InputError(
                f"{name}: its tokenizer has {len(self.tokenizer)} ids and its model {entries} embeddings: restore the "
                "tokenizer that belongs to the model"
            )
        return width


def _load(source: PretrainedSource, argument: str) -> Any:
    """The encoder, without the parts that an embedding does not use."""
    config = read_config(source, argument)
    alone = any(name.endswith("EncoderModel") for name in config.architectures or ())  # T5's, saved without its decoder
    if alone or getattr(config, "is_encoder_decoder", False):
        model: Any = load_model(source, "AutoModelForTextEncoding", torch.float32, argument)
        return model.get_encoder()
    model = load_model(source, "AutoModel", torch.float32, argument, unused=(POOLER,))
    if getattr(model, POOLER, None) is not None:
        model.pooler = None
    return model


def _limits(model: nn.Module, tokenizer: Any) -> Iterator[int]:
    """The limits on a text's number of tokens that model and tokenizer state."""
    if tokenizer.model_max_length < 2**31:  # without one transformers has a number of thirty digits
        yield tokenizer.model_max_length
    if isinstance(positions := getattr(model.config, "max_position_embeddings", None), int):
        yield positions
    for name, part in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            yield part.num_embeddings - (
                0 if part.padding_idx is None else part.padding_idx + 1
            )  # RoBERTa's begin there


def _mean(states: Tensor, own: Tensor) -> Tensor:
    """The mean of states (B, N, width) over a text's own tokens (B, N)."""
    weight = own[..., None].to(states)
    return (states * weight).sum(1) / weight.sum(1).clamp_min(1)
