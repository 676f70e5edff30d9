"""A corpus from the cache, from disk and from memory is the same, and none is held whole unless it must be."""

import errno
import json
import shutil
import tracemalloc

import numpy as np
import pytest
import torch
from runs import WORDS, write_corpus

from ltm_pyro.data import Cache, Corpus, DividedCorpus, Tokenizer, cut, fingerprint, read_corpus, split, train_tokenizer
from ltm_pyro.errors import InputError

MODES = ["windows", "documents"]
PARTS = ["training", "validation"]


@pytest.fixture
def path(tmp_path):
    return write_corpus(tmp_path / "corpus.jsonl", documents=40)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def tokenizer(path):
    return train_tokenizer([document.text for document in read_corpus(path)], 270)


@pytest.fixture
def streamed(monkeypatch):
    """Nothing is small enough to be kept, and little is done at once."""
    monkeypatch.setattr("ltm_pyro.data.corpus.KEPT_CHARACTERS", 0)
    monkeypatch.setattr("ltm_pyro.data.text_file.BLOCK", 4096)
    monkeypatch.setattr("ltm_pyro.data.cache.BLOCK", 4096)
    monkeypatch.setattr("ltm_pyro.data.tokenizer.CHARACTERS_AT_ONCE", 4096)


@pytest.fixture
def tokenized(monkeypatch):
    """Number of tokenized texts."""
    texts, encode_pieces = [], Tokenizer.encode_pieces

    def noted(self, several):
        return encode_pieces(self, (texts.append(text) or text for text in several))

    monkeypatch.setattr(Tokenizer, "encode_pieces", noted)
    return texts


def divided(path, cache, validation=0.2, seed=0):
    return DividedCorpus(Corpus(path), validation, seed, cache)


def check_same(one, other):
    """Two data sets have the same batches, names and numbers."""
    assert len(one) == len(other)
    for a, b in zip(one.batch(range(len(one))), other.batch(range(len(one))), strict=True):
        assert (a is None and b is None) or torch.equal(a, b)
    assert [one.name(i) for i in range(len(one))] == [other.name(i) for i in range(len(one))]
    for number in ("token_count", "byte_count", "truncated", "length", "pad", "fixed"):
        assert getattr(one, number) == getattr(other, number)
    assert (one.tokens.dtype, one.bounds.dtype) == (other.tokens.dtype, other.bounds.dtype)


def whole(path, tokenizer, mode, length, validation=0.2, seed=0):
    """Both sides by way of lists in memory."""
    return [cut(mode, side, tokenizer, length) for side in split(read_corpus(path), validation, seed)]


CORPORA = {
    "one.txt": "A few words.\n\nAnd some more of them, to be cut.\n" * 30,
    "several.txt": "<|endoftext|>".join("some words " * i for i in range(30)),
    "rows.csv": "text,n\n" + "".join(f'"a row\nof {"words " * i}",{i}\n' for i in range(30)),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORPORA)
def test_in_every_way_the_same(tmp_path, cache, tokenizer, streamed, mode, name):
    path = tmp_path / name
    path.write_text(CORPORA[name], encoding="utf-8")
    for length in (8, 16):
        expected = whole(path, tokenizer, mode, length)
        for place in (None, cache, cache):
            found = divided(path, place).cut(mode, tokenizer, length)
            assert (found.fingerprint or fingerprint(*found[:2])) == fingerprint(*expected)
            for part, side in zip(PARTS, expected, strict=True):
                check_same(getattr(found, part), side)
                assert isinstance(getattr(found, part).tokens, np.memmap) == (place is cache)


def test_a_fingerprint_is_what_it_always_was(path, tokenizer):
    """Checkpoints are compared by it: runs of earlier versions could not be resumed if it changed."""
    import hashlib

    both = whole(path, tokenizer, "documents", 16)
    raw = b"".join(side.tokens.tobytes() + side.bounds.tobytes() for side in both)
    assert fingerprint(*both) == hashlib.sha256(raw).hexdigest()[:16]
    assert {side.tokens.dtype for side in both} == {np.dtype(np.uint16)}
    assert {side.bounds.dtype for side in both} == {np.dtype(np.int64)}


def test_a_second_run_tokenizes_and_learns_nothing(path, cache, tokenized, monkeypatch):
    first = divided(path, cache)
    learned = first.train_tokenizer(270)
    expected = first.cut("windows", learned, 16)
    assert len(tokenized) == 40
    del tokenized[:]
    monkeypatch.setattr("ltm_pyro.data.divided.train_tokenizer", None)
    monkeypatch.setattr("ltm_pyro.data.divided.fingerprint", None)
    again = divided(path, cache)
    tokenizer = again.train_tokenizer(270)
    assert tokenizer.backend.to_str() == learned.backend.to_str()
    found = again.cut("windows", tokenizer, 16)
    check_same(found.training, expected.training)
    assert found.fingerprint == expected.fingerprint
    assert tokenized == []


def test_what_matters_makes_another_entry_and_what_does_not_does_not(tmp_path, path, cache, tokenizer, tokenized):
    def count(corpus=path, mode="windows", using=tokenizer, length=16, **split_by):
        del tokenized[:]
        divided(corpus, cache, **split_by).cut(mode, using, length)
        return len(tokenized)

    assert count() == 40
    assert count(length=8) == 0
    assert count(mode="documents") == 40
    assert count(mode="documents", length=8) == 40
    assert count(using=train_tokenizer(["other text"], 260)) == 40
    assert count(seed=1) == 40
    assert count(validation=0.5) == 40
    assert count(validation=0.201) == 0  # holds out the same documents
    moved = tmp_path / "elsewhere" / "corpus.jsonl"
    moved.parent.mkdir()
    shutil.copy(path, moved)
    assert count(moved) == 0
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[1], lines[0], *lines[2:]]))
    assert count() == 40
    path.write_text("\n".join(lines).replace("people", "peoples", 1))
    assert count() == 40


def test_a_damaged_entry_is_made_again(path, cache, tokenizer, tokenized):
    expected = divided(path, cache).cut("windows", tokenizer, 16)
    training = whole(path, tokenizer, "windows", 16)[0]
    for file in [file for file in cache.folder.rglob("*") if file.is_file()]:
        del tokenized[:]
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 0xFF]))
        found = divided(path, cache).cut("windows", tokenizer, 16)
        assert len(tokenized) == (0 if file.name.startswith("fingerprint") else 40)
        check_same(found.training, training)
        assert found.fingerprint == expected.fingerprint


def test_a_cache_that_is_deleted_is_no_loss(path, cache, tokenizer):
    first = divided(path, cache).cut("windows", tokenizer, 16)
    shutil.rmtree(cache.folder)
    check_same(first.training, whole(path, tokenizer, "windows", 16)[0])  # what is in use stays in use
    check_same(divided(path, cache).cut("windows", tokenizer, 16).training, first.training)
    assert cache.folder.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, path, tokenizer):
    (tmp_path / "file").touch()
    here = divided(path, Cache(tmp_path / "file" / "cache"))
    assert here.train_tokenizer(270).vocabulary == 270
    found = here.cut("windows", tokenizer, 16)
    assert not isinstance(found.training.tokens, np.memmap)
    check_same(found.training, whole(path, tokenizer, "windows", 16)[0])
    assert f"not kept in {tmp_path / 'file' / 'cache'} (Not a directory)" in here.remark


def test_a_disk_that_fills_up_is_no_error(path, cache, tokenizer, monkeypatch):
    def full(folder, part, files):
        class Full:
            def write(self, content):
                raise OSError(errno.ENOSPC, "No space left on device")

        return lambda name: Full()

    monkeypatch.setattr("ltm_pyro.data.divided.creator", full)
    here = divided(path, cache)
    found = here.cut("windows", tokenizer, 16)
    check_same(found.training, whole(path, tokenizer, "windows", 16)[0])
    assert "No space left on device" in here.remark
    assert [*cache.folder.iterdir()] == []


class Wide(Tokenizer):
    """Stands for a tokenizer of more ids than two bytes have: every id is moved up."""

    SHIFT = 70_000

    def encode_pieces(self, texts):
        return (piece._replace(ids=piece.ids + self.SHIFT) for piece in super().encode_pieces(texts))


@pytest.mark.parametrize("mode", MODES)
def test_large_vocabularies_take_four_bytes(path, cache, tokenizer, mode):
    wide = Wide(tokenizer.backend)
    wide.vocabulary = wide.SHIFT + 270
    narrow = whole(path, tokenizer, mode, 16)[0]
    for place in (None, cache, cache):
        sequences = divided(path, place).cut(mode, wide, 16).training
        assert sequences.tokens.dtype == np.uint32
        text = narrow.tokens != tokenizer.eos_id
        assert (sequences.tokens[text] == narrow.tokens[text].astype(np.uint32) + wide.SHIFT).all()
        assert int(sequences.batch([0]).x.max()) == int(narrow.batch([0]).x.max()) + wide.SHIFT
        if place is None:  # entries are found by the tokenizer, and this one only pretends to be another
            shutil.rmtree(cache.folder, ignore_errors=True)


def test_a_corpus_that_changes_while_it_is_read_is_refused(path, cache, tokenizer, streamed):
    here = divided(path, cache)
    path.write_text(path.read_text() + '\n{"text": "one more"}')
    with pytest.raises(InputError, match="was changed while it was read"):
        here.cut("windows", tokenizer, 16)
    assert [*cache.folder.iterdir()] == []


def peak_of(call):
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def write_large(path, size):
    """About `size` bytes of rows, each of its own text."""
    pick = np.random.default_rng(0)
    with path.open("w") as file:
        while file.tell() < size:
            file.write(json.dumps({"text": " ".join(pick.choice(WORDS, 400))}) + "\n")


def test_memory_does_not_grow_with_the_corpus(tmp_path, path, cache, streamed):
    large, size = tmp_path / "large.jsonl", 2_000_000
    write_large(large, size)
    tokenizer = train_tokenizer([document.text for document in read_corpus(path)], 310)
    divided(path, Cache(tmp_path / "other")).cut("windows", tokenizer, 64)  # what is imported is not counted

    def read_all(place):
        both = divided(large, place, 0.02).cut("windows", tokenizer, 64)
        return [both.training.batch([i]) for i in range(0, len(both.training), 499)]

    peak, batches = peak_of(lambda: read_all(cache))
    again, batches_again = peak_of(lambda: read_all(cache))
    in_memory, others = peak_of(lambda: read_all(None))
    assert in_memory > size / 2  # else this would show nothing
    assert max(peak, again) < in_memory / 2
    for one, other in [*zip(batches, others, strict=True), *zip(batches, batches_again, strict=True)]:
        assert torch.equal(one.x, other.x)


@pytest.mark.slow
def test_the_tokens_of_a_single_text_are_never_held(tmp_path, path, cache, streamed, monkeypatch):
    """The text itself is, and what is left of it when the held-out end is cut off, but nothing larger than that."""
    monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 512)
    size, pick = 2_000_000, np.random.default_rng(0)
    (tmp_path / "one.txt").write_text(" ".join(pick.choice(WORDS, size // 6)))
    size = (tmp_path / "one.txt").stat().st_size
    tokenizer = train_tokenizer([document.text for document in read_corpus(path)], 310)
    divided(path, Cache(tmp_path / "other")).cut("windows", tokenizer, 64)
    peak, both = peak_of(lambda: divided(tmp_path / "one.txt", cache, 0.02).cut("windows", tokenizer, 64))
    assert peak < 3.5 * size
    assert both.training.byte_count + both.validation.byte_count == size
    check_same(both.training, whole(tmp_path / "one.txt", tokenizer, "windows", 64, 0.02)[0])


def test_a_tokenizer_is_learned_from_a_stream(tmp_path, path, cache, streamed):
    large, size = tmp_path / "large.jsonl", 2_000_000
    write_large(large, size)
    divided(path, cache).train_tokenizer(300)
    peak, learned = peak_of(lambda: divided(large, cache, 0.05).train_tokenizer(300))
    assert peak < size / 2
    training, _ = split(read_corpus(large), 0.05)
    assert learned.backend.to_str() == train_tokenizer([d.text for d in training], 300).backend.to_str()
