"""The class that a decoder's settings belong to, determined without importing torch."""

from __future__ import annotations

from typing import Any

OWN = "ltm_pyro.Decoder"


def decoder_path(decoder: Any) -> str:
    """The import path of the decoder's class in settings or a configuration; that of `Decoder` if none is named."""
    if isinstance(decoder, str):
        return decoder
    named = decoder.get("class_path") if decoder is not None and hasattr(decoder, "get") else None
    return OWN if named is None else str(named)


def is_flat(decoder: Any) -> bool:
    """True if settings are those of `Decoder`, without a class path."""
    return decoder_path(decoder) == OWN
