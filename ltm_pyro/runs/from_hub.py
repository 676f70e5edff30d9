"""Runs of the hub by name and revision, fetched once into the cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.errors import InputError
from ltm_pyro.files.cache_folder import cache_folder
from ltm_pyro.runs.pull import pull
from ltm_pyro.sharing import RepositoryName, commit_of
from ltm_pyro.training.run import CONFIG

NAME = re.compile(r"[\w.-]+/[\w.-]+")


def found_run(name_or_folder: str | os.PathLike[str], revision: str | None = None, folder: Path | None = None) -> Path:
    """The folder of a run that is given by its folder, or by its name on the hub, from which it is then fetched.

    A fetched run is kept by its commit, so that a revision is never taken for another, and a commit that is given in
    full is fetched once and then found without a network. `pull` checks it before it has its folder.

    Args:
        name_or_folder: a folder; `USER/NAME`, if there is no such folder; or `hf:USER/NAME`.
        revision: a branch, a tag or a commit of the hub; the newest if None.
        folder: a new folder for the run from the hub; in `$LTM_CACHE` if None.

    Raises:
        InputError: for a revision of a folder, a name that is neither, a run that cannot be fetched or is damaged, or
            a `folder` that exists.
    """
    given = os.fspath(name_or_folder)
    spec = given if given.startswith(PREFIX) else f"{PREFIX}{given}"
    if os.path.lexists(given) or (not given.startswith(PREFIX) and not NAME.fullmatch(given)):
        if revision is not None or folder is not None:
            raise InputError(f"{given} is a folder: `revision` and `folder` are for runs of the hub. Leave them out")
        return Path(given)
    name = RepositoryName.parse(spec)
    commit = commit_of(name, revision)
    place = folder or _kept(name, commit)
    if folder is None and (place / CONFIG).is_file():
        return place
    try:
        pull(spec, run=str(place), revision=commit)
    except InputError:
        if folder is not None or not (place / CONFIG).is_file():  # unless another process has fetched it meanwhile
            raise
    return place


def _kept(name: RepositoryName, commit: str) -> Path:
    cache = cache_folder()
    if cache is None:
        raise InputError(f"$LTM_CACHE says that nothing is kept: give a folder for {PREFIX}{name}, folder=...")
    return cache / "runs" / f"{name.user}--{name.name}" / commit
