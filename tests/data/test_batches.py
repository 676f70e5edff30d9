"""Batches that can be stopped and resumed anywhere, and lose nothing but the ragged end of an epoch."""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from ltm_pyro.data import Batches, Document, documents, in_order, train_tokenizer
from ltm_pyro.errors import InputError

SIZE = 11


def _sequences(size):
    corpus = [Document("word " * (1 + i % 4) + str(i), str(i)) for i in range(size)]
    return documents(corpus, train_tokenizer([d.text for d in corpus], 258), 64)


@pytest.fixture(scope="module")
def sequences():
    return _sequences(SIZE)


def _same(a, b):
    return all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b, strict=True))


def _take(batches, count):
    return [next(batches) for _ in range(count)]


def test_an_epoch_has_every_sequence_once_but_the_ragged_end(sequences):
    batches = Batches(sequences, 3)
    assert batches.per_epoch == 3
    for _ in range(4):
        ids = torch.cat([batch.ids for batch in _take(batches, 3)]).tolist()
        assert len(set(ids)) == 9


def test_every_epoch_has_its_own_order(sequences):
    batches = Batches(sequences, SIZE)
    first, second = _take(batches, 2)
    assert first.ids.tolist() != second.ids.tolist()
    assert sorted(first.ids.tolist()) == sorted(second.ids.tolist()) == list(range(SIZE))


def test_seed_decides_the_order(sequences):
    one, same, other = (Batches(sequences, SIZE, seed=seed) for seed in (1, 1, 2))
    first = next(one)
    assert _same(first, next(same))
    assert not _same(first, next(other))


def test_small_data_set_is_one_batch(sequences):
    batches = Batches(sequences, 100)
    assert [len(batch.x) for batch in _take(batches, 3)] == [SIZE] * 3
    assert batches.epoch == 3


def test_resumed_at_every_position_over_two_epochs(sequences):
    whole = _take(Batches(sequences, 3, seed=5), 9)
    for stop in range(7):
        batches = Batches(sequences, 3, seed=5)
        _take(batches, stop)
        state = json.loads(json.dumps(batches.state_dict()))
        resumed = Batches(sequences, 3, seed=5)
        _take(resumed, 2)  # wherever it was before
        resumed.load_state_dict(state)
        assert all(_same(a, b) for a, b in zip(_take(resumed, 9 - stop), whole[stop:], strict=True))


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (lambda s: Batches(_sequences(SIZE + 1), 3), "sequences"),
        (lambda s: Batches(s, 4), "batch_size"),
        (lambda s: Batches(s, 3, seed=1), "seed"),
    ],
)
def test_state_of_something_else_is_refused(sequences, other, name):
    with pytest.raises(InputError, match=f"cannot be resumed: {name} is"):
        other(sequences).load_state_dict(Batches(sequences, 3).state_dict())


@pytest.mark.parametrize("change", [{"position": 3}, {"position": -1}, {"epoch": -1}])
def test_damaged_state_is_refused(sequences, change):
    batches = Batches(sequences, 3)
    with pytest.raises(InputError, match="may be damaged"):
        batches.load_state_dict({**batches.state_dict(), **change})


def test_state_of_other_text_of_the_same_size_is_refused(sequences):
    state = Batches(sequences, 3).state_dict()
    with pytest.raises(InputError, match="tokens is"):
        Batches(sequences, 3).load_state_dict({**state, "tokens": state["tokens"] + 1})


@pytest.mark.parametrize(("limit", "sizes"), [(None, [4, 4, 3]), (6, [4, 2]), (100, [4, 4, 3])])
def test_in_order_gives_everything_once(sequences, limit, sizes):
    batches = list(in_order(sequences, 4, limit))
    assert [len(batch.x) for batch in batches] == sizes
    count = sum(sizes)
    assert torch.cat([batch.ids for batch in batches]).tolist() == [i * 11 // count for i in range(count)]


def test_bad_arguments(sequences):
    with pytest.raises(InputError, match="batch size is 0"):
        Batches(sequences, 0)
    with pytest.raises(InputError, match="batch size is 0"):
        in_order(sequences, 0)
    with pytest.raises(InputError, match="seed of the batches is -1"):
        Batches(sequences, 1, seed=-1)
    with pytest.raises(InputError, match="limit is 0"):
        in_order(sequences, 1, limit=0)


def _threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def _gone(before):
    """Whether no thread is left but those of before, after a while at most."""
    for _ in range(100):
        gc.collect()
        if set(_threads()) <= set(before):
            return True
        time.sleep(0.05)
    return False


class Watched:
    """Sequences that note who makes batches."""

    def __init__(self, sequences, pause=0.0):
        self.sequences, self.pause, self.made_by, self.fail = sequences, pause, [], False

    def __len__(self):
        return len(self.sequences)

    token_count = property(lambda self: self.sequences.token_count)

    def batch(self, ids):
        time.sleep(self.pause)
        if self.fail:
            raise OSError("the disk is gone")
        batch = self.sequences.batch(ids)
        self.made_by.append(threading.current_thread().name)
        return batch

    def wait_for(self, count):
        """Until so many batches have been made, and long enough to see that no more are."""
        for _ in range(200):
            if len(self.made_by) >= count:
                break
            time.sleep(0.02)
        time.sleep(0.02)
        assert len(self.made_by) == count


def test_the_order_is_that_of_seed_and_epoch_alone(sequences):
    """Batches made ahead are those of an epoch's permutation: runs of earlier versions go on with the same ones."""
    batches = Batches(sequences, 3, seed=5)
    for epoch in range(3):
        order = np.random.default_rng([5, epoch]).permutation(SIZE)
        for position in range(3):
            assert _same(next(batches), sequences.batch(order[3 * position : 3 * position + 3]))


def test_the_next_batch_is_made_while_the_last_is_in_use(sequences):
    watched = Watched(sequences, pause=0.1)
    batches = Batches(watched, 3)
    next(batches)
    first = batches.waited
    assert first > 0.09  # there was no time before
    for expected in (3, 4):
        watched.wait_for(expected - 1)  # one ahead and no more
        time.sleep(0.1)
        next(batches)
    assert batches.waited - first < 0.05
    assert all(name.startswith("ahead") for name in watched.made_by)
    next(batches)
    assert batches.waited - first > 0.05  # this one was not ready


def test_the_state_is_of_what_was_given_out(sequences):
    watched = Watched(sequences)
    batches = Batches(watched, 3, seed=5)
    for number in range(7):
        assert (batches.state_dict()["epoch"], batches.state_dict()["position"]) == divmod(number, 3)
        next(batches)
        watched.wait_for(number + 2)


def test_what_was_prepared_is_dropped_when_going_elsewhere(sequences):
    whole = _take(Batches(sequences, 3, seed=5), 9)
    batches = Batches(Watched(sequences, pause=0.02), 3, seed=5)
    for place in (4, 0, 4, 8, 1):
        next(batches)
        batches.load_state_dict({**batches.state_dict(), "epoch": place // 3, "position": place % 3})
        assert _same(next(batches), whole[place])


def test_a_failure_is_raised_where_the_batch_is_asked_for(sequences):
    watched = Watched(sequences)
    batches = Batches(watched, 3)
    next(batches)
    watched.wait_for(2)
    watched.fail = True
    next(batches)
    for _ in range(2):
        state = batches.state_dict()
        with pytest.raises(OSError, match="the disk is gone"):
            next(batches)
        assert batches.state_dict() == state
    watched.fail = False
    assert _same(next(batches), _take(Batches(sequences, 3), 3)[2])


def test_the_thread_ends_with_its_batches(sequences):
    assert _gone([])
    batches = Batches(sequences, 3)
    assert _threads() == []  # none before it is needed
    next(batches)
    assert len(_threads()) == 1
    del batches
    assert _gone([])


def test_nothing_hangs_at_exit():
    code = (
        "from ltm_pyro.data import *\n"
        "corpus = [Document('word ' * i, str(i)) for i in range(1, 9)]\n"
        "kept = Batches(documents(corpus, train_tokenizer([d.text for d in corpus], 258), 64), 2)\n"
        "print(len(next(kept).x)); raise SystemExit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "2\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_goes_on_by_itself(sequences):
    batches = Batches(sequences, 3, seed=5)
    whole = _take(Batches(sequences, 3, seed=5), 3)
    next(batches)
    child = os.fork()
    if not child:
        os._exit(0 if _same(next(batches), whole[1]) and _same(next(batches), whole[2]) else 1)
    for _ in range(200):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.05)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child waits for a thread that is not there")
    assert os.waitstatus_to_exitcode(status) == 0
    assert _same(next(batches), whole[1])


def test_memory_is_pinned_where_there_is_a_device(sequences, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device", lambda number: nullcontext())
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    batch = next(Batches(sequences, 3))
    assert sum(part is tensor for part in batch for tensor in pinned) == sum(part is not None for part in batch)


def test_only_pinned_memory_is_copied_without_waiting(sequences, monkeypatch):
    moves = []

    def to(tensor, device, non_blocking=False):
        moves.append((device, non_blocking))
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    batch = sequences.batch([0])
    batch.to("cuda")
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: True)
    batch.to("cuda")
    assert moves == [("cuda", False)] * 4 + [("cuda", True)] * 4


@pytest.mark.cuda
def test_a_pinned_batch_arrives_whole(sequences):
    batches = Batches(sequences, 3)
    for _ in range(4):
        batch = next(batches)
        assert all(part is None or part.is_pinned() for part in batch)
        assert _same([part if part is None else part.cpu() for part in batch.to("cuda")], batch)
