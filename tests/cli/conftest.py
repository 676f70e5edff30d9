"""A corpus and trained runs, made once."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from forked import Forked
from pretrained_models import causal_model, save, text_tokenizer
from runs import train, train_pretrained, write_corpus

from ltm_pyro.studies import runner as trial_runner


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


@pytest.fixture(scope="session")
def base(shelf):
    """A tiny causal language model, most of whose weights are embeddings, with a card that states its licence."""
    tokenizer = text_tokenizer()
    place = save(causal_model("Llama", 8 * tokenizer.vocabulary, max_position_embeddings=64), shelf / "base", tokenizer)
    (place / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A tiny model\n")
    return place


@pytest.fixture(scope="session")
def on_pretrained(shelf, corpus, base):
    """A run by the recipe `pretrained`; tests read it, and copy it before they change it."""
    assert train_pretrained(corpus, shelf / "on-pretrained", base) == 0
    return shelf / "on-pretrained"


@pytest.fixture
def run(here, trained):
    """A copy of a trained run, to be changed."""
    shutil.copytree(trained, "run")
    return Path("run")


@pytest.fixture
def _forked_cells(monkeypatch):
    """The processes of a study's cells are forked from that of the test, and import nothing anew."""
    ours = SimpleNamespace(Popen=Forked, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(trial_runner, "subprocess", ours)
