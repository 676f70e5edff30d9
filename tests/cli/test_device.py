"""`--device` and `LTM_DEVICE` choose where a command works, and the processes that it starts."""

import os

import pytest
import torch
from runs import ltm, train

from ltm_pyro.device import VARIABLE, chosen_device, device_named, on_device
from ltm_pyro.errors import InputError
from ltm_pyro.runs import loading

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize("words", [("--device", "cpu"), ("--device=cpu",)])
def test_a_command_works_where_it_is_told_to(run, words, monkeypatch):
    seen = []
    monkeypatch.setattr(loading, "chosen_device", lambda: seen.append(os.environ[VARIABLE]) or torch.device("cpu"))
    assert ltm("generate", *words, "run", "--tokens", "2") == 0
    assert seen == ["cpu"]
    assert VARIABLE not in os.environ


def test_a_run_is_trained_there(corpus, monkeypatch):
    from ltm_pyro.runs import train as training

    made, make = [], training.make_accelerator
    monkeypatch.setattr(training, "make_accelerator", lambda *given: made.append(make(*given)) or made[-1])
    assert train(corpus, "run", "--device", "cpu", "--train.steps", "1") == 0
    assert made[0].device == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:99", ""])
def test_a_device_that_there_is_not_is_refused_in_one_line(run, name, capsys):
    assert ltm("evaluate", "run", "--device", name) == 2
    assert capsys.readouterr().err.startswith(f"ltm: device {name}: ")


def test_it_needs_a_name_and_a_command_that_works_on_one(run, capsys):
    assert ltm("evaluate", "run", "--device") == 2
    assert "expected a device after it" in capsys.readouterr().err
    assert ltm("plot", "run", "--device", "cpu") == 2
    assert "--device" in capsys.readouterr().err


def test_the_environment_chooses_too_and_is_left_as_it_was(monkeypatch):
    monkeypatch.setenv(VARIABLE, "cpu")
    assert chosen_device() == torch.device("cpu")
    with on_device("cpu"):
        pass
    assert os.environ[VARIABLE] == "cpu"
    monkeypatch.setenv(VARIABLE, "gpu")
    with pytest.raises(InputError, match="device gpu"):
        chosen_device()
    assert device_named(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.cuda
def test_a_gpu_is_taken_by_its_number(run, monkeypatch):
    monkeypatch.setenv(VARIABLE, "cuda:0")
    assert loading.load(loading.open_run("run"), "best")[1] == torch.device("cuda:0")
