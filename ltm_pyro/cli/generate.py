"""`ltm generate`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ltm_pyro.cli.command import Command
from ltm_pyro.runs.generate import generate


def _show(written: Iterator[str]) -> None:
    for text in written:
        sys.stdout.write(text)
        sys.stdout.flush()


main = Command(generate, "ltm generate", _show)
