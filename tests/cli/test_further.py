"""A run that is trained further, and a run that is stopped early."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from runs import arguments, checkpoint, ltm, metrics, train

from ltm_pyro.runs.patience import Patience
from ltm_pyro.training import own_runs
from ltm_pyro.training.run import Run

pytestmark = pytest.mark.usefixtures("here")


def rates(folder):
    return {record["step"]: record["learning_rate"] for record in metrics(folder) if "validation" not in record}


def ending(folder):
    return json.loads((Path(folder) / "training.json").read_text())


def equal(first, second):
    one, other = checkpoint(first).weights, checkpoint(second).weights
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_finished_run_is_trained_further_where_its_schedules_ended(corpus, capsys):
    assert train(corpus, "run") == 0
    first, before = Path("run/config.yaml").read_text(), metrics("run")
    table = Path("run/evaluation/validation.md").read_text()
    capsys.readouterr()
    assert ltm("train", "--resume", "run", "--train.steps", "10") == 0
    err = capsys.readouterr().err
    assert "The schedule ended at step 6, as the run began: the learning rate stays at 0.002 from there on" in err
    assert metrics("run")[: len(before)] == before  # the log goes on
    assert list(rates("run")) == list(range(1, 11))
    assert [rates("run")[step] for step in range(6, 11)] == pytest.approx([0.002] * 5)
    config = Run.open("run").config.train
    assert (config.steps, config.schedule_steps) == (10, 6)
    kept = Path("run/history/until-step-6")
    assert (kept / "config.yaml").read_text() == first
    assert (kept / "validation.md").read_text() == table
    assert (kept / "prior-1.txt").exists()
    assert own_runs.code_folder(Path("run/config.yaml")) == str(Path.cwd())  # it is still the user's own run
    assert ending("run") == {
        "reason": "steps",
        "message": "All 10 steps were taken",
        "step": 10,
        "steps": 10,
        "best_step": ending("run")["best_step"],
    }
    # a run with these settings from the beginning gives the same weights
    assert train(corpus, "whole", train__steps=10, train__schedule_steps=6) == 0
    assert equal("run", "whole")
    assert ltm("train", "--resume", "run") == 0  # and the resume alone changes nothing
    assert [path.name for path in Path("run/history").iterdir()] == ["until-step-6"]


def test_another_schedule_says_what_jumps(corpus, capsys):
    rising = "{class_path: ltm_pyro.LinearSchedule, init_args: {over: 1.0}}"
    words = ["--slow.bound", "KLWeighted", "--slow.bound.kl_weight", rising]
    assert train(corpus, "run", *words, train__samples=0) == 0
    capsys.readouterr()
    steps = ["--train.steps", "12", "--train.schedule_steps", "12"]
    assert ltm("train", "--resume", "run/checkpoints/step-00000006", *steps) == 0
    err = capsys.readouterr().err
    assert "The schedules are spread over 12 steps instead of 6: the learning rate goes from 0.002 to" in err
    assert "the weight of slow.bound from 1 to 0.5" in err
    assert rates("run")[7] > rates("run")[6]
    assert rates("run")[12] == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--train.steps", "5"], "run is a run of 6 steps, and a resume takes no fewer"),
        (["--train.steps", "many"], "--train.steps many: expected a whole number, 1 or more"),
        (["--train.steps", "0"], "--train.steps 0: expected a whole number, 1 or more"),
        (["--train.schedule_steps", "9"], "together with a larger --train.steps than 6"),
        (
            ["--train.seed", "1"],
            "--train.schedule_steps, --train.patience: leave out --train.seed 1",
        ),
    ],
)
def test_changes_that_a_resume_does_not_take_are_refused_in_one_line(run, words, told, capsys):
    before = Path("run/config.yaml").read_text()
    assert ltm("train", "--resume", "run", *words) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert Path("run/config.yaml").read_text() == before
    assert not Path("run/history").exists()


def test_a_run_of_somebody_else_that_is_trained_further_remains_theirs(run, corpus):
    shutil.copytree(run, "theirs")
    assert ltm("train", "--resume", "theirs", "--train.steps", "7") == 0
    assert own_runs.code_folder(Path("theirs/config.yaml")) is None


SLOW = {"train.patience": 2, "train.evaluate_every": 2, "train.save_every": 2, "slow.learning_rate": 1e-9}
STOP = [*arguments(SLOW), "--fast.bound", "ELBO", "--slow.bound", "ELBO"]  # without a schedule


def test_patience_stops_a_run_that_no_longer_learns_and_a_resume_knows_it(corpus, capsys):
    assert train(corpus, "run", *STOP, train__steps=40, train__keep=1, train__patience=2) == 0
    err = capsys.readouterr().err
    assert "Stopped early after step 6: 2 validations in a row brought no improvement beyond noise over that of" in err
    assert ending("run")["reason"] == "patience"
    assert (ending("run")["step"], ending("run")["steps"]) == (6, 40)
    assert Run.open("run").find("best").name in err  # the best checkpoint is there, and named
    assert ltm("train", "--resume", "run") == 0
    assert "run was stopped early by --train.patience after step 6 and is evaluated again" in capsys.readouterr().err
    assert max(rates("run")) == 6
    assert ltm("train", "--resume", "run", "--train.steps", "50") == 0  # the count begins anew
    assert max(rates("run")) == 10
    assert ltm("train", "--resume", "run", "--train.patience", "null", "--train.steps", "51") == 0
    assert max(rates("run")) == 51
    assert ending("run")["reason"] == "steps"


def test_the_count_survives_a_resume(corpus):
    assert train(corpus, "run", *STOP, train__steps=40, train__keep=9) == 0
    before = metrics("run")
    assert ltm("train", "--resume", "run/checkpoints/step-00000004") == 0
    assert metrics("run") == before


def test_a_run_that_learns_is_not_stopped(corpus):
    assert train(corpus, "run", train__patience=1, train__evaluate_every=2, train__steps=6) == 0
    assert ending("run")["reason"] == "steps"


def test_patience_waits_for_the_schedules_of_bounds_and_says_so(corpus, capsys):
    rising = "{class_path: ltm_pyro.LinearSchedule, init_args: {over: 1.0}}"
    words = [*STOP, "--slow.bound", "KLWeighted", "--slow.bound.kl_weight", rising]
    assert train(corpus, "run", *words, train__steps=8) == 0
    assert "train.patience=2 never ends this run: its schedules last 8 slow steps" in capsys.readouterr().err
    assert max(rates("run")) == 8


def test_one_sequence_has_no_noise_to_compare_with(corpus, capsys):
    assert train(corpus, "run", train__patience=1, train__evaluate_sequences=1) == 2
    assert "needs train.evaluate_sequences of 2 or more, not 1" in capsys.readouterr().err


class Scored:
    """An evaluation with the costs of one score."""

    def __init__(self, nats):
        import numpy as np

        from ltm_pyro.evaluation import Score

        nats = np.asarray(nats, dtype=float)
        self.scores = {"elbo": Score("elbo", nats, np.full(len(nats), 10), np.full(len(nats), 40))}


def test_patience_counts_gains_within_noise_as_none_and_adds_small_ones_up():
    generator = torch.Generator().manual_seed(0)
    texts = torch.randn(64, generator=generator) * 5 + 100  # what the texts have in common is no noise

    def validation(mean, noise):
        return Scored((texts + mean + noise * torch.randn(64, generator=generator)).numpy())

    patience = Patience(limit=3, steps=100)
    for step, gain in enumerate([0.0, -1.0, -2.0, -3.0]):
        patience.observe(step, validation(gain, noise=0.1))
        assert patience.stale == 0  # far beyond the noise of the pairs, although within that of the texts
    for step in range(4, 6):
        patience.observe(step, validation(-3.0, noise=0.1))
    assert (patience.stale, patience.reference, patience.exhausted) == (2, 3, False)
    restored = Patience(limit=3, steps=100)
    restored.load_state_dict(json.loads(json.dumps(patience.state_dict())))
    restored.observe(6, validation(-3.0, noise=0.1))
    assert restored.exhausted
    assert "no improvement beyond noise over that of step 3" in restored.explain(6)
    longer = Patience(limit=3, steps=200)
    longer.load_state_dict(restored.state_dict())
    assert (longer.stale, longer.reference) == (0, 3)
    slow = Patience(limit=4, steps=100)
    for step in range(40):
        slow.observe(step, validation(-0.02 * step, noise=0.05))
    assert not slow.exhausted  # each gain is within noise, and four of them are not
