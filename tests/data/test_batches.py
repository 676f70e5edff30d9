"""Batches that can be stopped and resumed anywhere, and lose nothing but the ragged end of an epoch."""

import json

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
