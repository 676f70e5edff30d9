"""A text that is to be judged."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """One text.

    Attributes:
        prompt: what it continues, real text; empty if nothing.
        text: what was written, or is real, behind the prompt. This alone is measured.
    """

    prompt: str
    text: str
