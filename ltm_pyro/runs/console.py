"""Output of commands: messages on standard error, results on standard output."""

from __future__ import annotations

import sys

from ltm_pyro.training.launch import is_first


def say(text: str, everywhere: bool = False) -> None:
    """Write a message to standard error, from the first of several processes, or from all if `everywhere`."""
    if everywhere or is_first():
        print(text, file=sys.stderr, flush=True)


def show(result: str) -> None:
    """Write a result to standard output."""
    print(result, flush=True)
