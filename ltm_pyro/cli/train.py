"""`ltm train`: training of a run on a corpus, with its table and two samples."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.run_arguments import configured
from ltm_pyro.errors import InputError
from ltm_pyro.runs.console import say
from ltm_pyro.runs.names import corpus_name
from ltm_pyro.runs.train import resume, start
from ltm_pyro.training.further import CHANGEABLE
from ltm_pyro.training.processes import LostProcessError
from ltm_pyro.training.settings import TrainSettings

if TYPE_CHECKING:
    from jsonargparse import Namespace


def main(argv: Sequence[str]) -> int:
    """Run `ltm train`; returns the exit code."""
    try:
        if (resumed := _resumed(argv)) is not None:
            return resume(*resumed)
        config, options = configured(argv)
        if options["corpus_at"] is not None:
            raise InputError(f"--corpus_at {options['corpus_at']}: this is for --resume alone: leave it out")
        return start(Path(options["run"] or _default_folder(config, options["recipe"])), config, options["trust_code"])
    except LostProcessError as error:
        say(f"ltm: {error}", everywhere=True)
        return 1


def _resumed(argv: Sequence[str]) -> tuple[Path, str | None, bool, dict[str, int | None]] | None:
    """RUN, PLACE, consent and changed settings if the words are `--resume RUN [...]`; else None.

    Raises:
        InputError: if `--resume` is given with other arguments.
    """
    from argparse import ArgumentParser

    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?")
    parser.add_argument("--corpus_at")
    parser.add_argument("--trust_code", action="store_true")
    for name in CHANGEABLE:
        parser.add_argument(f"--train.{name}", dest=name)
    options, others = parser.parse_known_args(argv)
    if options.resume is None or {"-h", "--help"} & set(others):
        return None
    if others:
        raise InputError(
            "--resume continues a run with its own configuration and takes only --corpus_at PLACE, if its text has "
            f"been moved, and {', '.join(f'--train.{name}' for name in CHANGEABLE)}: leave out {' '.join(others)}, or "
            "start a new run with the same settings by --config "
            f"{Path(options.resume) / 'config.yaml'}"
        )
    changes = {name: _count(name, text) for name in CHANGEABLE if (text := getattr(options, name)) is not None}
    return Path(options.resume), options.corpus_at, options.trust_code, changes


def _count(name: str, text: str) -> int | None:
    """The value of a setting that a resume may change.

    Raises:
        InputError: if it is no number in the setting's range.
    """
    if name == "patience" and text in ("null", "none"):
        return None
    limits = TrainSettings.ranges[name]
    if not re.fullmatch(r"[0-9]{1,18}", text) or not limits.holds(int(text)):
        raise InputError(f"--train.{name} {text}: expected a whole number, {limits}")
    return int(text)


def _default_folder(config: Namespace, recipe: str) -> Path:
    return Path("runs") / f"{corpus_name(config.get('corpus'))}-{recipe}-{time.strftime('%Y%m%d-%H%M%S')}"
