"""A long text has the same tokens in pieces and whole, or is not cut."""

import random

import numpy as np
import pytest
from tokenizer_zoo import byte_fallback, metaspace, unigram, word_ends, word_piece
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Backend

from ltm_pyro.data import Document, Tokenizer, cut, train_tokenizer
from ltm_pyro.data.chunking import AROUND_PATTERN, BETWEEN_WORDS, LONGEST, chunks, gaps_of
from ltm_pyro.data.tokenizer import _with_bytes as with_bytes

LETTERS = [*"ab1_é語'.- \n\t", "'s", "'ll", "  ", "\r\n", "\u2028", "\x1c", "\u00a0", "\U0001f600", "e\u0301"]


def random_text(seed, size=400):
    pick = random.Random(seed)
    words = [*LETTERS, *["ab", "word", " the", " of"] * 4]
    return "".join(pick.choices(words, k=size))


def learned(pre_tokenizer, **change):
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizer
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator([random_text(seed) for seed in range(20)], trainer)
    for name, value in change.items():
        setattr(backend, name, value)
    return backend


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([random_text(seed) for seed in range(20)], 400)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("piece", [1, 7, 60])
def test_pieces_have_the_tokens_of_the_whole(tokenizer, monkeypatch, seed, piece):
    texts = [random_text(seed + 100), "short", "", "語" * 200, random_text(seed + 200), "a b " * 50]
    whole = [tokenizer.encode_with_bytes(text) for text in texts]
    monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", piece)
    assert gaps_of(tokenizer.backend) is AROUND_PATTERN
    found = list(chunks(texts[0]))
    assert [last for _, last in found] == [False] * (len(found) - 1) + [True]
    assert len(found) > 3
    assert "".join(piece for piece, _ in found) == texts[0]
    monkeypatch.setattr("ltm_pyro.data.tokenizer.CHARACTERS_AT_ONCE", 50)
    for (ids, sizes), (one, one_sizes) in zip(tokenizer.encode_many(iter(texts)), whole, strict=True):
        assert np.array_equal(ids, one)
        assert np.array_equal(sizes, one_sizes)
        assert (ids.dtype, sizes.dtype) == (one.dtype, one_sizes.dtype)


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("mode", ["windows", "documents"])
def test_sequences_do_not_tell_how_a_text_came(monkeypatch, mode, begins):
    tokenizer = train_tokenizer([random_text(seed) for seed in range(20)], 400)
    if begins:
        tokenizer.add_begin()
    texts = [Document(random_text(seed + 50, 20 * seed), str(seed)) for seed in range(1, 9)]
    counts = [len(tokenizer.encode(text.text)) + 1 for text in texts]
    for length in (16, counts[3] - 1, counts[3], counts[3] + 1):
        monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 2**14)
        whole = cut(mode, texts, tokenizer, length)
        monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 1)
        found = cut(mode, texts, tokenizer, length)
        assert whole.truncated == (sum(count > length for count in counts) if mode == "documents" else 0)
        for name in ("truncated", "byte_count", "token_count"):
            assert getattr(found, name) == getattr(whole, name)
        for name in ("tokens", "byte_counts", "bounds"):
            assert np.array_equal(getattr(found, name), getattr(whole, name))
        assert list(found.names) == list(whole.names)


OTHERS = {
    "one word for all": lambda: learned(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)),
    "a space before all": lambda: learned(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "another pattern": lambda: learned(pre_tokenizers.Punctuation()),
    "words that are not split": lambda: learned(pre_tokenizers.Metaspace(split=False)),
    "words, and what is put before them": lambda: learned(
        pre_tokenizers.Whitespace(), normalizer=normalizers.Sequence([normalizers.NFC(), normalizers.Prepend("x")])
    ),
    "a normalizer": lambda: learned(
        pre_tokenizers.ByteLevel(add_prefix_space=False), normalizer=normalizers.Prepend("x")
    ),
    "offsets without white space": lambda: learned(
        pre_tokenizers.ByteLevel(add_prefix_space=False), post_processor=processors.ByteLevel(trim_offsets=True)
    ),
    "and within a sequence": lambda: learned(
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        post_processor=processors.Sequence([processors.ByteLevel(trim_offsets=True)]),
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_known_to_be_safe_is_not_cut(monkeypatch, name):
    monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 10)
    tokenizer = Tokenizer(OTHERS[name]())
    assert gaps_of(tokenizer.backend) is None
    text = random_text(0)
    ids, sizes = next(tokenizer.encode_many([text]))
    assert np.array_equal(ids, tokenizer.encode(text))
    assert np.array_equal(sizes, tokenizer.encode_with_bytes(text)[1])


WORDED = [unigram, word_piece, byte_fallback]


@pytest.mark.parametrize("make", WORDED, ids=[make.__name__ for make in WORDED])
@pytest.mark.parametrize("seed", range(10))
def test_tokenizers_of_words_have_the_tokens_of_the_whole_too(monkeypatch, make, seed):
    tokenizer = make()
    assert gaps_of(tokenizer.backend) is BETWEEN_WORDS
    pick = random.Random(seed)
    words = [
        "the dog",
        "sees",
        "the",
        "cat",
        "naïve",
        "and",
        "a",
        " ",
        "\n",
        "  ",
        "🌊",
        "語",
        "do n't",
        "e\u0301",
        ".",
        "war-",
    ]
    text = " ".join(pick.choices(words, k=300)) + "".join(pick.choices(words, k=300)) + " the end"
    ids, sizes = tokenizer.encode_with_bytes(text)
    monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 20)
    assert len(list(chunks(text, BETWEEN_WORDS))) > 20
    found, found_sizes = next(tokenizer.encode_many([text]))
    assert np.array_equal(found, ids)
    assert np.array_equal(found_sizes, sizes)
    assert int(sizes.sum()) == len(text.encode())


@pytest.mark.parametrize("make", [metaspace, word_ends])
def test_tokenizers_that_drop_letters_are_given_the_whole(make):
    assert gaps_of(make().backend) is None


@pytest.mark.parametrize("make", [unigram, byte_fallback])
def test_a_cut_before_a_line_end_would_be_noticed(monkeypatch, make):
    """Metaspace takes blanks alone for the start of a word: the gaps of byte-level tokenizers are not its own."""
    tokenizer = make()
    text = "the dog\nsees the\ncat " * 40
    whole = tokenizer.encode(text)
    monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 5)
    monkeypatch.setattr("ltm_pyro.data.chunking.gaps_of", lambda backend: AROUND_PATTERN)
    assert not np.array_equal(make().encode(text), whole)


def test_normalizers_that_take_each_letter_for_itself_do_not_forbid_it():
    backend = word_piece().backend
    backend.normalizer = normalizers.Sequence([normalizers.BertNormalizer(), normalizers.NFKC()])
    assert gaps_of(backend) is BETWEEN_WORDS
    backend.normalizer = normalizers.Replace("a b", "c")
    assert gaps_of(backend) is None


def test_words_without_a_gap_are_given_whole():
    assert [piece for piece, _ in chunks("語é" * 100_000, BETWEEN_WORDS)] == ["語é" * 100_000]


@pytest.mark.parametrize("processor", [processors.ByteLevel(trim_offsets=False), None])
def test_offsets_with_white_space_do_not_forbid_it(processor):
    assert gaps_of(learned(pre_tokenizers.ByteLevel(add_prefix_space=False), post_processor=processor))


def test_tokens_of_several_words_forbid_it(monkeypatch):
    backend = learned(pre_tokenizers.ByteLevel(add_prefix_space=False))
    assert gaps_of(backend) is AROUND_PATTERN
    backend.add_tokens([AddedToken("b a", normalized=False)])
    assert gaps_of(backend) is None
    monkeypatch.setattr("ltm_pyro.data.chunking.PIECE", 3)
    tokenizer = Tokenizer(backend)
    ids, _ = next(tokenizer.encode_many(["b a " * 30]))
    assert np.array_equal(ids, tokenizer.encode("b a " * 30))
    assert len(ids) == 60


UNBROKEN = {
    "one word": "ab" * 100_000,
    "one word of wide letters": "語é" * 100_000,
    "blanks": " " * 200_000,
    "numbers and commas": "12,34;" * 40_000,
    "every letter after a comma": "word, and. " * 20_000,
    "two blanks between words": "word  and  " * 20_000,
}


@pytest.mark.parametrize("name", UNBROKEN)
def test_no_text_is_given_to_the_tokenizer_as_a_whole(tokenizer, monkeypatch, name):
    text = UNBROKEN[name]
    given = []
    monkeypatch.setattr(
        "ltm_pyro.data.tokenizer._with_bytes", lambda piece, e: given.append(piece) or with_bytes(piece, e)
    )
    found = list(tokenizer.encode_pieces([text, "short"]))
    assert max(map(len, given)) <= LONGEST
    assert "".join(given) == text + "short"
    assert [piece.last for piece in found] == [False] * (len(found) - 2) + [True, True]
    ids = np.concatenate([piece.ids for piece in found[:-1]])
    assert np.array_equal(ids, tokenizer.encode(text))  # wherever a text comes from, it has the same tokens
    assert np.array_equal(ids, tokenizer.encode_with_bytes(text)[0])
    assert tokenizer.decode(ids) == text
    assert sum(int(piece.byte_counts.sum()) for piece in found[:-1]) == len(text.encode())


def test_no_text_is_given_to_the_trainer_as_a_whole(monkeypatch):
    given = []
    monkeypatch.setattr("ltm_pyro.data.tokenizer._runs", lambda piece: given.append(piece) or [piece[:500]])
    train_tokenizer([*UNBROKEN.values(), random_text(0)], 259)
    assert max(map(len, given)) <= LONGEST
    assert "".join(given) == "".join(UNBROKEN.values()) + random_text(0)
