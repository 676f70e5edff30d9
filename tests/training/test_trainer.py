"""Training learns, can be stopped anywhere, and goes on as if it had not been."""

import math
import os
import re
import shutil
import signal

import pytest
import torch
from runs import checkpoint, ltm, metrics, train, write_corpus

from ltm_pyro.runs.session import Session
from ltm_pyro.training.run import Run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.jsonl")


def at_step(monkeypatch, number, act):
    """Do something to the session right after a step."""
    show = Session._show

    def listener(session, record):
        show(session, record)
        if record["step"] == number and "validation" not in record:
            act(session)

    monkeypatch.setattr(Session, "_show", listener)


def same(first, second):
    """Whether two nested structures of tensors and numbers are equal, bit for bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def assert_equal_runs(first, second):
    one, other = checkpoint(first), checkpoint(second)
    assert one.step == other.step
    assert same(one.weights, other.weights)
    assert same(one.state, other.state)  # optimizer, data position, random generators
    assert metrics(first) == metrics(second)


@pytest.fixture(scope="module", params=["windows", "documents"])
def whole(request, corpus, tmp_path_factory):
    """A run that nothing interrupted, in both ways to cut a text."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train(corpus, folder, data__mode=request.param) == 0
    return folder, request.param


@pytest.mark.parametrize(("name", "number"), [("SIGTERM", 3), ("SIGINT", 5)])
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(
    whole, corpus, tmp_path, monkeypatch, capsys, name, number
):
    folder, mode = whole
    with monkeypatch.context() as patched:
        at_step(patched, number, lambda session: os.kill(os.getpid(), getattr(signal, name)))
        assert train(corpus, tmp_path / "run", data__mode=mode) == {"SIGTERM": 143, "SIGINT": 130}[name]
    assert (
        f"{name}: saved after step {number}. Go on with: ltm train --resume {tmp_path / 'run'}"
        in capsys.readouterr().err
    )
    assert checkpoint(tmp_path / "run").step == number  # it finished its step, and saved
    assert ltm("train", "--resume", tmp_path / "run") == 0
    assert_equal_runs(folder, tmp_path / "run")


LOOKING_ON = {  # priors that do more than follow a gradient; posteriors here are sure enough to leave codes unused
    "codes": [
        *("--prior", "CodebookPrior", "--prior.codes", "64", "--prior.revive_every", "2"),
        *("--guide", "StraightThroughGuide", "--fast.learning_rate", "50"),
    ],
    "exemplars": ["--prior", "ExemplarPrior", "--prior.components", "40", "--prior.every", "2"],
}


@pytest.mark.parametrize("name", LOOKING_ON)
def test_what_a_prior_does_beside_the_gradient_is_logged_and_repeats(name, corpus, tmp_path, monkeypatch):
    for folder in ("whole", "parts"):
        with monkeypatch.context() as patched:
            if folder == "parts":
                at_step(patched, 3, lambda session: os.kill(os.getpid(), signal.SIGTERM))
            assert train(corpus, tmp_path / folder, *LOOKING_ON[name]) == (143 if folder == "parts" else 0)
    assert ltm("train", "--resume", tmp_path / "parts") == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    told = [record[name] for record in metrics(tmp_path / "whole") if name in record]
    assert len(told) == 6
    assert all(1 <= record["perplexity"] <= 64 for record in told)
    changed = [record["revived" if name == "codes" else "exchanged"] for record in told]
    assert changed[::2] == [0, 0, 0]
    assert changed[1] > 0
    assert {"model.prior.usage.total", "model.prior.usage.weight"} <= checkpoint(tmp_path / "whole").weights.keys()


def test_what_was_lost_after_the_last_checkpoint_is_done_again(whole, tmp_path, capsys):
    folder, _ = whole
    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000006")
    assert checkpoint(tmp_path / "run").step == 4
    assert ltm("train", f"--resume={tmp_path / 'run'}") == 0
    assert "after step 4" in capsys.readouterr().err
    assert_equal_runs(folder, tmp_path / "run")


def test_equal_runs_are_told_from_unequal_ones(whole, corpus, tmp_path):
    folder, mode = whole
    assert train(corpus, tmp_path / "run", data__mode=mode, train__seed=1) == 0
    with pytest.raises(AssertionError):
        assert_equal_runs(folder, tmp_path / "run")


def test_the_metrics_say_what_happened(whole):
    folder, _ = whole
    records = Run.open(folder).metrics.read()
    steps = [record for record in records if "validation" not in record]
    assert [record["step"] for record in steps] == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in records if "validation" in record] == [3, 6]
    for record in steps:
        assert record["elbo"] == pytest.approx(record["log_likelihood"] - record["kl"])
        assert sum(record["kl_per_layer"]) == pytest.approx(record["kl"], rel=1e-5)
        assert len(record["kl_per_layer"]) == 2
        assert record["tokens_per_second"] > 0
        assert 0 < record["data_share"] < 1
    tokens = [record["tokens"] for record in steps]
    assert tokens == sorted(set(tokens))
    assert tokens[-1] <= 6 * 4 * 16
    for record in records[3::4]:
        assert {"elbo", "importance_weighted", "prior", "predictive"} <= record["validation"].keys()


def test_training_learns(tmp_path):
    (tmp_path / "corpus.txt").write_text("to be or not to be, that is the question. " * 60)
    settings = {"train__steps": 40, "train__batch_size": 8, "train__evaluate_every": 40}
    settings |= {"slow__learning_rate": 0.02, "slow__warmup": 5}
    assert train(tmp_path / "corpus.txt", tmp_path / "run", **settings) == 0
    steps = [record for record in metrics(tmp_path / "run") if "validation" not in record]
    uniform = math.log(270)
    assert steps[0]["log_likelihood"] == pytest.approx(-uniform, rel=0.05)
    assert steps[-1]["elbo"] > -0.5 * uniform
    assert checkpoint(tmp_path / "run", "best").info["loss"] < 0.6 * uniform


def spoil(session):
    with torch.no_grad():
        session.components.model.decoder.blocks[1].feed_forward.up.weight[0, 0] = math.nan


def test_a_poisoned_weight_stops_the_run_and_is_named(corpus, tmp_path, monkeypatch, capsys):
    at_step(monkeypatch, 3, spoil)
    assert train(corpus, tmp_path / "run", train__evaluate_every=6) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "step 4: the objective is not finite, first at: weight decoder.blocks.1.feed_forward.up.weight" in message
    assert re.search(r"sequence ids: \[\d+, \d+, \d+, \d+\]", message)
    assert f"the last good checkpoint is {tmp_path / 'run' / 'checkpoints' / 'step-00000002'}" in message
    assert "Lower slow.learning_rate" in message
    monkeypatch.undo()
    assert ltm("generate", tmp_path / "run") == 0  # and it can be used
    assert [record["step"] for record in metrics(tmp_path / "run")] == [1, 2, 3]


def test_a_learning_rate_beyond_all_bounds_is_found_out(corpus, tmp_path, capsys):
    settings = {"slow__learning_rate": 1e30, "slow__warmup": 0, "train__evaluate_every": 6, "train__save_every": 1}
    assert train(corpus, tmp_path / "run", **settings) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"step 2: .* first at: .*layer decoder\.\S+.*; sequence ids: \[", message)
    assert all(torch.isfinite(weight).all() for weight in checkpoint(tmp_path / "run").weights.values())


def test_mixed_precision_trains_and_is_another_computation(corpus, tmp_path):
    for precision in ("no", "bf16"):
        assert train(corpus, tmp_path / precision, train__precision=precision, slow__learning_rate=0.01) == 0
    full, mixed = (metrics(tmp_path / precision)[0] for precision in ("no", "bf16"))
    assert mixed["log_likelihood"] != full["log_likelihood"]
    assert mixed["log_likelihood"] == pytest.approx(full["log_likelihood"], rel=0.01)
    assert all(weight.dtype == torch.float32 for weight in checkpoint(tmp_path / "bf16").weights.values())
