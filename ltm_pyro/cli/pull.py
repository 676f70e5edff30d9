"""`ltm pull`: fetch a run from the Hugging Face hub."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro.cli.arguments import parse
from ltm_pyro.errors import InputError
from ltm_pyro.sharing import RepositoryName, fetch
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.class_paths import NamedClass
from ltm_pyro.training.consent import foreign_classes
from ltm_pyro.training.new_folder import made_aside
from ltm_pyro.training.run import CONFIG, Run, refuse_existing, run_parser

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def main(words: Sequence[str]) -> int:
    """Pull; returns the exit code."""
    options = parse(_parser(), words)
    repository = RepositoryName.parse(options.repository)
    folder = Path(options.run or Path("runs") / repository.name)
    refuse_existing(folder)
    try:
        with made_aside(folder) as beside:
            fetch(repository, beside, options.revision)
            foreign = _check(beside, options.repository)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        refuse_existing(folder)  # another process may have been faster
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be made: {reason}. Give a folder to write to by --run") from error
    trust = " --trust_code" if foreign else ""
    if foreign:
        print(
            f"{folder} names {', '.join(map(str, foreign))}: code that is not ltm_pyro's and was not fetched. It is "
            "not opened without --trust_code",
            file=sys.stderr,
        )
    print(f"Next: ltm generate {folder}{trust}, or ltm evaluate {folder} CORPUS{trust}", file=sys.stderr)
    print(folder)
    return 0


def _check(folder: Path, spec: str) -> list[NamedClass]:
    """Refuse what is no run, or one whose weights are not as they were sent; returns the classes of others it names.

    A run that names such classes is not opened here: of its weights the sums are compared, and not whose they are.

    Raises:
        InputError: if it is no run, or damaged.
    """
    if not (folder / CONFIG).is_file():
        raise InputError(f"{spec} is no run: it has no {CONFIG}. `ltm push RUN {spec}` makes one")
    foreign = foreign_classes(run_parser(), folder / CONFIG)
    if foreign:
        checkpoints = Checkpoints(folder / "checkpoints")
        path = checkpoints.best() or checkpoints.latest()
        if path is None:
            raise InputError(f"{spec} is no run: it has no checkpoint")
        checkpoints.load_weights(path)
    else:
        run = Run.open(folder)
        run.checkpoints.load(run.find("best"), run.fingerprint)
    return foreign


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm pull", exit_on_error=False, description=__doc__)
    parser.add_argument("repository", help="hf:USER/NAME, as ltm push wrote it")
    parser.add_argument("--run", help="the run's folder; runs/NAME if left out")
    parser.add_argument("--revision", type=str | None, default=None, help="a branch, a tag or a commit; the newest")
    return parser
