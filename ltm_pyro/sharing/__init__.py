"""Runs that others get: what of a run's folder is shared, its model card, and the Hugging Face hub."""

from ltm_pyro.sharing.card import model_card
from ltm_pyro.sharing.copy import CONTENTS, write_copy
from ltm_pyro.sharing.hub import RepositoryName, fetch, publish
from ltm_pyro.sharing.pulling import Pulled, pull
from ltm_pyro.sharing.pushing import push

__all__ = ["CONTENTS", "Pulled", "RepositoryName", "fetch", "model_card", "publish", "pull", "push", "write_copy"]
