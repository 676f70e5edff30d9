"""Whose settings those of a decoder are; torch is not needed to tell."""

from __future__ import annotations

from typing import Any

OWN = "ltm_pyro.Decoder"


def decoder_path(decoder: Any) -> str:
    """The import path of a decoder's class, in settings or a configuration; `Decoder`'s where none is named."""
    if isinstance(decoder, str):
        return decoder
    named = decoder.get("class_path") if decoder is not None and hasattr(decoder, "get") else None
    return OWN if named is None else str(named)


def is_flat(decoder: Any) -> bool:
    """Whether settings are those of `Decoder`, by name without its class."""
    return decoder_path(decoder) == OWN
