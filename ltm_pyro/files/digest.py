"""The SHA-256 sum of an open file."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

BLOCK = 2**20  # bytes at once


def sha256_of(file: BinaryIO) -> str:
    """SHA-256 sum of a file from its position to its end, in hexadecimal; the file is then at its end."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()
