"""Bits per byte are told only where the tokens decode to the text that is scored."""

import math

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from ltm_pyro.data import Document, Tokenizer, cut, in_order, train_tokenizer
from ltm_pyro.data.round_trip import RoundTrip

WORDS = ["the", "law", "of", "war", "é", "people", ".", ",", "fi"]
SPECIAL = ["<|endoftext|>", "[UNK]"]


def words(normalizer=None, known=WORDS):
    """A tokenizer of whole words, as WordPiece without pieces: what it does not know becomes [UNK]."""
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *known])}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement=" ", prepend_scheme="never")
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens(SPECIAL)
    if normalizer:
        backend.normalizer = normalizer
    return Tokenizer(backend)


def by_bytes(normalizer=None):
    backend = train_tokenizer(["the law of war and of peace, for all the people"], 270).backend
    if normalizer:
        backend.normalizer = normalizer
    return Tokenizer(backend)


def unigram():
    vocabulary = [("<unk>", 0.0), ("▁", -1.0), ("</s>", -9.0), *((letter, -2.0) for letter in "thelawofr")]
    backend = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    backend.decoder = decoders.Metaspace(prepend_scheme="never")
    return Tokenizer(backend)


def sequences_of(tokenizer, *texts, mode="windows"):
    return cut(mode, [Document(text, f"text {i}") for i, text in enumerate(texts)], tokenizer, 8)


LOSES = {
    "unknown words": (words(known=[*WORDS, " "]), "the strange law", "[UNK]"),
    "case": (by_bytes(normalizers.Lowercase()), "The Law", "case"),
    "forms of equal length": (by_bytes(normalizers.NFC()), "peuple e\u0301tranger", "accents"),
    "forms of other bytes": (by_bytes(normalizers.NFKC()), "the ﬁrst", "accents"),
    "accents": (by_bytes(normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])), "café", "accents"),
    "characters dropped": (by_bytes(normalizers.Replace("w", "")), "the law of war", "outside the vocabulary"),
    "white space": (by_bytes(normalizers.Strip()), "  the law  ", "white space"),
    "characters without a token": (unigram(), "the law, the war", "<unk>"),
    "no spaces": (words(), "the law of war", "[UNK]"),
}
KEEPS = {
    "bytes": (by_bytes(), "Any text, é ﬁ 語 <|endoftext|> at all.  "),
    "words": (words(known=[*WORDS, " "]), "the law of war"),
    "lower case alone": (by_bytes(normalizers.Lowercase()), "the law of war"),
    "composed already": (by_bytes(normalizers.NFC()), "étranger"),
    "unigram": (unigram(), "the law of the war"),
}


@pytest.mark.parametrize("name", LOSES)
@pytest.mark.parametrize("mode", ["windows", "documents"])
def test_what_is_lost_is_said_and_no_bytes_are_told(name, mode):
    tokenizer, text, kind = LOSES[name]
    assert tokenizer.decode(tokenizer.encode(text)) != text
    sequences = sequences_of(tokenizer, text, mode=mode)
    assert sequences.lost.startswith("No bits/byte: the tokenizer loses ")
    assert kind in sequences.lost
    assert sum(int(batch.bytes.sum()) for batch in in_order(sequences, 2)) == 0


@pytest.mark.parametrize("name", KEEPS)
def test_a_text_that_comes_back_has_all_its_bytes(name):
    tokenizer, text = KEEPS[name]
    assert tokenizer.decode(tokenizer.encode(text)) == text
    sequences = sequences_of(tokenizer, text)
    assert sequences.lost == ""
    assert sum(int(batch.bytes.sum()) for batch in in_order(sequences, 2)) == len(text.encode())


def test_one_lossy_document_is_enough_and_the_share_is_of_all():
    tokenizer = by_bytes(normalizers.Lowercase())
    sequences = sequences_of(tokenizer, "the law", "The Law", "of war")
    assert "loses 10 % of the characters: case" in sequences.lost
    assert "1 of 3 documents" in sequences.lost


def test_an_exact_tokenizer_is_not_asked_to_decode(monkeypatch):
    monkeypatch.setattr(Tokenizer, "decode", None)
    assert sequences_of(by_bytes(), "any text").lost == ""
    assert RoundTrip(by_bytes()).exact
    assert not RoundTrip(by_bytes(normalizers.NFC())).exact


def test_a_score_without_bytes_has_no_bits():
    import numpy as np

    from ltm_pyro.evaluation.evaluator import Evaluation
    from ltm_pyro.evaluation.score import Score
    from ltm_pyro.evaluation.table import markdown

    lossy, whole = (Score("exact", np.ones(3), np.full(3, 4.0), np.full(3, size)) for size in (0.0, 9.0))
    assert math.isnan(lossy.bits_per_byte)
    table = markdown(Evaluation({"exact": lossy}, 0.0, [], False, 1.0, 1, lost="No bits/byte: why."))
    assert "No bits/byte: why." in table
    assert "nan" not in table
    assert " bytes" not in table
    told = markdown(Evaluation({"exact": whole}, 0.0, [], False, 1.0, 1))
    assert "27 bytes" in told
