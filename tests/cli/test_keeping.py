"""Results that cannot be kept are shown all the same, one line says so, and the exit code is not 0."""

import errno
import shutil
from pathlib import Path

import pytest
from runs import ltm

from ltm_pyro.cli import generate
from ltm_pyro.errors import InputError
from ltm_pyro.runs.keeping import NotKeptError
from ltm_pyro.runs.results_folder import ComparisonFolder

FEW = ("--draws", 1, "--limit", 2, "--fast_steps", 1)
SUITE = ("--suite", "generation", "--limit", 2, "--tokens", 3, "--prompt_tokens", 2, "--fast_steps", 1)


def close(folder):
    """From now on nothing can be written into a folder: not even by the administrator, whom tests may run as."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.touch()


@pytest.mark.parametrize(
    ("folder", "words", "shown"),
    [
        ("evaluation", ("evaluate", "run", *FEW), ["nats/token"]),
        ("evaluation", ("evaluate", "run", *SUITE), ["| "]),
        ("inspection", ("inspect", "run", *FEW, "--detail", 0), ["KL"]),
        ("evaluation", ("train", "--resume", "run"), ["NOT A BOUND", "Sample 1"]),
    ],
    ids=["evaluate", "suite", "inspect", "train"],
)
def test_the_table_comes_first_and_then_the_complaint(run, capsys, folder, words, shown):
    close(run / folder)
    assert ltm(*words) == 1
    out, err = capsys.readouterr()
    assert all(part in out for part in shown)
    last = err.splitlines()[-1]
    assert last.startswith(f"ltm: run/{folder}")
    assert last.endswith("The results are shown above, but not saved")
    assert "Traceback" not in err


def test_where_another_folder_can_be_given_it_is_asked_for_at_once(run, capsys):
    Path("closed").touch()
    assert ltm("compare", "bounds", "run", "--out", "closed/here") == 2
    assert "Give a folder by --out" in capsys.readouterr().err


def test_a_disk_that_is_full_for_a_while_ends_nothing(tmp_path, capsys, monkeypatch):
    folder = ComparisonFolder(tmp_path, {})
    folder.begin(["compare"])
    with monkeypatch.context() as patch:
        full(patch)
        folder.keep({"piece": [{"a": 1}]})
        folder.keep({"piece": [{"a": 1}]})
    assert capsys.readouterr().err.count("No space left on device") == 1
    folder.keep({"piece": [{"a": 1}, {"a": 2}]})
    folder.finish("a table", [{"a": 1}], lambda: ["figure"])
    assert folder.done() == {"piece": [{"a": 1}, {"a": 2}]}


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device", "f.png"), InputError("no room")])
def test_a_disk_that_is_full_at_the_end_leaves_what_is_shown(tmp_path, capsys, fault):
    folder = ComparisonFolder(tmp_path, {})

    def draw():
        raise fault

    with pytest.raises(NotKeptError, match=r"no room|f.png cannot be written: No space"):
        folder.finish("a table", [], draw)
    assert capsys.readouterr().out == "a table\n"


def full(patch):
    def fail(path, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    patch.setattr("ltm_pyro.runs.results_folder.write_text", fail)


def test_a_full_disk_anywhere_is_one_line(monkeypatch, capsys):
    def fail(words):
        raise OSError(words, "No space left on device", "part")

    monkeypatch.setattr(generate, "main", lambda words: fail(errno.ENOSPC))
    assert ltm("generate") == 2
    assert capsys.readouterr().err == (
        "ltm: part cannot be written: No space left on device. Free some space, or give a folder that can be written\n"
    )
    monkeypatch.setattr(generate, "main", lambda words: fail(errno.EBADF))  # a fault of ours is not hidden
    with pytest.raises(OSError, match="part"):
        ltm("generate")
