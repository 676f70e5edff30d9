"""A class of the user's own, in a file of the folder a command is started in, serves like one of ours."""

import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml
from runs import checkpoint, ltm, train

from ltm_pyro.cli.class_arguments import names_own_code
from ltm_pyro.cli.run_arguments import configured
from ltm_pyro.errors import InputError
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


UNTYPED = """
from ltm_pyro import LearnedGaussianPrior, MeanFieldGuide


class Untyped(LearnedGaussianPrior):
    def __init__(self, z_shape):
        super().__init__(z_shape)


class UntypedGuide(MeanFieldGuide):
    def __init__(self, z_shape):
        super().__init__(z_shape)
"""


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


@pytest.fixture
def own(here, corpus):
    """A run of a prior of the user's own, whose module is forgotten."""
    assert train(corpus, "run", "--prior", "my_code.MyPrior", train__steps=1) == 0
    sys.modules.pop("my_code")
    sys.path[:] = [folder for folder in sys.path if folder != os.getcwd()]
    return Path("run")


def refused(capsys, *words):
    """The one line that a command is refused with."""
    capsys.readouterr()
    assert ltm(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(("role", "name"), [("prior", "Untyped"), ("guide", "UntypedGuide")])
def test_a_class_whose_arguments_have_no_types_is_opened_again(here, corpus, role, name):
    Path("my_code.py").write_text(UNTYPED)
    assert train(corpus, "run", f"--{role}", f"my_code.{name}", "--train.steps", "1") == 0
    loaded = Run.open("run").load()
    assert type(loaded.guide if role == "guide" else loaded.model.prior).__name__ == name
    assert ltm("generate", "run", "--tokens", "3") == 0


def test_a_run_that_is_copied_or_edited_needs_consent(own, capsys):
    assert ltm("plot", "run") == 0  # where it was made
    shutil.copytree(own, "copy")
    line = refused(capsys, "plot", "copy")
    assert line.startswith("ltm: copy/config.yaml: prior my_code.MyPrior")
    assert "--trust_code" in line
    assert ltm("plot", "copy", "--trust_code") == 0
    config = own / "config.yaml"
    config.write_text(config.read_text() + "# edited\n")
    assert "run/config.yaml: prior my_code.MyPrior" in refused(capsys, "generate", "run")
    assert type(Run.open("run", trust_code=True).build().model.prior).__name__ == "MyPrior"


def test_a_run_that_is_pulled_says_what_it_names_and_runs_none_of_it(own, monkeypatch, capsys):
    def fetch(repository, folder, revision):
        shutil.copytree(own, folder, dirs_exist_ok=True)

    monkeypatch.setattr("ltm_pyro.runs.pull.fetch", fetch)
    assert ltm("pull", "hf:someone/thoughts", "--run", "theirs") == 0
    told = capsys.readouterr().err
    assert "theirs names prior my_code.MyPrior: code from outside ltm_pyro" in told
    assert "ltm generate theirs --trust_code" in told
    assert "my_code" not in sys.modules
    assert "my_code.MyPrior" in refused(capsys, "generate", "theirs")


def test_its_card_says_what_is_needed(own, trained):
    for run in ("run", trained):
        assert ltm("push", run, "hf:someone/thoughts", "--to_folder", f"{Path(run).name}-shared") == 0
    card = Path("run-shared/README.md").read_text()
    assert "code of its author that is not in this repository: `my_code.MyPrior`" in card
    assert "ltm generate thoughts --trust_code" in card
    assert 'TrainedRun.from_pretrained("someone/thoughts", trust_code=True)' in card
    assert "trust_code" not in Path("trained-shared/README.md").read_text()


def test_its_code_is_that_of_the_folder_it_was_made_in(own, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "my_code.py").write_text("raise RuntimeError('a stranger')")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert ltm("plot", tmp_path / "run") == 0
    assert sys.modules["my_code"].__file__ == str(tmp_path / "my_code.py")


def test_a_file_of_arguments_is_not_the_users_own_word(own):
    shutil.copytree(own, "copy")
    with pytest.raises(InputError, match=r"^copy/config.yaml: prior my_code.MyPrior .*--trust_code"):
        configured(["--config", "copy/config.yaml"])
    for words in (["--config", "copy/config.yaml", "--trust_code"], ["--config", "run/config.yaml"]):
        assert configured(words)[0].prior.class_path == "my_code.MyPrior"
    named = configured(["--config", "copy/config.yaml", "--prior", "my_code.MyPrior"])[0]
    assert named.prior.class_path == "my_code.MyPrior"


def test_a_file_cannot_consent_for_the_user(here, capsys):
    assert ltm("train", "--print_config") == 0
    Path("printed.yaml").write_text(capsys.readouterr().out)
    assert configured(["--config", "printed.yaml"])[1]["trust_code"] is False
    Path("file.yaml").write_text("trust_code: true\nprior: my_code.MyPrior\n")
    with pytest.raises(InputError, match=r"trust_code True: this is an argument of the command line"):
        configured(["--config", "file.yaml"])


def test_not_even_the_users_word_makes_a_class_of_a_function(here):
    Path("my_code.py").write_text("def make(z_shape) -> 'ltm_pyro.AbstractPrior': ...\n")
    with pytest.raises(InputError, match=r"my_code.make"):
        configured(["--prior", "my_code.make"])


def test_what_a_strangers_run_reads_is_said(run, trained, capsys):
    sizes = ("--limit", "2", "--draws", "2")
    assert ltm("evaluate", "run", *sizes) == 0
    assert "run was not made on this machine; reading the text that it names: " in capsys.readouterr().err
    assert ltm("evaluate", trained, *sizes) == 0
    assert "was not made on this machine" not in capsys.readouterr().err


def test_the_current_folder_is_looked_through_only_where_a_class_is_named(here, trained):
    before = list(sys.path)
    assert ltm("plot", trained, "--out", "figures") == 0
    assert sys.path == before
    configured(["--prior", "my_code.MyPrior"])
    assert sys.path == [*before, os.getcwd()]  # behind all that is installed


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (["--prior", "my_code.Prior"], True),
        (["--guide=my.code.Guide"], True),
        (["--slow.bound", '{"class_path": "my_code.Bound"}'], True),
        (["--fast.bound.gradient", "my_code.Gradient"], True),
        (["--prior", "GaussianPrior", "--guide", "ltm_pyro.MeanFieldGuide"], False),
        (["--fast.optimizer", "torch.optim.Adam", "--fast.learning_rate", "0.3", "--slow.betas", "[0.9,0.95]"], False),
        (["my.corpus.txt", "--run", "runs.new/a.b", "--config", "run.yaml"], False),
    ],
)
def test_what_names_code_of_ones_own(words, own):
    assert names_own_code(words) == own


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


class NoBasePrior(AbstractPrior):
    def __init__(self, z_shape: tuple[int, int, int]) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(z_shape))

    def forward(self):
        return dist.Normal(self.weight, 1.0).to_event(3)


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
        ("--prior", "NoBasePrior", "cannot assign parameters before Module.__init__() call (my_code.py, line"),
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
