"""A pretrained text encoder as the encoder of amortised guides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.guides.abstract_encoder import AbstractEncoder, SupportsDecode
from ltm_pyro.guides.memory import texts_of
from ltm_pyro.guides.posterior_store import PosteriorStore
from ltm_pyro.pretrained import TextEmbedding, find_source
from ltm_pyro.ranges import bounded, whole

NAME = "--guide.encoder.name"  # the argument that names the model, for messages


class PretrainedEncoder(AbstractEncoder):
    r"""Pretrained text encoder with a linear head: from the scored tokens of a text to moments of q(z | x).

    .. math:: x \mapsto \mathrm{text}(x) \mapsto e \in \mathbb{R}^n, \qquad (a, b) = W e + c

    with e the pooled last states of an encoder of transformers, such as BERT, ModernBERT or the encoder of T5 (see
    `TextEmbedding`), and the shifts a of the mean and b of the log-scale relative to the prior (see `AbstractEncoder`).
    Optimus (Li et al., 2020, arXiv 2004.04092) and LlaMaVAE (Zhang et al., 2023, arXiv 2312.13208) infer thoughts so.
    W and c start at zero, so that q starts at the prior.

    Only scored tokens are inputs: the run's tokenizer turns their ids into text, which the encoder's own tokenizer
    reads. A text without a scored token is the empty text.

    With a frozen encoder only W and c learn. Its weights are in no checkpoint, and the embedding of a text is computed
    once: embeddings are remembered in memory, as float32 by a hash of the scored tokens. Each text is embedded by
    itself, so that its embedding does not depend on the batch in which it comes first.

    In Python, ``AmortisedGuide(z_shape, encoder=PretrainedEncoder("all-MiniLM-L6-v2"))``; outside of a run
    ``guide.attach_tokenizer(tokenizer)`` comes before the first batch.

    Args:
        name: a folder that transformers saved, or NAME or hf:NAME on the Hugging Face hub.
        revision: a branch, a tag or a commit on the hub.
        sha256: of the weights, which a run records; other weights are refused. None accepts any.
        pooling: `mean` of the last states over all tokens, or the `first` token's state.
        learns: `head`, W and c alone, or `all`, the pretrained weights too.
        capacity: the largest number of remembered texts; the one remembered longest makes room. None is what fits in
            1 GiB, 700,000 texts at a width of 384.

    Raises:
        InputError: if there is no such encoder here, or it has other weights, needs code of its own, or reads no text;
            from `forward`, if the encoder belongs to no guide, or has no tokenizer.
    """

    head: nn.Linear | None
    z_shape: tuple[int, int, int]

    @bounded(capacity=whole(1))
    def __init__(
        self,
        name: str,
        revision: str | None = None,
        sha256: str | None = None,
        pooling: Literal["mean", "first"] = "mean",
        learns: Literal["head", "all"] = "head",
        capacity: int | None = None,
    ) -> None:
        super().__init__()
        if learns not in ("head", "all"):
            raise InputError(f"learns={learns!r}: expected 'head' or 'all'")
        source = find_source(name, revision, NAME, sha256)
        source.require(sha256, NAME)
        self.learns, self.capacity = learns, capacity
        self.embedding = TextEmbedding(source, pooling, frozen=learns == "head", argument=NAME)
        self.head = None
        self._store = [PosteriorStore(capacity)]  # a list, so that it is in no state dict
        self._tokenizer: _Shared | None = None

    @classmethod
    def pinned(cls, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Constructor arguments that name the same weights from any folder and at any time: those that a run records.

        A path is absolute, a revision of the hub is a commit, and the hash of the weights is given.

        Raises:
            InputError: if there is no such encoder here, or its weights have another hash than the arguments say.
        """
        source = find_source(arguments["name"], arguments.get("revision"), NAME, arguments.get("sha256"))
        return source.pinned(arguments, NAME)

    def prepare(self, z_shape: tuple[int, int, int]) -> None:
        """Make the head.

        Raises:
            InputError: if the encoder belongs to a guide of another shape already.
        """
        outputs = 2 * math.prod(z_shape)
        if self.head is None:
            self.head = nn.Linear(self.embedding.width, outputs)
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        elif self.z_shape != z_shape:
            raise InputError(f"the encoder belongs to a guide of z_shape {self.z_shape}: make another for {z_shape}")
        self.z_shape = z_shape

    def attach_tokenizer(self, tokenizer: SupportsDecode) -> None:
        self._tokenizer = _Shared(tokenizer)
        self._store = [PosteriorStore(self.capacity)]  # what another tokenizer made of the ids is forgotten

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.head is None:
            raise InputError("the encoder has no head, as the shape of z is not known: give it to a guide, encoder=...")
        if self._tokenizer is None:
            raise InputError(
                "PretrainedEncoder reads text, and has no tokenizer that turns ids into it: call "
                "guide.attach_tokenizer(tokenizer), with the tokenizer of the ids"
            )
        pooled = self._remembered(x, mask) if self.learns == "head" else self.embedding(self._texts(x, mask))
        shift, log_scale = self.head(pooled.to(self.head.weight)).chunk(2, -1)
        return shift.view(-1, *self.z_shape), log_scale.view(-1, *self.z_shape)

    @torch.no_grad()
    def _remembered(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Embeddings of texts by the frozen encoder, float32 (B, width) on the CPU; new ones are remembered."""
        (store,), keys = self._store, texts_of(x, mask)
        pooled = torch.empty(len(keys), self.embedding.width)
        known, rows = store.read(keys)
        if known:
            pooled[known] = rows
        missing = sorted(set(range(len(keys))) - set(known))
        if missing:
            texts = self._texts(x[missing], None if mask is None else mask[missing])
            with torch.autocast(x.device.type, enabled=False):
                pooled[missing] = torch.cat([self.embedding([text]).float().cpu() for text in texts])
            store.write([keys[index] for index in missing], pooled[missing])
        return pooled

    def _texts(self, x: Tensor, mask: Tensor | None) -> list[str]:
        """The text of the scored tokens of each row."""
        assert self._tokenizer is not None
        rows = list(x.cpu())
        if mask is not None:
            rows = [row[scored] for row, scored in zip(rows, mask.cpu(), strict=True)]
        return [self._tokenizer.value.decode(row.tolist()) for row in rows]

    def extra_repr(self) -> str:
        return f"learns={self.learns}"


class _Shared(NamedTuple):
    """Reference to a tokenizer, which copies of its holder share."""

    value: SupportsDecode

    def __deepcopy__(self, memo: Any) -> _Shared:
        return self
