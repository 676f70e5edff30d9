"""`ltm train`: from a corpus to a trained run, its table and two samples."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.run_arguments import configured
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.runs.train import resume, start
from ltm_pyro.training.processes import LostProcessError

if TYPE_CHECKING:
    from jsonargparse import Namespace


def main(argv: Sequence[str]) -> int:
    """Train; returns the exit code."""
    try:
        if (resumed := _resumed(argv)) is not None:
            return resume(*resumed)
        config, here = configured(argv)
        if here["corpus_at"] is not None:
            raise InputError(f"--corpus_at {here['corpus_at']}: only a run that is resumed has a corpus: leave it out")
        return start(Path(here["run"] or _default_folder(config, here["recipe"])), config, here["trust_code"])
    except LostProcessError as error:
        say(f"ltm: {error}", everywhere=True)
        return 1


def _resumed(argv: Sequence[str]) -> tuple[Path, str | None, bool] | None:
    """RUN, PLACE and consent, where the words are `--resume RUN [--corpus_at PLACE] [--trust_code]`; else None.

    Raises:
        InputError: if other arguments stand beside it.
    """
    from argparse import ArgumentParser

    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?")
    parser.add_argument("--corpus_at")
    parser.add_argument("--trust_code", action="store_true")
    known, others = parser.parse_known_args(argv)
    if known.resume is None or {"-h", "--help"} & set(others):
        return None
    if others:
        raise InputError(
            "--resume goes on with a run as it was configured, with --corpus_at PLACE if its text has been moved, and "
            f"takes nothing else: drop {' '.join(others)}, or start a new run from it by --config "
            f"{Path(known.resume) / 'config.yaml'}"
        )
    return Path(known.resume), known.corpus_at, known.trust_code


def _default_folder(config: Namespace, recipe: str) -> Path:
    return Path("runs") / f"{corpus_name(config.get('corpus'))}-{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
