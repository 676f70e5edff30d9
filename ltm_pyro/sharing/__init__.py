"""Sharing of runs on the Hugging Face hub: copy of the run's folder, model card, upload and download."""

from ltm_pyro.sharing.card import model_card
from ltm_pyro.sharing.copy import CONTENTS, write_copy
from ltm_pyro.sharing.hub import RepositoryName, fetch, publish
from ltm_pyro.sharing.pulling import Pulled, pull
from ltm_pyro.sharing.pushing import push

__all__ = ["CONTENTS", "Pulled", "RepositoryName", "fetch", "model_card", "publish", "pull", "push", "write_copy"]
