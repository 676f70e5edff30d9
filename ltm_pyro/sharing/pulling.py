"""A run fetched from the hub, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ltm_pyro.errors import InputError
from ltm_pyro.sharing.hub import RepositoryName, fetch
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.class_paths import NamedClass
from ltm_pyro.training.consent import foreign_classes
from ltm_pyro.training.new_folder import made_aside
from ltm_pyro.training.run import CONFIG, Run, refuse_existing, run_parser


def pull(spec: str, folder: Path, revision: str | None = None) -> list[NamedClass]:
    """Fetch a run and check its sums.

    Args:
        spec: `hf:USER/NAME`.
        folder: to be made.
        revision: a branch, a tag or a commit; the newest if None.

    Returns:
        The classes of other packages that it names; their code is not fetched.

    Raises:
        InputError: if the folder exists or cannot be made, or if there is no such run, or a damaged one.
    """
    repository = RepositoryName.parse(spec)
    refuse_existing(folder)
    try:
        with made_aside(folder) as beside:
            fetch(repository, beside, revision)
            return _checked(beside, spec)
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
