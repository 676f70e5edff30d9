"""Messages and results for the user while a run is worked on."""

from __future__ import annotations

import sys

from ltm_pyro.training.launch import is_first


def say(text: str, everywhere: bool = False) -> None:
    """Tell the user; standard output is for results alone. Of several processes the first speaks, or `everywhere`."""
    if everywhere or is_first():
        print(text, file=sys.stderr, flush=True)


def show(result: str) -> None:
    """Write a result to standard output."""
    print(result, flush=True)
