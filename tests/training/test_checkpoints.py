"""A checkpoint that was saved can be loaded, whatever happens afterwards; a damaged one is never taken for whole."""

import contextlib
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ltm_pyro.errors import InputError
from ltm_pyro.training import checkpoints as module
from ltm_pyro.training.checkpoints import Checkpoints

FILES = ["model.safetensors", "training-state.safetensors", "training-state.json", "info.json"]


def content(step):
    weights = {"embedding": torch.full((3, 4), float(step)), "norm": torch.full((4,), step, dtype=torch.float64)}
    return weights, {"step": step, "optimizer": {0: {"exp_avg": torch.full((5,), float(step))}}, "lr": 0.1}


def save(checkpoints, step, **options):
    return checkpoints.save(step, *content(step), **options)


def is_whole(checkpoints, path):
    """Loads, and every part of it is of the same step."""
    step, weights, state, info = checkpoints.load(path)
    numbers = {step, info["step"], state["step"], state["optimizer"][0]["exp_avg"].unique().item()}
    return numbers | {tensor.unique().item() for tensor in weights.values()} == {step}


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "checkpoints")


def names(checkpoints):
    return sorted(path.name for path in checkpoints.folder.iterdir())


def test_what_is_saved_is_loaded(checkpoints):
    path = save(checkpoints, 1200, loss=1.5, fingerprint="abc")
    assert path == checkpoints.folder / "step-00001200"
    assert sorted(file.name for file in path.iterdir()) == sorted([*FILES, "manifest.json"])
    step, weights, state, info = checkpoints.load(path, fingerprint="abc")
    expected_weights, expected_state = content(1200)
    assert (step, info) == (1200, {"step": 1200, "loss": 1.5, "fingerprint": "abc"})
    assert list(weights) == list(expected_weights)
    for name, tensor in expected_weights.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=0)
    assert torch.equal(state["optimizer"][0]["exp_avg"], expected_state["optimizer"][0]["exp_avg"])
    assert Checkpoints.load_weights(path).keys() == weights.keys()
    assert names(checkpoints) == ["step-00001200"]


def test_tied_weights_are_stored_once_and_load_into_a_tied_module(checkpoints):
    def tied():
        decoder = torch.nn.ModuleDict({"embed": torch.nn.Embedding(50, 20), "out": torch.nn.Linear(20, 50, bias=False)})
        decoder["out"].weight = decoder["embed"].weight
        return decoder

    saved, loaded = tied(), tied()
    path = checkpoints.save(1, saved.state_dict(), {})
    assert (path / "model.safetensors").stat().st_size < 1.5 * 50 * 20 * 4
    weights = checkpoints.load(path).weights
    assert list(weights) == ["embed.weight", "out.weight"]
    loaded.load_state_dict(weights)
    assert torch.equal(loaded["out"].weight, saved["embed"].weight)
    untied = torch.nn.Linear(20, 50, bias=False)
    untied.load_state_dict({"weight": Checkpoints.load_weights(path)["out.weight"]})
    assert torch.equal(untied.weight, saved["out"].weight)


def test_an_empty_or_missing_folder_has_no_checkpoints(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        empty = Checkpoints(folder)
        assert (empty.latest(), empty.best(), empty.steps()) == (None, None, [])


def test_other_names_in_the_folder_are_left_alone(checkpoints):
    checkpoints.folder.mkdir()
    for name in ("step-12", "step-final", "notes", ".step-00000001.mine"):
        (checkpoints.folder / name).mkdir()
    save(checkpoints, 7)
    assert checkpoints.steps() == [7]
    assert len(names(checkpoints)) == 5


def test_steps_beyond_eight_digits_are_in_order(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (99_999_999, 100_000_000, 5):
        save(checkpoints, step)
    assert checkpoints.steps() == [5, 99_999_999, 100_000_000]
    assert checkpoints.latest() == tmp_path / "step-100000000"
    assert is_whole(checkpoints, checkpoints.latest())


# Which ones stay


@pytest.mark.parametrize(
    ("keep", "losses", "kept", "best"),
    [
        (2, [None, None, None, None], [3, 4], None),
        (1, [None, None, None], [3], None),
        (2, [4.0, 1.0, 3.0, 2.0, 5.0], [2, 4, 5], 2),
        (1, [4.0, 3.0, 2.0], [3], 3),
        (2, [1.0, 2.0, 3.0, 4.0], [1, 3, 4], 1),
        (1, [2.0, 2.0, 3.0], [2, 3], 2),  # the later of equals
        (1, [2.0, float("nan"), float("-inf")], [1, 3], 1),
        (1, [-2.0, 0.0, None], [1, 3], 1),
    ],
)
def test_the_last_ones_and_the_best_stay(tmp_path, keep, losses, kept, best):
    checkpoints = Checkpoints(tmp_path, keep=keep)
    for step, loss in enumerate(losses, start=1):
        save(checkpoints, step, loss=loss)
    assert checkpoints.steps() == kept
    assert checkpoints.best() == (best and tmp_path / f"step-{best:08d}")
    assert all(is_whole(checkpoints, path) for path in tmp_path.iterdir())


def test_the_one_just_saved_stays_even_if_later_steps_are_there(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 10)
    path = save(checkpoints, 4)
    assert is_whole(checkpoints, path)


def test_a_run_that_goes_on_from_an_earlier_step_can_discard_the_later_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=5)
    for step in range(1, 5):
        save(checkpoints, step)
    checkpoints.discard_after(2)
    assert names(checkpoints) == ["step-00000001", "step-00000002"]


def test_nothing_is_removed_before_the_new_one_has_its_name(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path, keep=1)
    save(checkpoints, 1)
    seen = []
    discard = module._discard
    monkeypatch.setattr(module, "_discard", lambda path: (seen.append(checkpoints.steps()), discard(path)))
    save(checkpoints, 2)
    assert seen == [[1, 2]]
    assert checkpoints.steps() == [2]


def test_a_step_saved_again_is_replaced(checkpoints):
    save(checkpoints, 3, loss=1.0)
    checkpoints.save(3, {"w": torch.ones(2)}, {"again": True}, loss=2.0)
    assert names(checkpoints) == ["step-00000003"]
    loaded = checkpoints.load(checkpoints.latest())
    assert (loaded.state, loaded.info["loss"]) == ({"again": True}, 2.0)


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_none_is_refused(tmp_path, keep):
    with pytest.raises(InputError, match=f"keep is {keep}; expected at least 1"):
        Checkpoints(tmp_path, keep=keep)


def test_a_negative_step_is_refused(checkpoints):
    with pytest.raises(InputError, match="step is -1; expected"):
        save(checkpoints, -1)


# Damage


@pytest.fixture
def two(tmp_path):
    """Two checkpoints; the second is the one to be damaged."""
    checkpoints = Checkpoints(tmp_path)
    return checkpoints, save(checkpoints, 1), save(checkpoints, 2)


def flip(file, bit):
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def assert_refused(two, name, wrong):
    checkpoints, good, bad = two
    message = f"{re.escape(str(bad / name))}.*{wrong}.*Use {re.escape(str(good))} instead"
    with pytest.raises(InputError, match=message):
        checkpoints.load(bad)
    assert is_whole(checkpoints, good)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_found(two, name, where):
    file = two[2] / name
    flip(file, int(where * file.stat().st_size * 8))
    assert_refused(two, name, "does not have the SHA-256 sum in manifest.json: one of the two was changed or damaged")


def test_any_flipped_bit_in_the_manifest_is_found(two, monkeypatch):
    checkpoints, _, path = two
    monkeypatch.setattr(module, "_remedy", lambda path: "")
    whole = (path / "manifest.json").read_bytes()
    for bit in range(8 * len(whole)):
        flip(path / "manifest.json", bit)
        with pytest.raises(InputError, match=re.escape(str(path))):
            module._verify(path, module._FILES)
        (path / "manifest.json").write_bytes(whole)
    assert is_whole(checkpoints, path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1, -1])
def test_a_file_cut_short_is_found(two, name, left):
    whole = (two[2] / name).read_bytes()
    (two[2] / name).write_bytes(whole[:left])
    assert_refused(two, name, f"has {len(whole[:left])} bytes where manifest.json says {len(whole)}")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_grew_is_found(two, name):
    with (two[2] / name).open("ab") as file:
        file.write(b" ")
    assert_refused(two, name, "bytes where manifest.json says")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_found(two, name):
    (two[2] / name).unlink()
    assert_refused(two, name, "is missing")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "{}", '{"files": {}}', '{"files": {"model.safetensors": 3}}', "\ud800"]
)
def test_a_broken_manifest_is_found(two, text):
    (two[2] / "manifest.json").write_bytes(text.encode(errors="surrogatepass"))
    assert_refused(two, "manifest.json", "cannot be read, it is damaged")


def test_weights_alone_need_only_their_own_file(two):
    _, _, path = two
    for name in FILES[1:]:
        (path / name).unlink()
    assert Checkpoints.load_weights(path)["embedding"].unique().item() == 2
    flip(path / "model.safetensors", 999)
    with pytest.raises(InputError, match=r"model\.safetensors does not have the SHA-256 sum"):
        Checkpoints.load_weights(path)


def test_the_remedy_names_a_checkpoint_that_is_whole(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=4)
    paths = [save(checkpoints, step) for step in range(1, 5)]

    def remedy():
        with pytest.raises(InputError) as caught:
            checkpoints.load(paths[2])
        return str(caught.value)

    flip(paths[2] / "info.json", 5)
    flip(paths[1] / "info.json", 5)
    assert f"Use {paths[0]} instead" in remedy()
    shutil.rmtree(paths[0])
    assert f"Use {paths[3]} instead" in remedy()
    (paths[3] / "manifest.json").unlink()
    assert "The run has no other complete checkpoint" in remedy()


def test_a_damaged_checkpoint_is_not_the_best(two):
    checkpoints, good, bad = two
    save(checkpoints, 1, loss=2.0)
    save(checkpoints, 2, loss=1.0)
    (bad / "info.json").write_text("{")
    assert checkpoints.best() == good


def test_what_is_not_a_checkpoint_is_named(two):
    checkpoints, _, latest = two
    for wrong in (checkpoints.folder / "step-00000009", latest / "info.json"):
        with pytest.raises(InputError, match=f"{re.escape(str(wrong))} is not the folder of a checkpoint"):
            checkpoints.load(wrong)


def test_another_configuration_is_refused(checkpoints):
    path = save(checkpoints, 1, fingerprint="abc")
    with pytest.raises(
        InputError, match=r"step-00000001 is a checkpoint of another configuration.*'abc'.*'xyz'.*Resume"
    ):
        checkpoints.load(path, fingerprint="xyz")
    assert checkpoints.load(path, fingerprint="abc").step == checkpoints.load(path).step == 1


# Disks that are full or read-only


def raising(number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "broken", ["os.fsync", "os.mkdir", "pathlib.Path.write_text", "pathlib.Path.rename", "save_file"]
)
def test_a_disk_that_fails_leaves_the_last_checkpoint(two, monkeypatch, broken, number):
    checkpoints, _, good = two
    before = names(checkpoints)
    with monkeypatch.context() as patch:
        patch.setattr(broken if "." in broken else f"ltm_pyro.training.state_files.{broken}", raising(number))
        with pytest.raises(InputError) as caught:
            save(checkpoints, 3)
        assert names(checkpoints) == before
    message = str(caught.value)
    for part in (
        str(checkpoints.folder),
        "step 3",
        os.strerror(number),
        f"{good.name}, is intact",
        "Free some space",
    ):
        assert part in message
    assert all(is_whole(checkpoints, checkpoints.folder / name) for name in before)
    assert is_whole(checkpoints, save(checkpoints, 3))


def test_a_file_that_grows_past_the_limit_leaves_the_last_checkpoint(two):
    resource = pytest.importorskip("resource")
    checkpoints, _, good = two
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(InputError, match=f"{os.strerror(errno.EFBIG)}.*{good.name}, is intact"):
            checkpoints.save(3, {"w": torch.zeros(100_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert names(checkpoints) == ["step-00000001", "step-00000002"]


def test_a_failed_replacement_leaves_the_one_that_was_there(two, monkeypatch):
    checkpoints, _, good = two
    rename = Path.rename

    def fail_for_the_new_one(self, target):
        if "partial" in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(InputError, match="is intact"):
        checkpoints.save(2, {"w": torch.ones(1)}, {})
    assert names(checkpoints) == ["step-00000001", "step-00000002"]
    assert is_whole(checkpoints, good)


def test_a_first_checkpoint_that_fails_says_there_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"There is no earlier checkpoint"):
        save(Checkpoints(tmp_path / "file" / "checkpoints"), 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_other_ends_of_a_save_leave_nothing_behind(two, monkeypatch, error):
    def stop(*_):
        raise error

    checkpoints = two[0]
    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(error):
        save(checkpoints, 3)
    assert names(checkpoints) == ["step-00000001", "step-00000002"]


def test_state_that_cannot_be_saved_leaves_nothing_behind(two):
    with pytest.raises(TypeError, match=r"state\['a'\]"):
        two[0].save(3, {}, {"a": object()})
    assert names(two[0]) == ["step-00000001", "step-00000002"]


def test_what_cannot_be_removed_does_not_stop_the_run(two, monkeypatch):
    checkpoints = two[0]
    with monkeypatch.context() as patch:
        patch.setattr(
            shutil, "rmtree", lambda path, ignore_errors=False: None if ignore_errors else raising(errno.EACCES)()
        )
        save(checkpoints, 3)
    assert checkpoints.steps() == [2, 3]
    assert len(names(checkpoints)) == 3
    save(checkpoints, 4)
    assert names(checkpoints) == ["step-00000003", "step-00000004"]


# Kills

SAVER = """
import os, random, shutil, signal, sys
from pathlib import Path
import torch
from ltm_pyro.training.checkpoints import Checkpoints

torch.set_num_threads(1)

def kill_at(count):
    # Ends the process, as SIGKILL does, before its count-th change to the disk.
    left = [count]
    def counted(change):
        def wrapper(*args, **options):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return change(*args, **options)
        return wrapper
    for owner, name in ((os, "fsync"), (os, "unlink"), (os, "rmdir"), (os, "mkdir"), (Path, "rename"), (Path, "touch"),
                        (Path, "write_text"), (Path, "chmod")):
        setattr(owner, name, counted(getattr(owner, name)))

def save(checkpoints, step):
    weights = {"embedding": torch.full((3, 4), float(step)), "norm": torch.full((4,), step, dtype=torch.float64)}
    state = {"step": step, "optimizer": {0: {"exp_avg": torch.full((5,), float(step))}}}
    checkpoints.save(step, weights, state, loss=float(step % 5))

for line in sys.stdin:  # each line starts one process that saves until it is killed
    folder, first, repeat, count = line.split()
    child = os.fork()
    if child == 0:
        if int(count) >= 0:
            kill_at(int(count))
        checkpoints, step = Checkpoints(folder), int(first)
        while True:
            save(checkpoints, step)
            os.write(1, f"saved {step}\\n".encode())
            if int(repeat):
                os._exit(0)
            step += 1
    os.write(1, f"started {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"ended 0\\n")
"""


@pytest.fixture(scope="module")
def saver():
    if not hasattr(os, "fork"):
        pytest.skip("needs fork, to start many processes quickly")
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", SAVER], cwd=root, env=environment, **pipe) as process:
        yield process
        process.stdin.close()


def run_saver(saver, folder, first, once=False, count=-1, seconds=None):
    """Let a process save, kill it after some seconds or at some change; return the last step it reported."""
    saver.stdin.write(f"{folder} {first} {int(once)} {count}\n")
    last = None
    for line in saver.stdout:
        word, number = line.split()
        if word == "started" and seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        elif word == "saved":
            last = int(number)
        elif word == "ended":
            break
    return last


def test_killed_at_random_times_the_last_reported_checkpoint_or_a_later_one_loads(saver, tmp_path):
    generator = random.Random(0)
    checkpoints = Checkpoints(tmp_path)
    step = save_count = 0
    patience = 1.0  # grows on a machine too busy to save anything in the time
    for _ in range(20):
        reported = run_saver(saver, tmp_path, step + 1, seconds=patience * generator.uniform(0.01, 0.06))
        save_count += reported is not None
        patience *= 1.5 if reported is None else 1.0
        latest = checkpoints.latest()
        if latest is None:
            continue
        assert all(is_whole(checkpoints, tmp_path / path) for path in names(checkpoints) if not path.startswith("."))
        assert checkpoints.load(latest).step >= (reported or step)
        step = checkpoints.load(latest).step
    assert save_count > 5  # or this has tested nothing


@pytest.mark.parametrize("again", [False, True], ids=["the next step", "the same step again"])
def test_killed_at_any_change_to_the_disk_every_earlier_checkpoint_loads(saver, tmp_path, again):
    """Walks the kill through one whole save, which also removes an old checkpoint or replaces the last one."""
    before = tmp_path / "before"
    for step, loss in ((1, 3.0), (2, 0.5), (3, 3.0), (4, 3.0)):
        save(Checkpoints(before), step, loss=loss)
    for count in range(200):
        folder = tmp_path / str(count)
        shutil.copytree(before, folder)
        checkpoints = Checkpoints(folder)
        reported = run_saver(saver, folder, 4 if again else 5, once=True, count=count)
        assert is_whole(checkpoints, checkpoints.latest())
        assert checkpoints.load(checkpoints.latest()).step >= 4
        assert checkpoints.load(checkpoints.best()).step in (2, 5)
        assert all(is_whole(checkpoints, path) for path in module._find(folder).values())
        save(checkpoints, 6, loss=3.0)
        assert not [name for name in names(checkpoints) if name.startswith(".")]
        assert is_whole(checkpoints, checkpoints.best())
        if reported is not None:
            break
        shutil.rmtree(folder)
    assert 20 < count < 199


def test_leftovers_are_taken_care_of_by_the_next_save(two):
    checkpoints, _, latest = two
    (checkpoints.folder / ".step-00000003.partial-17").mkdir()
    (checkpoints.folder / ".step-00000003.partial-17" / "model.safetensors").touch()
    shutil.copytree(latest, checkpoints.folder / ".step-00000001.deleted-17")
    shutil.copytree(latest, checkpoints.folder / ".step-00000001.replaced-17")  # its replacement is in place
    latest.rename(checkpoints.folder / ".step-00000002.replaced-17")  # its replacement is not
    assert checkpoints.steps() == [1, 2]
    assert is_whole(checkpoints, checkpoints.latest())
    save(checkpoints, 3)
    assert names(checkpoints) == ["step-00000002", "step-00000003"]
    assert json.loads((latest / "info.json").read_text())["step"] == 2
