"""A corpus and trained runs, made once."""

import pytest
from runs import train, write_corpus


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """The folder of all that is made once."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture(scope="session")
def corpus(shelf):
    return write_corpus(shelf / "corpus.jsonl", documents=20)


@pytest.fixture(scope="session")
def trained(shelf, corpus):
    """A run of a Latent Thought Model; tests read it, and copy it before they change it."""
    assert train(corpus, shelf / "trained") == 0
    return shelf / "trained"


@pytest.fixture(scope="session")
def reference(shelf, corpus):
    """The autoregressive run beside it, on the same text."""
    assert train(corpus, shelf / "reference", model="autoregressive") == 0
    return shelf / "reference"
