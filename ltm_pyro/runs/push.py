"""Upload of a run to the hub, with a generated model card."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.files.new_folder import made_aside
from ltm_pyro.runs.arguments import Argument, Checkpoint, RunFolder, TrustCode
from ltm_pyro.runs.console import say
from ltm_pyro.runs.loading import open_run
from ltm_pyro.sharing.card import model_card
from ltm_pyro.sharing.copy import write_copy
from ltm_pyro.sharing.hub import RepositoryName, publish
from ltm_pyro.training.checkpoints import step_of
from ltm_pyro.training.run import Run
from ltm_pyro.version import __version__


def push(
    run: RunFolder,
    repository: str,
    *,
    checkpoint: Checkpoint = "best",
    private: bool = False,
    revision: Annotated[str | None, Argument(metavar="BRANCH")] = None,
    license: str | None = None,
    resumable: bool = False,
    to_folder: Annotated[str | None, Argument(metavar="FOLDER")] = None,
    trust_code: TrustCode = False,
) -> str:
    """Upload a run to the Hugging Face hub, with a generated model card.

    Args:
        repository: hf:USER/NAME, created if missing.
        private: make a new repository private.
        revision: the branch to write to, made if missing; the main one if left out.
        license: license of the weights, for the card: apache-2.0, ...
        resumable: include the optimizer's state, so that others can continue the training.
        to_folder: write the upload to this folder, and send nothing.
        run, checkpoint, trust_code: as `ltm_pyro.runs.arguments` describes them.

    Returns:
        The address of the commit, or the folder.

    Raises:
        InputError: if the hub refuses the upload or cannot be reached, or the folder exists or cannot be made.
    """
    name = RepositoryName.parse(repository)
    copy = _Copy(open_run(run, trust_code), name, checkpoint, license, resumable)
    if to_folder is not None:
        return str(_into(Path(to_folder), copy))
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside) / "run"
        step = copy.write(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        say(f"Sending step {step} of {copy.run.folder}, {size / 1e6:.1f} MB ...")
        return publish(
            folder,
            copy.repository,
            private=private,
            message=f"{copy.repository.name}, step {step}",
            revision=revision,
        )


class _Copy(NamedTuple):
    """Specification of a run's copy for sharing."""

    run: Run
    repository: RepositoryName
    checkpoint: str
    license: str | None
    resumable: bool

    def write(self, folder: Path) -> int:
        """Write the folder of the upload; returns the checkpoint's step."""
        checkpoint = self.run.find(self.checkpoint)
        step = step_of(checkpoint)
        write_copy(self.run, checkpoint, folder, self.resumable)
        card = model_card(Run.open(folder, trust_code=True), step, str(self.repository), __version__, self.license)
        (folder / "README.md").write_text(card, encoding="utf-8")
        return step


def _into(folder: Path, copy: _Copy) -> Path:
    if folder.exists():
        raise InputError(f"{folder} exists: name a new folder")
    try:
        with made_aside(folder) as beside:
            copy.write(beside)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror or error}. Name another folder") from error
    return folder
