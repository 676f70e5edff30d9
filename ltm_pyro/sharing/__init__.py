"""Parts of sharing runs on the Hugging Face hub: copy of the run's folder, model card, transfer of files."""

from ltm_pyro.sharing.card import model_card
from ltm_pyro.sharing.copy import CONTENTS, write_copy
from ltm_pyro.sharing.hub import RepositoryName, commit_of, fetch, publish

__all__ = ["CONTENTS", "RepositoryName", "commit_of", "fetch", "model_card", "publish", "write_copy"]
