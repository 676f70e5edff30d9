"""The injection that a name stands for; several are joined by a plus sign."""

from __future__ import annotations

from torch import Tensor, nn

from ltm_pyro.errors import InputError
from ltm_pyro.models.decoder.pretrained.injections.abstract import AbstractInjection, BodySizes, Inserted
from ltm_pyro.models.decoder.pretrained.injections.cross_attention import CrossAttentionInjection
from ltm_pyro.models.decoder.pretrained.injections.embedding import EmbeddingInjection
from ltm_pyro.models.decoder.pretrained.injections.prefix import PrefixInjection
from ltm_pyro.models.decoder.pretrained.injections.prompt import PromptInjection

PREFIX, PROMPT, EMBEDDING, CROSS, NONE = "prefix", "prompt", "embedding", "cross-attention", "none"
INJECTIONS = (PREFIX, PROMPT, EMBEDDING, CROSS, NONE)
PLACED = (PREFIX, PROMPT)  # injections that take positions before the text


def parts_of(injection: str) -> list[str]:
    """The single injections of a name such as `prefix+embedding`.

    Raises:
        InputError: for an unknown one, or a combination that there is not.
    """
    parts = injection.split("+")
    if unknown := [part for part in parts if part not in INJECTIONS]:
        raise InputError(
            f"injection {unknown[0]!r}: expected one of {', '.join(INJECTIONS)}, or two as prefix+embedding"
        )
    if len(parts) != len(set(parts)) or (len(parts) > 1 and NONE in parts) or set(PLACED) <= set(parts):
        raise InputError(
            f"injection {injection!r}: expected one injection, or several that go together: prefix+embedding"
        )
    return parts


def places_of(injection: str, thoughts: int, constant: int) -> int:
    """Positions that an injection takes before the text."""
    return constant + thoughts if set(PLACED) & set(parts_of(injection)) else 0


def make_injection(
    injection: str,
    sizes: BodySizes,
    thoughts: int,
    width: int,
    constant: int,
    scale: float,
    per_layer: bool,
    every: int,
) -> Joined:
    """The module of an injection; arguments as those of the injections.

    Raises:
        InputError: for a combination whose thoughts have different numbers of layers.
    """
    made: list[AbstractInjection] = []
    for part in parts_of(injection):
        if part == PREFIX:
            made.append(PrefixInjection(sizes, thoughts, width, constant, scale, per_layer))
        elif part == PROMPT:
            made.append(PromptInjection(sizes, thoughts, width, constant, scale))
        elif part == EMBEDDING:
            made.append(EmbeddingInjection(sizes, thoughts, width, scale))
        elif part == CROSS:
            made.append(CrossAttentionInjection(sizes, thoughts, width, scale, every))
    if len({part.layers for part in made}) > 1:
        raise InputError(
            f"injection {injection!r}: its parts read thoughts of different numbers of layers; leave out per_layer, or "
            "take one of them"
        )
    return Joined(made)


class Joined(AbstractInjection):
    """Several injections of the same thoughts; none of them is the injection `none`."""

    def __init__(self, parts: list[AbstractInjection]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.places = max((part.places for part in parts), default=0)
        self.layers = parts[0].layers if parts else 1

    def forward(self, z: Tensor | None, rows: int) -> Inserted:
        inserted = Inserted()
        for part in self.parts:
            inserted = inserted.merged(part(z, rows))
        return inserted

    @property
    def cross_attention(self) -> CrossAttentionInjection | None:
        """The part with gated adapters; None without."""
        return next((part for part in self.parts if isinstance(part, CrossAttentionInjection)), None)
