"""`ltm push`: put a run on the Hugging Face hub, with a model card written from it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ltm_pyro import __version__
from ltm_pyro.cli.arguments import parse
from ltm_pyro.errors import InputError
from ltm_pyro.runs.loading import add_trust_code, open_run
from ltm_pyro.sharing import RepositoryName, model_card, publish, write_copy
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.new_folder import made_aside
from ltm_pyro.training.run import Run

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace


def main(words: Sequence[str]) -> int:
    """Push; returns the exit code."""
    options = parse(_parser(), words)
    repository = RepositoryName.parse(options.repository)
    run = open_run(options.run, options.trust_code)
    if options.to_folder is not None:
        folder = Path(options.to_folder)
        if folder.exists():
            raise InputError(f"{folder} exists: name a folder that is to be made")
        try:
            with made_aside(folder) as beside:
                _write(run, repository, options, beside)
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror or error}. Name another folder") from error
        print(folder)
        return 0
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside) / "run"
        step = _write(run, repository, options, folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"Sending step {step} of {run.folder}, {size / 1e6:.1f} MB ...", file=sys.stderr)
        message = f"{repository.name}, step {step}"
        print(publish(folder, repository, private=options.private, message=message))
    return 0


def _write(run: Run, repository: RepositoryName, options: Namespace, folder: Path) -> int:
    """The folder as it is shared; returns the checkpoint's step."""
    checkpoint = run.find(options.checkpoint)
    step = step_of(checkpoint)
    write_copy(run, checkpoint, folder, options.resumable)
    card = model_card(Run.open(folder, trust_code=True), step, str(repository), __version__, options.license)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return step


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(prog="ltm push", exit_on_error=False, description=__doc__)
    parser.add_argument("run", help="the run's folder")
    parser.add_argument("repository", help="hf:USER/NAME; made if it is not there")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--private", type=bool, default=False, help="a repository that is made is for its owner alone")
    parser.add_argument(
        "--license", type=str | None, default=None, help="of the weights, for the card: apache-2.0, ..."
    )
    parser.add_argument(
        "--resumable", type=bool, default=False, help="with the optimizer's state, so that others can train on"
    )
    parser.add_argument(
        "--to_folder", type=str | None, default=None, metavar="FOLDER", help="write it there, and send nothing"
    )
    add_trust_code(parser)
    return parser
