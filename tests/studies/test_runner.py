"""Cells of a study: each is done once, whoever looks for work; a killed one is begun again; one that fails says why."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from prepared import Prepared

from ltm_pyro.errors import InputError
from ltm_pyro.studies import process
from ltm_pyro.studies import runner as trial_runner
from ltm_pyro.studies.process import LOCK, TAKEN
from ltm_pyro.studies.runner import TrialRunner
from ltm_pyro.studies.trial import Trial

pytestmark = pytest.mark.usefixtures("here")
MODULE = """
import os, signal, sys, time
from pathlib import Path
from ltm_pyro.studies import process

def carry_out(plan, folder):
    with (folder / "began").open("a") as file:
        file.write("x")
    time.sleep(0.3)
    what = plan["settings"]["does"]
    if what == "dies always" or what == "dies once" and (folder / "began").read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fails":
        raise ValueError("it is not to be")
    if what == "breaks":
        raise KeyError("a mistake")
    return {"said": what}

if __name__ == "__main__":
    sys.exit(process.main(Path(sys.argv[1]), carry_out))
"""


def toy(key, does, start_from=None):
    return Trial(key, 0, key, {"does": does, "train": {"steps": 1}}, start_from)


@pytest.fixture(autouse=True)
def module(here):
    Path("toy_cells.py").write_text(MODULE, encoding="utf-8")
    sys.path.append(os.getcwd())  # as where a class of one's own is named


@pytest.fixture(autouse=True)
def _prepared_cells(request, monkeypatch):
    """Cells' processes begin without the seconds of their imports, but for the one test that looks at how they do."""
    if request.function is not test_processes_have_one_thread_and_leave_when_the_study_does:
        ours = SimpleNamespace(Popen=Prepared, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
        monkeypatch.setattr(trial_runner, "subprocess", ours)


def runner_of(*trials, processes=2, **further):
    plans = {trial.key: {"settings": trial.settings, "start_from": trial.start_from, **further} for trial in trials}
    return TrialRunner(Path("out"), trials, plans, processes, "toy_cells")


def began(key):
    path = Path("out/cells") / key / "began"
    return len(path.read_text()) if path.exists() else 0


def test_what_is_done_is_not_done_again_and_what_failed_is():
    trials = toy("good", "works"), toy("bad", "fails"), toy("after", "works", start_from="bad")
    runner, told = runner_of(*trials), []
    runner.carry_out(told.append)
    assert sorted(told) == ["after", "bad", "good"]
    assert runner.results["good"]["said"] == "works"
    assert runner.results["bad"]["reason"] == "it is not to be"
    assert runner.results["after"]["reason"] == "the trial that it starts from has failed: bad"
    again = runner_of(*trials)
    assert list(again.results) == ["good"]
    again.carry_out()
    assert [began(key) for key in ("good", "bad", "after")] == [1, 2, 0]


def test_a_killed_cell_is_begun_again_but_not_for_ever():
    runner = runner_of(toy("once", "dies once"), toy("always", "dies always"), toy("broken", "breaks"))
    runner.carry_out()
    assert runner.results["once"]["said"] == "dies once"
    assert runner.results["always"]["reason"].startswith("its process has ended with code -9: see out/cells/always/log")
    assert runner.results["broken"]["reason"].startswith("its process has ended with code 1")
    assert [began(key) for key in ("once", "always", "broken")] == [2, 2, 1]  # a mistake would be made again


@pytest.mark.parametrize("careful", [True, False])
def test_two_studies_in_one_folder_share_the_work(careful, monkeypatch):
    """Careless, one takes cells without looking whether they are free: their processes still find the lock taken."""
    trials = [toy(f"cell-{number}", "works") for number in range(4)]
    studies = [runner_of(*trials, processes=2), runner_of(*trials, processes=2)]
    if not careful:
        look = studies[1]._is_free
        monkeypatch.setattr(studies[1], "_is_free", lambda key: look(key) or True)
    threads = [threading.Thread(target=study.carry_out) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [began(trial.key) for trial in trials] == [1, 1, 1, 1]
    for study in studies:
        assert {result["said"] for result in study.results.values()} == {"works"}
        assert len(study.results) == 4


def test_without_the_lock_a_cell_would_be_done_twice():
    """The check above can fail: where everybody has a lock of their own, nobody keeps anybody out."""
    own = MODULE.replace("def carry_out", "process.LOCK = f'lock-{os.getpid()}'\n\ndef carry_out")
    Path("toy_cells.py").write_text(own.replace("time.sleep(0.3)", "time.sleep(5)"), encoding="utf-8")
    studies = [runner_of(toy("one", "works")), runner_of(toy("one", "works"))]
    threads = [threading.Thread(target=study.carry_out) for study in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert began("one") == 2


def test_a_cell_in_other_hands_is_waited_for():
    runner = runner_of(toy("one", "works"))
    Path("out/cells/one").mkdir(parents=True)
    lock = FileLock(Path("out/cells/one") / LOCK, thread_local=False)
    lock.acquire()
    thread = threading.Thread(target=runner.carry_out)
    thread.start()
    time.sleep(1.0)
    assert runner.results == {}
    assert runner.running == {}
    lock.release()
    thread.join(60)
    assert runner.results["one"]["said"] == "works"


def test_a_process_that_comes_too_late_leaves_at_once(tmp_path):
    with FileLock(tmp_path / LOCK):
        assert process.main(tmp_path, lambda plan, folder: pytest.fail("it was taken")) == TAKEN


def test_other_arguments_are_refused_but_not_another_measurement():
    cell = toy("one", "works")
    runner_of(cell, scoring=1).carry_out()
    assert runner_of(cell, scoring=1).results
    assert not runner_of(cell, scoring=2).results  # to be scored anew
    with pytest.raises(InputError, match="out/cells/one was started with other arguments"):
        runner_of(toy("one", "--train.steps 7"))


def test_a_trial_begun_with_an_argument_that_was_removed_since_goes_on_if_it_did_nothing():
    trial = toy("one", "works")
    runner_of(trial).carry_out()
    folder = Path("out/cells/one")
    for value, goes_on in ((0.0, True), (0.3, False)):
        plan = json.loads((folder / "plan.json").read_text())
        plan["settings"]["decoder"] = {"token_dropout": value}
        for name, content in (("plan.json", plan), ("result.json", {"status": "done", "plan": plan, "said": "works"})):
            (folder / name).write_text(json.dumps(content))
        now = Trial("one", 0, "one", {**trial.settings, "decoder": {"came_since": None}})
        if goes_on:
            assert list(runner_of(now).results) == ["one"]
        else:
            with pytest.raises(InputError, match="was started with other arguments"):
                runner_of(now)


def test_processes_have_one_thread_and_leave_when_the_study_does():
    Path("toy_cells.py").write_text(MODULE.replace("time.sleep(0.3)", "time.sleep(60)"), encoding="utf-8")
    runner = runner_of(toy("one", "works"))
    runner._start("one") if runner._is_free("one") else pytest.fail("nobody holds it")
    process = runner.running["one"]
    until = time.monotonic() + 60
    while not began("one") and time.monotonic() < until:
        time.sleep(0.05)
    environment = Path(f"/proc/{process.pid}/environ")
    if environment.exists():
        assert "OMP_NUM_THREADS=1" in environment.read_text().split("\0")
    runner._stop()
    assert process.returncode == -15
    assert not Path("out/cells/one/result.json").exists()
    assert os.path.basename(process.args[0]) == os.path.basename(sys.executable)
