"""Answers of a method to some prompts, with their cost."""

from __future__ import annotations

from typing import NamedTuple


class Answered(NamedTuple):
    """Answers of a method, one for each of N prompts.

    Attributes:
        texts: the answer that the method gives to each prompt.
        attempts: number of answers that it wrote for each.
        passes: token-passes that it spent on each (`ltm_pyro.generation.TokenPasses`).
    """

    texts: list[str]
    attempts: list[int]
    passes: list[int]
