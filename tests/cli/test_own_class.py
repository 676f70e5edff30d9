"""A class of the user's own, in a file of the folder a command is started in, serves like one of ours."""

import importlib
import sys
from pathlib import Path

import pytest
import torch
import yaml
from runs import checkpoint, ltm, train

from ltm_pyro.training.run import Run

CODE = '''
import torch
from pyro import distributions as dist
from torch import nn

from ltm_pyro import AbstractPrior


class MyPrior(AbstractPrior):
    """A Gaussian whose mean has a low rank."""

    def __init__(self, z_shape: tuple[int, int, int], rank: int = 1) -> None:
        super().__init__(z_shape)
        self.rank = rank
        self.left = nn.Parameter(0.1 * torch.randn(z_shape[0] * z_shape[1], rank))
        self.right = nn.Parameter(0.1 * torch.randn(rank, z_shape[2]))

    def forward(self) -> dist.Distribution:
        return dist.Normal((self.left @ self.right).view(self.z_shape), 1.0).to_event(3)
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "my_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("my_code", None)


def test_a_prior_of_the_users_own_trains_evaluates_and_writes(here, corpus, capsys):
    assert train(corpus, "run", "--prior", "my_code.MyPrior", "--prior.rank", "4") == 0
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert config["prior"] == {"class_path": "my_code.MyPrior", "init_args": {"rank": 4}}
    prior = Run.open("run").load().model.prior
    assert type(prior).__name__ == "MyPrior"
    assert prior.rank == 4
    weights = checkpoint("run").weights
    assert weights["model.prior.left"].shape == (4, 4)  # saved with the rest
    assert torch.equal(prior.left, checkpoint("run", "best").weights["model.prior.left"])
    assert ltm("evaluate", "run", "--limit", "2", "--draws", "2") == 0
    assert ltm("generate", "run", "--prompt", "the people") == 0
    assert "the people" in capsys.readouterr().out


def test_its_weights_are_learned(here, corpus):
    words = ("--prior", "my_code.MyPrior")
    assert train(corpus, "run", *words, slow__learning_rate=0.01, slow__warmup=1) == 0
    torch.manual_seed(0)
    first, last = (checkpoint("run", step).weights["model.prior.left"] for step in ("4", "6"))
    assert not torch.equal(first, last)


def test_a_run_is_of_no_use_without_its_code(here, corpus, capsys):
    assert train(corpus, "run", "--prior", "my_code.MyPrior", train__steps=1) == 0
    Path("my_code.py").unlink()
    sys.modules.pop("my_code")
    importlib.invalidate_caches()  # a folder that changed twice within a tick of its clock looks unchanged
    assert ltm("evaluate", "run") == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "No module named 'my_code'" in message
    assert "start the command in the folder that holds its code" in message


WRONG = """
import torch
from pyro import distributions as dist

from ltm_pyro import AbstractBound, AbstractGuide, AbstractPrior


class FlatPrior(AbstractPrior):
    def forward(self):
        return dist.Normal(torch.zeros(self.z_shape), 1.0)


class OneRowGuide(AbstractGuide):
    def start(self, x, mask=None, prior=None):
        self.rows = len(x)
        self.mu = torch.zeros(self.z_shape, requires_grad=True)

    def local_parameters(self):
        return [self.mu]

    def posterior(self):
        return dist.Normal(self.mu, 1.0).to_event(3)


class MeanOfTexts(AbstractBound):
    def value(self, log_w):
        return log_w.mean()


class Detached(AbstractBound):
    def value(self, log_w):
        return log_w.detach().mean(0)
"""


@pytest.mark.parametrize(
    ("argument", "name", "message"),
    [
        ("--prior", "FlatPrior", "one event is all of (L, K, D), .to_event(3)"),
        ("--guide", "OneRowGuide", "has no row for each sequence: expected (3, ...)"),
        ("--slow.bound", "MeanOfTexts", "returns a Tensor of shape (), expected (4,)"),
        ("--fast.bound", "Detached", "is detached"),
    ],
)
def test_one_that_does_not_keep_its_contract_is_refused_before_any_work(here, corpus, capsys, argument, name, message):
    Path("my_code.py").write_text(WRONG)
    assert train(corpus, "run", argument, f"my_code.{name}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{argument} {name}: " in line
    assert message in line
    assert not Path("run").exists()
