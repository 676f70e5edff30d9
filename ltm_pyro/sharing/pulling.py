"""A run fetched from the hub, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.sharing.hub import RepositoryName, fetch
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.class_paths import NamedClass
from ltm_pyro.training.consent import foreign_classes
from ltm_pyro.training.new_folder import made_aside
from ltm_pyro.training.run import CONFIG, Run, refuse_existing, run_parser


class Pulled(NamedTuple):
    """A run that was fetched.

    Attributes:
        folder: where it is.
        foreign: the classes of other packages that it names; their code is not fetched.
    """

    folder: Path
    foreign: list[NamedClass]


def pull(repository: str, *, run: str | None = None, revision: str | None = None) -> Pulled:
    """Fetch a run from the Hugging Face hub and check its sums.

    Args:
        repository: hf:USER/NAME, as ltm push wrote it.
        run: the run's folder; runs/NAME if left out.
        revision: a branch, a tag or a commit; the newest.

    Raises:
        InputError: if the folder exists or cannot be made, or if there is no such run, or a damaged one.
    """
    named = RepositoryName.parse(repository)
    folder = Path(run or Path("runs") / named.name)
    refuse_existing(folder)
    try:
        with made_aside(folder) as beside:
            fetch(named, beside, revision)
            return Pulled(folder, _checked(beside, repository))
    except InputError:
        raise
    except (OSError, ValueError) as error:
        refuse_existing(folder)  # another process may have been faster
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be made: {reason}. Give a folder to write to by --run") from error


def _checked(folder: Path, spec: str) -> list[NamedClass]:
    """Refuse what is no run, or one whose weights are not as they were sent; returns the classes of others it names.

    A run that names such classes is not opened here: of its weights the sums are compared, and not whose they are.
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
