"""Text with its prompt, the unit of the measures."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """Generated or real text after an optional prompt.

    Attributes:
        prompt: real text before it; empty without a prompt.
        text: generated or real text after the prompt, the only part that is measured.
    """

    prompt: str
    text: str
