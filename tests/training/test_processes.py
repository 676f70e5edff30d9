"""Two processes on a CPU train as one does, take over from it, and stop together."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from prepared import ran
from runs import TINY, arguments, checkpoint, ltm, metrics, train, write_corpus

from ltm_pyro.bounds import Terms
from ltm_pyro.errors import InputError
from ltm_pyro.training.launch import is_first, launched
from ltm_pyro.training.processes import Processes, _checksum

ROOT = Path(__file__).parents[2]
SPECIAL = """
import os
import signal

import torch


class Special(torch.optim.AdamW):
    '''Does something in one process, in one step.'''

    number = 0

    def step(self, closure=None):
        self.number += 1
        if (self.number, os.environ.get("RANK")) == (3, "1"):
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        return super().step(closure)
"""


def launch(folder, *words, sent=signal.SIGTERM):
    """`ltm` in two processes that `torchrun` starts in a folder."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "--", "ltm_pyro.cli.main", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SIGNAL": str(int(sent))}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def both(folder, *words, sent=signal.SIGTERM):
    """`ltm` in two processes, started in a folder as `torchrun` starts them, without its seconds."""
    return ran(2, ["-m", "ltm_pyro.cli.main", *words], folder, SIGNAL=int(sent))


def assert_close(first, second, atol=2e-4):
    one, other = checkpoint(first), checkpoint(second)
    assert one.step == other.step
    for name, weight in one.weights.items():
        torch.testing.assert_close(other.weights[name], weight, rtol=0, atol=atol, msg=name)
    assert one.state["batches"] == other.state["batches"]
    assert one.state["tokens"] == other.state["tokens"]
    for record, expected in zip(metrics(second), metrics(first), strict=True):
        assert record.keys() == expected.keys()
        assert record["step"] == expected["step"]
        if "objective" in record:
            assert record["objective"] == pytest.approx(expected["objective"], rel=1e-4)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a corpus, and code of the user's own."""
    folder = tmp_path_factory.mktemp("place")
    write_corpus(folder / "corpus.jsonl")
    (folder / "code_for_processes.py").write_text(SPECIAL)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield folder


DETERMINISTIC = {"data.mode": "documents", "guide": "MAPGuide"}  # it draws nothing


@pytest.fixture(scope="module")
def stopped(place):
    """A run in two processes, of which the second was told to stop in its third step."""
    words = [*arguments(TINY | DETERMINISTIC), "--slow.optimizer", "code_for_processes.Special"]
    return launch(place, "train", "corpus.jsonl", "--run", "stopped", *words), place / "stopped"


def test_a_signal_to_one_process_stops_all_at_the_same_step(stopped):
    result, folder = stopped
    assert result.returncode == 1, result.stderr  # that is what torchrun makes of 143
    assert result.stderr.count("SIGTERM: saved after step 3. Go on with: ltm train --resume stopped") == 1
    assert "2 processes" in result.stderr
    assert "exitcode  : 143" in result.stderr
    assert checkpoint(folder).step == 3


def test_only_the_first_process_writes(stopped):
    _, folder = stopped
    assert [record["step"] for record in metrics(folder)] == [1, 2, 3, 3]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]


def test_one_process_goes_on_where_two_have_stopped(stopped, place):
    """The whole batch by one process from the first step, and half of it by each of two up to the third."""
    _, folder = stopped
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("corpus: corpus.jsonl", f"corpus: {place / 'corpus.jsonl'}"))
    assert ltm("train", "--resume", folder) == 0
    words = arguments(DETERMINISTIC)
    assert train(place / "corpus.jsonl", place / "alone", *words) == 0
    assert_close(place / "alone", folder)


def test_two_processes_with_their_weights_in_parts_go_on_where_one_has_stopped(place):
    """Four slices by one process, and two by each of two, under a guide that draws: the noise is the same.

    So is what an observer makes of the fast loop, from which the weights learn.
    """
    drawing = {"slow__observer": "GradientAverage", "train__accumulate": 4}
    assert train(place / "corpus.jsonl", place / "alone-4", **drawing) == 0
    folder = place / "alone-then-two"
    assert train(place / "corpus.jsonl", folder, **drawing) == 0
    shutil.rmtree(folder / "checkpoints" / "step-00000006")
    config = folder / "config.yaml"
    config.write_text(
        config.read_text().replace("accumulate: 4", "accumulate: 2").replace("shard: false", "shard: true")
    )
    first, second = both(place, "train", "--resume", folder)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "after step 4" in first.stderr
    assert (first.stdout.count("Sample 1"), second.stdout) == (1, "")
    assert_close(place / "alone-4", folder, atol=1e-5)
    one, other = (checkpoint(path).state["slow"]["optimizer"] for path in (place / "alone-4", folder))
    assert one["param_groups"] == other["param_groups"]
    for number, entries in one["state"].items():
        torch.testing.assert_close(other["state"][number], entries, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_two_processes_stop_early_together_and_are_trained_further_and_one_reports(place):
    """Patience and trackers are of the first process; both processes take the changed number of steps."""
    pytest.importorskip("tensorboard")
    slow = {"slow.learning_rate": 1e-9, "train.steps": 20, "train.evaluate_every": 2, "train.samples": 0}
    words = [*arguments(TINY | slow), "--fast.bound", "ELBO", "--slow.bound", "ELBO", "--train.patience", "1"]
    words += ["--train.trackers", "[tensorboard]", "--run", "early"]
    result = launch(place, "train", place / "corpus.jsonl", *words)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Stopped early after step 4: a validation brought no improvement beyond noise") == 1
    assert len(list((place / "early/trackers").glob("events*"))) == 1
    result = launch(place, "train", "--resume", "early", "--train.steps", "24", "--train.patience", "null")
    assert result.returncode == 0, result.stderr
    steps = [record["step"] for record in metrics(place / "early") if "validation" not in record]
    assert steps == list(range(1, 25))
    assert [path.name for path in (place / "early/history").iterdir()] == ["until-step-4"]


def test_a_killed_process_ends_the_others_with_one_message_and_leaves_the_checkpoints(place):
    words = [*arguments(TINY), "--slow.optimizer", "code_for_processes.Special", "--train.shard", "true"]
    first, second = both(place, "train", "corpus.jsonl", "--run", "killed", *words, sent=signal.SIGKILL)
    assert (first.returncode, second.returncode) == (1, -signal.SIGKILL)
    told = [line for line in (first.stderr + second.stderr).splitlines() if line.startswith("ltm: ")]
    assert len(told) == 1, first.stderr
    assert told[0].startswith("ltm: another process of this run has ended or does not answer (")
    assert "the last checkpoint is killed/checkpoints/step-00000002. Go on with: ltm train --resume killed" in told[0]
    assert "Traceback" not in first.stderr + second.stderr
    assert checkpoint(place / "killed").step == 2


def test_commands_that_share_no_work_are_refused_where_several_processes_were_launched(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert ltm("evaluate", "run") == 2
    assert "several processes were launched, but only `ltm train` shares its work" in capsys.readouterr().err


# ---- alone, with others made up


def test_a_number_of_processes_that_nothing_launched_is_no_concern(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert (launched(), is_first()) == (1, True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (launched(), is_first()) == (2, False)


def alone():
    return Processes(SimpleNamespace(num_processes=1, process_index=0, device=torch.device("cpu")))


class Made(Processes):
    """The first of two processes; what the second would give is a function of what this one gives."""

    def __init__(self, other):
        super().__init__(SimpleNamespace(num_processes=2, process_index=0, device=torch.device("cpu")))
        self.other = other

    def gather(self, tensor):
        return torch.stack([tensor, self.other(tensor)])


def test_a_single_process_changes_nothing_and_waits_for_nobody():
    processes, tensors = alone(), [torch.arange(3.0), torch.ones(2, 2)]
    before = [tensor.clone() for tensor in tensors]
    processes.add_up(tensors)
    processes.share(tensors)
    processes.wait()
    processes.refuse_different("this", "that")
    assert all(map(torch.equal, tensors, before))
    assert processes.largest(15) == 15
    assert processes.first_unlike({"weight": tensors[0]}) is None


def test_terms_of_all_processes_come_in_the_order_of_the_batch():
    rows = torch.arange(2.0)
    terms = Terms(rows, rows + 10, rows + 20, kl_per_layer=torch.stack([rows, -rows, rows + 1], 1))
    joined = Made(lambda table: table + 100).join(terms)
    assert joined.objective.tolist() == [0, 1, 100, 101]
    assert joined.kl.tolist() == [20, 21, 120, 121]
    assert joined.kl_per_layer.tolist() == [[0, 0, 1], [1, -1, 2], [100, 100, 101], [101, 99, 102]]
    assert joined.kl_per_layer.dtype == rows.dtype
    assert (joined.bound, joined.kl_closed_form) == (None, True)


def test_the_text_of_the_first_process_holds_for_all():
    processes = Made(lambda letters: letters * 0)
    assert processes.text_of_first("runs/größe") == "runs/größe"
    assert alone().text_of_first("runs/a") == "runs/a"


def test_weights_that_have_parted_are_found_out():
    def other(sums):
        return sums + torch.tensor([0, 1, 1])

    weights = {"same": torch.zeros(2), "parted": torch.ones(3, dtype=torch.bfloat16), "also": torch.ones(())}
    assert Made(other).first_unlike(weights) == "parted"
    assert Made(lambda sums: sums).first_unlike(weights) is None


def test_sums_tell_the_same_numbers_in_another_order_apart():
    rows = torch.randn(4, 3)
    sums = [_checksum(t) for t in (rows, rows.clone(), rows.flip(0), rows.roll(1, 1))]
    assert sums[0] == sums[1]
    assert len({int(s) for s in sums}) == 3
    assert _checksum(torch.randn(5, 7)[2:3, 3]) != _checksum(torch.randn(1))  # a single number with a stride


def test_processes_that_read_different_text_are_refused():
    with pytest.raises(InputError, match="the corpus is not the same in all 2 processes; this is number 0, with abc"):
        Made(lambda digest: digest + 1).refuse_different("the corpus", "abc")
