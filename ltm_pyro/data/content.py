"""Content hashes of texts: names that move with a text, whatever stands before it in its file."""

from __future__ import annotations

import hashlib

HEX_DIGITS = 16


def content_hash(text: str) -> int:
    """64 bits of BLAKE2b of a text without the white space at its ends."""
    raw = text.strip().encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=HEX_DIGITS // 2).digest(), "big")
