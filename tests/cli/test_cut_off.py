"""A run that was killed, or ended by an exception, before its first checkpoint begins again, by either command."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from runs import TINY, arguments, checkpoint, ltm, metrics, train

from ltm_pyro.training.run import Run
from ltm_pyro.training.run_lock import LOCK, RunLock
from ltm_pyro.training.trainer import Trainer


class KilledError(BaseException):
    """Ends a command as a kill does: nothing of ours catches it."""


@pytest.fixture
def start(here, corpus):
    """The words of a run."""
    return ("train", corpus, "--run", "run", *arguments(TINY))


RESUME = ["--resume", "run"]


def assert_as_if_nothing_had_happened(trained):
    ours, theirs = checkpoint("run").weights, checkpoint(trained).weights
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert metrics("run") == metrics(trained)
    assert json.loads(Path("run/data.json").read_text()) == json.loads((trained / "data.json").read_text())


def killed_after(monkeypatch, owner, name, calls=1):
    """From now on, the command is killed when a method has been called so often."""
    method, left = getattr(owner, name), [calls]

    def call(*args, **kwargs):
        result = method(*args, **kwargs)
        left[0] -= 1
        if not left[0]:
            raise KilledError
        return result

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("owner", "name", "calls", "again"),
    [
        (Run, "create", 1, RESUME),
        (Trainer, "_log", 1, None),
        (Trainer, "_step", 2, RESUME),
        (None, "", 0, None),
    ],
)
def test_a_kill_at_any_point_before_the_first_checkpoint(start, trained, monkeypatch, owner, name, calls, again):
    with monkeypatch.context() as patch:
        if calls:
            killed_after(patch, owner, name, calls)
        else:  # while the first checkpoint is written
            patch.setattr("ltm_pyro.training.checkpoints._put_in_place", lambda partial, final: kill())
        with pytest.raises(KilledError):
            ltm(*start)
    assert ltm(*start[:1], *again) == 0 if again else ltm(*start) == 0
    assert_as_if_nothing_had_happened(trained)


def kill():
    raise KilledError


@pytest.mark.parametrize(("left", "again"), [(["config.yaml"], None), (["config.yaml", "tokenizer.json"], RESUME)])
def test_half_a_folder(start, trained, again, left):
    Path("run").mkdir()
    for name in left:
        shutil.copy(trained / name, Path("run") / name)
    assert ltm(*start[:1], *again) == 0 if again else ltm(*start) == 0
    assert_as_if_nothing_had_happened(trained)


def test_an_empty_folder_is_no_hindrance(start, trained):
    Path("run").mkdir()
    assert ltm(*start) == 0
    assert_as_if_nothing_had_happened(trained)


def test_a_run_ended_by_an_exception_begins_again(start, trained, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ltm_pyro.inference.SlowStep.apply", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ltm(*start)
    assert ltm(*start) == 0
    assert_as_if_nothing_had_happened(trained)


@pytest.fixture
def cut_off(start, monkeypatch):
    with monkeypatch.context() as patch:
        killed_after(patch, Trainer, "_log")
        with pytest.raises(KilledError):
            ltm(*start)


def test_another_configuration_is_told_the_way_back(cut_off, start, capsys):
    assert ltm(*start, "--train.seed", 1) == 2
    message = capsys.readouterr().err
    assert "run holds a run without a checkpoint: `ltm train --resume run` begins it again" in message
    assert ltm("train", "--resume", "run") == 0


@pytest.mark.parametrize("command", ["evaluate", "generate", "inspect"])
def test_other_commands_tell_the_way_back(cut_off, capsys, command):
    assert ltm(command, "run") == 2
    assert "no checkpoint yet" in (message := capsys.readouterr().err)
    assert "`ltm train --resume run` begins it again" in message


def test_a_run_with_a_checkpoint_never_begins_again(run, corpus, capsys):
    before = sorted(Path("run").rglob("*"))
    assert train(corpus, "run") == 2
    assert "run exists: choose another --run, or resume that run by `ltm train --resume run`" in capsys.readouterr().err
    assert sorted(Path("run").rglob("*")) == before


def test_a_run_whose_checkpoints_were_removed_loses_nothing_more(run, corpus, capsys):
    shutil.rmtree("run/checkpoints")
    before = Path("run/metrics.jsonl").read_bytes()
    assert ltm("train", "--resume", "run") == 2
    assert "run has no checkpoints, although it has reached step 6" in capsys.readouterr().err
    assert train(corpus, "run") == 2
    assert "--resume" not in capsys.readouterr().err
    assert Path("run/metrics.jsonl").read_bytes() == before


def test_two_at_once_are_one_too_many(run, corpus, capsys):
    before = Path("run/metrics.jsonl").read_bytes()
    with RunLock(Path("run")):
        assert ltm("train", "--resume", "run") == 2
    assert "ltm: run is being trained by process" in capsys.readouterr().err
    assert Path("run/metrics.jsonl").read_bytes() == before
    assert ltm("train", "--resume", "run") == 0


def test_a_run_being_begun_is_not_begun_again_beside_it(cut_off, start, capsys):
    before = Path("run/metrics.jsonl").read_bytes()
    with RunLock(Path("run")):
        assert ltm(*start) == 2
        assert ltm("train", "--resume", "run") == 2
    assert capsys.readouterr().err.count("is being trained by process") == 2
    assert Path("run/metrics.jsonl").read_bytes() == before
    assert Path("run", LOCK).exists()


def test_reading_needs_no_lock(run):
    with RunLock(run):
        assert ltm("generate", "run", "--tokens", 1) == 0
