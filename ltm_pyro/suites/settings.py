"""What a suite's numbers depend on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ltm_pyro.errors import InputError

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from ltm_pyro.training.run import Run


def settings_of(run: Run, options: Namespace, *left_out: str) -> dict[str, Any]:
    """What a suite's numbers depend on: its options, and the step of the checkpoint that they mean today.

    `best` is another one once a run has gone on, and what was measured of both does not go together.
    """
    chosen = {
        key: value
        for key, value in options.as_dict().items()
        if key not in ("resume", "suite", "corpus_at", "trust_code", *left_out)
    }
    return {**chosen, "checkpoint": run.find(options.checkpoint).name.removeprefix("step-").lstrip("0") or "0"}


def local_files(pairs: Sequence[str], names: Collection[str], expected: str) -> dict[str, str]:
    """The paths of `--files NAME=PATH ...` by name.

    Raises:
        InputError: for a pair that is not so, or another name.
    """
    files = {}
    for pair in pairs:
        name, given, path = pair.partition("=")
        if not given or name not in names:
            raise InputError(f"--files {pair}: expected {expected}")
        files[name] = path
    return files
