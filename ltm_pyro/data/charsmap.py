"""Check of SentencePiece's normalisation table: a double-array trie, and the texts that its leaves refer to."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

LEAF = np.uint32(1 << 31)


def fault_of_charsmap(table: Any) -> str:
    """Fault by which a lookup in the table could read outside it; empty if there is none.

    From unit i with offset o, a lookup continues at unit i ^ o, or at i ^ o ^ c for a byte c (Yata's darts-clone). The
    library does not check that these units exist.

    Args:
        table: the entry of a tokenizer's file: base64 of the trie's size in bytes, the trie, the texts.
    """
    try:
        content = base64.b64decode(table, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return "is no base64"
    size = int.from_bytes(content[:4], "little")
    if len(content) < 8 or size % 4 or not 4 <= size <= len(content) - 4:
        return "does not have the size that it states"
    units = np.frombuffer(content[4 : 4 + size], dtype="<u4").astype(np.uint32)
    inner = units < LEAF
    places = np.flatnonzero(inner).astype(np.uint32)
    reached = (places ^ ((units[inner] >> 10) << ((units[inner] & 0x200) >> 6))) | np.uint32(0xFF)
    values = units[~inner] ^ LEAF
    if (reached >= len(units)).any() or (values >= len(content) - 4 - size).any():
        return "has units that point outside it"
    try:
        content[4 + size :].decode("utf-8")
    except UnicodeDecodeError:
        return "is not UTF-8"
    return ""
