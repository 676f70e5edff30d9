"""`ltm` itself: what it offers, how it ends."""

import io
import os
import subprocess
import sys

import pytest
import yaml
from runs import ltm

import ltm_pyro
from ltm_pyro.cli import generate
from ltm_pyro.cli.main import COMMANDS
from ltm_pyro.training.build import RECIPES


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_it_tells_its_commands(words, capsys):
    assert ltm(*words) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in COMMANDS)
    assert max(map(len, out.splitlines())) <= 100


def test_it_tells_its_version(capsys):
    assert ltm("--version") == 0
    assert capsys.readouterr().out == f"ltm_pyro {ltm_pyro.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_arguments(name, capsys):
    assert ltm(name, "--help") == 0
    assert f"usage: ltm {name}" in capsys.readouterr().out


def test_the_help_of_train_begins_with_what_matters(capsys):
    ltm("train", "--help")
    out = capsys.readouterr().out
    assert out.startswith("usage: ltm train [CORPUS] [--recipe NAME] [--run FOLDER] [ARGUMENT ...]\n")
    assert "ltm train --resume RUN" in out.splitlines()[1]
    assert "tiny.yaml" not in out  # the recipe's values are shown as defaults, not the file they come from
    steps = yaml.safe_load((RECIPES / "tiny.yaml").read_text())["train"]["steps"]
    assert f"--train.steps STEPS slow steps. (type: int, default: {steps})" in " ".join(out.split())


def test_an_unknown_command_is_refused_with_the_near_one(capsys):
    assert ltm("trian") == 2
    assert "unknown command 'trian': did you mean 'train'? The commands are train, evaluate" in capsys.readouterr().err


def test_a_second_interrupt_ends_it_without_a_traceback(monkeypatch, capsys):
    def interrupted(words):
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "main", interrupted)
    assert ltm("generate") == 130
    assert capsys.readouterr().err.strip() == "ltm: interrupted"


class Gone(io.StringIO):
    """Standard output whose reader has left."""

    def write(self, text):
        raise BrokenPipeError

    def fileno(self):
        raise io.UnsupportedOperation


def test_a_reader_that_leaves_ends_it_quietly(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Gone())
    assert ltm() == 141
    assert capsys.readouterr().err == ""


def test_a_pipe_that_breaks_leaves_no_traceback(trained):
    command = f"'{sys.executable}' -m ltm_pyro.cli.main generate '{trained}' --samples 400 --tokens 1 | head -c 1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=os.path.dirname(ltm_pyro.__path__[0]), capture_output=True
    )
    assert result.returncode == 141
    assert result.stderr == b""


def test_text_that_a_terminal_cannot_show_does_not_stop_it(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr(generate, "main", lambda words: print("±") or 0)
    assert ltm("generate") == 0
    assert narrow.buffer.getvalue() == b"?\n"
