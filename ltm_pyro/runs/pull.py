"""Download of a run from the hub, complete or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

from ltm_pyro.errors import InputError
from ltm_pyro.files.new_folder import made_aside
from ltm_pyro.runs.arguments import Argument
from ltm_pyro.sharing.base_places import write_places
from ltm_pyro.sharing.hub import RepositoryName, fetch
from ltm_pyro.training.bases import Base, bases_of
from ltm_pyro.training.checkpoints import Checkpoints
from ltm_pyro.training.class_paths import NamedClass
from ltm_pyro.training.consent import foreign_classes, read_arguments
from ltm_pyro.training.run import CONFIG, Run, refuse_existing, run_parser


class Pulled(NamedTuple):
    """Downloaded run.

    Attributes:
        folder: folder of the run.
        foreign: classes of other packages that the run names; their code is not downloaded.
        bases: pretrained models that the run needs; they are not downloaded.
    """

    folder: Path
    foreign: list[NamedClass]
    bases: list[Base]


def pull(
    repository: str,
    *,
    run: str | None = None,
    revision: str | None = None,
    base: Annotated[str | None, Argument(metavar="PLACE")] = None,
) -> Pulled:
    """Download a run from the Hugging Face hub and verify its checksums.

    Args:
        repository: hf:USER/NAME, as ltm push wrote it.
        run: folder of the run; runs/NAME if left out.
        revision: a branch, a tag or a commit; the newest if left out.
        base: the pretrained model that the run needs: a folder, a .gguf file or hf:NAME; several are joined by commas.

    Raises:
        InputError: if the folder exists or cannot be made, if the run does not exist or is damaged, or if a base has
            other weights than those that the run was trained on.
    """
    name = RepositoryName.parse(repository)
    folder = Path(run or Path("runs") / name.name)
    refuse_existing(folder)
    try:
        with made_aside(folder) as beside:
            fetch(name, beside, revision)
            foreign = _checked(beside, repository)
            if base is not None:
                write_places(beside / CONFIG, base.split(","))
            return Pulled(folder, foreign, bases_of(beside, read_arguments(beside / CONFIG)))
    except InputError:
        raise
    except (OSError, ValueError) as error:
        refuse_existing(folder)  # another process may have been faster
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be made: {reason}. Give a folder to write to by --run") from error


def _checked(folder: Path, spec: str) -> list[NamedClass]:
    """Check that a folder holds an undamaged run; returns the classes of other packages that it names.

    A run with such classes is not opened here: only the checksums of its weights are verified, not whether the weights
    belong to the run.
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
