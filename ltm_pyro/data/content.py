"""Content hashes of texts, which do not depend on a text's place in its file."""

from __future__ import annotations

import hashlib

HEX_DIGITS = 16


def content_hash(text: str) -> int:
    """BLAKE2b hash of a text without the white space at its ends, 64 bits."""
    raw = text.strip().encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=HEX_DIGITS // 2).digest(), "big")
