"""One process at a time trains a run; the lock of a process that has gone holds nobody up."""

import json
import os
import subprocess
import sys

import pytest

from ltm_pyro.errors import InputError
from ltm_pyro.training.run_lock import HOLDER, LOCK, RunLock

HOLD = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1], timeout=0)
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yaml").touch()
    return tmp_path


@pytest.fixture
def other(folder):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(folder / LOCK)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_who_holds_it_is_named(folder):
    with RunLock(folder), pytest.raises(InputError) as refusal, RunLock(folder):
        pass
    expected = f"{folder} is being trained by process {os.getpid()} on "
    assert str(refusal.value).startswith(expected)
    assert ", since 20" in str(refusal.value)
    assert f"`ltm train --resume {folder}`" in str(refusal.value)


def test_it_is_free_again_afterwards(folder):
    for _ in range(2):
        with RunLock(folder):
            assert json.loads((folder / HOLDER).read_text())["pid"] == os.getpid()
    with pytest.raises(RuntimeError), RunLock(folder):
        raise RuntimeError
    assert not (folder / HOLDER).exists()
    with RunLock(folder):
        pass


@pytest.mark.parametrize("note", [None, "", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_process_without_a_readable_note_is_refused_too(folder, other, note):
    if note is not None:
        (folder / HOLDER).write_text(note)
    with pytest.raises(InputError, match="is being trained by another process"), RunLock(folder):
        pass


def test_a_killed_process_holds_nobody_up(folder, other):
    (folder / HOLDER).write_text('{"pid": 1, "host": "gone", "since": "long ago"}')
    other.kill()
    other.wait()
    with RunLock(folder):
        assert json.loads((folder / HOLDER).read_text())["pid"] == os.getpid()


def test_a_folder_that_is_not_there_is_locked_once_it_is(tmp_path):
    with RunLock(tmp_path / "run") as lock:
        (tmp_path / "run").mkdir()
        lock.take()
        lock.take()
        (tmp_path / "run" / "config.yaml").touch()
        with pytest.raises(InputError), RunLock(tmp_path / "run"):
            pass


def test_the_others_of_several_processes_need_none(folder, other, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "LOCAL_RANK": "1", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with RunLock(folder):
        pass
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError), RunLock(folder):
        pass


def test_where_nothing_can_be_written_it_is_said(folder):
    (folder / LOCK).mkdir()
    with pytest.raises(InputError, match=r"cannot be trained here: .*. Make the folder writable"), RunLock(folder):
        pass
