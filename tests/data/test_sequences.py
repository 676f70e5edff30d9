"""No token or byte is lost, repeated or made up when documents are cut into sequences."""

import numpy as np
import pytest
import torch

from ltm_pyro.data import Document, cut, documents, train_tokenizer, windows
from ltm_pyro.data.tokenizer import Piece
from ltm_pyro.errors import InputError

CORPUS = [
    Document("the cat sat on the mat, " * 9, "long"),
    Document("", "empty"),
    Document("naïve 語 \U0001f600 <|endoftext|>", "unicode"),
    Document("x", "tiny"),
]
FILLED = [document for document in CORPUS if document.text]
MODES = ["windows", "documents"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([document.text for document in CORPUS], 265)


def _stream(tokenizer, corpus=FILLED):
    return np.concatenate([np.append(tokenizer.encode(document.text), tokenizer.eos_id) for document in corpus])


def _scored(batch):
    return batch.x if batch.mask is None else batch.x[batch.mask]


@pytest.mark.parametrize("length", [2, 3, 7, 64, 10_000])
def test_windows_joined_are_the_token_stream(tokenizer, length):
    sequences = windows(CORPUS, tokenizer, length)
    batch = sequences.batch(range(len(sequences)))
    assert (_scored(batch).flatten().numpy() == _stream(tokenizer)).all()
    assert batch.x.shape == (len(sequences), length)
    assert sequences.token_count == len(_stream(tokenizer)) == int(batch.tokens.sum())


@pytest.mark.parametrize("length", [2, 7, 64])
def test_previous_of_a_window_is_the_token_before_it(tokenizer, length):
    sequences = windows(CORPUS, tokenizer, length)
    shifted = np.append(tokenizer.eos_id, _stream(tokenizer))[::length][: len(sequences)]
    assert (sequences.batch(range(len(sequences))).previous.numpy() == shifted).all()


@pytest.mark.parametrize("length", [2, 7, 64, 10_000])
def test_windows_bytes_are_the_documents_bytes(tokenizer, length):
    sequences = windows(CORPUS, tokenizer, length)
    total = sum(len(document.text.encode()) for document in CORPUS)
    assert sequences.byte_count == total
    assert int(sequences.batch(range(len(sequences))).bytes.sum()) == total


def test_window_names_say_where_they_start(tokenizer):
    sequences = windows(CORPUS, tokenizer, 16)
    assert sequences.name(0) == "long"
    assert sequences.name(1) == "long+16"
    assert len({sequences.name(i) for i in range(len(sequences))}) == len(sequences)


def test_documents_are_text_and_end(tokenizer):
    sequences = documents(CORPUS, tokenizer, 10_000)
    assert [sequences.name(i) for i in range(len(sequences))] == ["long", "unicode", "tiny"]
    assert sequences.truncated == 0
    for i, document in enumerate(FILLED):
        batch = sequences.batch([i])
        assert batch.mask is None
        assert batch.x[0, -1] == tokenizer.eos_id
        assert tokenizer.decode(batch.x[0]) == document.text
        assert int(batch.bytes) == len(document.text.encode())
        assert int(batch.previous) == tokenizer.eos_id


def test_long_documents_are_cut_off_and_counted(tokenizer):
    sequences = documents(CORPUS, tokenizer, 8)
    assert sequences.truncated == 2
    batch = sequences.batch([2, 0])
    assert (batch.x[1].numpy() == tokenizer.encode(CORPUS[0].text)[:8]).all()
    _, nbytes = tokenizer.encode_with_bytes(CORPUS[0].text)
    assert batch.bytes.tolist() == [1, int(nbytes[:8].sum())]
    assert batch.ids.tolist() == [2, 0]
    assert batch.tokens.tolist() == [2, 8]
    assert (batch.previous == tokenizer.eos_id).all()


def test_padding_is_masked_and_no_wider_than_needed(tokenizer):
    sequences = documents(CORPUS, tokenizer, 10_000)
    batch = sequences.batch([1, 2])
    longest = len(tokenizer.encode(CORPUS[2].text)) + 1
    assert batch.x.shape == (2, longest)
    assert batch.mask.sum(-1).tolist() == [longest, 2]
    assert (batch.x[~batch.mask] == tokenizer.pad).all()
    assert (batch.byte_counts[~batch.mask] == 0).all()


@pytest.mark.parametrize("mode", MODES)
def test_types(tokenizer, mode):
    sequences = cut(mode, CORPUS, tokenizer, 16)
    batch = sequences.batch([0, len(sequences) - 1])
    assert {part.dtype for part in (batch.x, batch.previous, batch.ids, batch.byte_counts)} == {torch.int64}
    assert batch.mask.dtype == torch.bool
    assert sequences.tokens.dtype == np.uint16
    moved = batch.to("meta")
    assert moved.x.device.type == moved.mask.device.type == "meta"
    assert sequences.batch([0]).to("cpu").mask is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("vocabulary", "dtype"), [(2**16, np.uint16), (2**16 + 1, np.uint32)])
def test_tokens_of_large_vocabularies_fit(mode, vocabulary, dtype):
    sequences = cut(mode, [Document("x", "x")], _Numbers(vocabulary), 4)
    assert sequences.tokens.dtype == dtype
    assert sequences.batch([0]).x[0, :2].tolist() == [vocabulary - 1, 0]


class _Numbers:
    """A tokenizer whose every text is its largest token."""

    bos_id = eos_id = pad = 0

    def __init__(self, vocabulary):
        self.vocabulary = vocabulary

    def encode_pieces(self, texts):
        return (Piece(np.array([self.vocabulary - 1], dtype=np.int32), np.array([len(text)]), True) for text in texts)


def test_a_token_of_many_bytes_is_counted_whole():
    class Long(_Numbers):
        def encode_pieces(self, texts):
            return (Piece(np.array([1], dtype=np.int32), np.array([70_000]), True) for _ in texts)

    assert windows([Document("x", "x")], Long(9), 4).byte_count == 70_000


@pytest.mark.parametrize("mode", MODES)
def test_too_short_or_empty(tokenizer, mode):
    with pytest.raises(InputError, match="at least 2"):
        cut(mode, CORPUS, tokenizer, 1)
    with pytest.raises(InputError, match="no text"):
        cut(mode, [Document("", "a")], tokenizer, 8)


def test_unknown_mode(tokenizer):
    with pytest.raises(InputError, match="expected one of windows, documents"):
        cut("paragraphs", CORPUS, tokenizer, 8)


def test_a_begin_token_of_its_own_heads_each_document():
    tokenizer = train_tokenizer(["one two", "three"], 258)
    tokenizer.add_begin()
    assert tokenizer.bos_id == tokenizer.vocabulary - 1 == 258
    texts = [Document("ab", "first"), Document("c", "second")]
    a, b, c = tokenizer.encode("abc").tolist()
    bos_id, eos_id = tokenizer.bos_id, tokenizer.eos_id
    assert windows(texts, tokenizer, 8).tokens.tolist() == [bos_id, a, b, eos_id, bos_id, c, eos_id]
    assert windows(texts, tokenizer, 8).byte_count == 3
    assert documents(texts, tokenizer, 8).batch([0, 1]).previous.tolist() == [bos_id, bos_id]
    assert documents(texts, tokenizer, 8).tokens.tolist() == [a, b, eos_id, c, eos_id]
