"""`ltm pull`: fetch a run from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse
from ltm_pyro.runs.console import say, show
from ltm_pyro.sharing import RepositoryName, pull

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def main(words: Sequence[str]) -> int:
    """Pull; returns the exit code."""
    options = parse(_parser(), words)
    folder = Path(options.run or Path("runs") / RepositoryName.parse(options.repository).name)
    foreign = pull(options.repository, folder, options.revision)
    trust = " --trust_code" if foreign else ""
    if foreign:
        say(
            f"{folder} names {', '.join(map(str, foreign))}: code that is not ltm_pyro's and was not fetched. It is "
            "not opened without --trust_code"
        )
    say(f"Next: ltm generate {folder}{trust}, or ltm evaluate {folder} CORPUS{trust}")
    show(str(folder))
    return 0


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm pull", exit_on_error=False, description=__doc__)
    parser.add_argument("repository", help="hf:USER/NAME, as ltm push wrote it")
    parser.add_argument("--run", help="the run's folder; runs/NAME if left out")
    parser.add_argument("--revision", type=str | None, default=None, help="a branch, a tag or a commit; the newest")
    return parser
