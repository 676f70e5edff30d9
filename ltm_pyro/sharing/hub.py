"""Upload and download of runs on the Hugging Face hub."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

from ltm_pyro.data.hub import PREFIX
from ltm_pyro.errors import InputError
from ltm_pyro.hub_errors import hub_errors_explained
from ltm_pyro.sharing.copy import CONTENTS

COMMIT = re.compile(r"[0-9a-f]{40}")


class RepositoryName(NamedTuple):
    """Name of a model repository on the hub."""

    user: str
    name: str

    @classmethod
    def parse(cls, spec: str) -> RepositoryName:
        """Parse `hf:USER/NAME`.

        Raises:
            InputError: for any other form.
        """
        match = re.fullmatch(rf"{PREFIX}([\w.-]+)/([\w.-]+)", spec)
        if match is None:
            raise InputError(f"{spec!r} names no repository of the hub: expected {PREFIX}USER/NAME")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.user}/{self.name}"


def publish(
    folder: Path, repository: RepositoryName, *, private: bool, message: str, revision: str | None = None
) -> str:
    """Upload a folder as one commit, which removes older checkpoints; returns the commit's address.

    Args:
        folder: a copy by `write_copy`, with its card.
        repository: the repository, created if missing.
        private: make a new repository private; an existing one is not changed.
        message: message of the commit.
        revision: a branch, made from the main one if missing; the main one if None.

    Raises:
        InputError: if the hub refuses the upload or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with hub_errors_explained(f"{PREFIX}{repository} could not be written"):
        api.create_repo(str(repository), private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(str(repository), branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=str(repository),
            folder_path=folder,
            commit_message=message,
            delete_patterns="checkpoints/*",
            revision=revision,
        )
    return str(commit.commit_url)


def commit_of(repository: RepositoryName, revision: str | None = None) -> str:
    """The commit that a revision of a repository is now, 40 hexadecimal digits.

    Args:
        repository: the repository on the hub.
        revision: a branch, a tag or a commit; the newest if None. A whole commit is not looked up.

    Raises:
        InputError: if there is no such revision, or the hub cannot be reached.
    """
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi

    with hub_errors_explained(f"{PREFIX}{repository} could not be read"):
        commit = HfApi().model_info(str(repository), revision=revision).sha
    if commit is None or not COMMIT.fullmatch(commit):
        raise InputError(f"{PREFIX}{repository} could not be read: the hub names no commit. Give one as revision")
    return commit


def fetch(repository: RepositoryName, folder: Path, revision: str | None = None) -> None:
    """Download a shared run: only the files of a run, none of which is a pickle.

    Args:
        repository: the repository on the hub.
        folder: folder for the files.
        revision: a branch, a tag or a commit; the newest if None.

    Raises:
        InputError: if the repository does not exist, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with hub_errors_explained(f"{PREFIX}{repository} could not be read"):
        snapshot_download(str(repository), revision=revision, local_dir=folder, allow_patterns=list(CONTENTS))
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the hub's own notes on the download
