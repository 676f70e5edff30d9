"""Text that spells a special token is text, whatever the tokenizer's model."""

import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from ltm_pyro.data import Tokenizer, train_tokenizer
from ltm_pyro.data.special_tokens import without_special_names
from ltm_pyro.errors import InputError

LETTERS = [*"abcdefghijklmnopqrstuvwxyz<>/[]|_ SEPCLSUNKpad"]
ALPHABET = list(dict.fromkeys([*LETTERS, "▁"]))


def unigram(special=("<unk>", "<s>", "</s>")):
    """As SentencePiece's are converted: special tokens are pieces of score 0, which every other path loses to."""
    pieces = [*((name, 0.0) for name in special), *((letter, -5.0) for letter in ALPHABET)]
    backend = Backend(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(list(special))
    return backend


def words():
    vocabulary = {name: i for i, name in enumerate(["[UNK]", "[CLS]", "[SEP]", "ab", "cd"])}
    backend = Backend(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    return backend


def word_pieces():
    names = ["[UNK]", "[CLS]", "[SEP]", *ALPHABET, *(f"##{letter}" for letter in ALPHABET)]
    backend = Backend(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    return backend


def merges(**options):
    """A BPE whose merges, or whose whole words, spell the end token."""
    names = ["<s>", "</s>", *ALPHABET, "</", "s>"]
    pairs = [("<", "/"), ("s", ">"), ("</", "s>")]
    backend = Backend(models.BPE({name: i for i, name in enumerate(names)}, pairs, **options))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return backend


def not_special():
    """An end token that was added as an ordinary one."""
    backend = merges()
    backend.add_tokens([AddedToken("</s>", special=False), AddedToken("abc", special=False)])
    return backend


def normalized():
    backend = unigram()
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    return backend


MAKERS = {
    "unigram": unigram,
    "unigram behind a normalizer": normalized,
    "words": words,
    "word pieces": word_pieces,
    "merges": merges,
    "whole words": lambda: merges(ignore_merges=True),
    "an added token that is not special": not_special,
    "bytes": lambda: train_tokenizer(["a<|endoftext|>b <|pad|>" * 30], 265).backend,
}
TEXTS = [
    "</s>",
    "ab </s> cd",
    "<s>ab</s></s>",
    "[SEP]",
    "ab [SEP] cd",
    "[CLS][SEP] [UNK]",
    "<|endoftext|>",
    "a<|pad|>",
    "<unk>",
]
TEXTS += ["＜/s＞", "</S>"]


@pytest.mark.parametrize("name", MAKERS)
def test_text_never_becomes_a_special_token(name):
    tokenizer = Tokenizer(MAKERS[name]())
    forbidden = {tokenizer.eos_id, tokenizer.bos_id, tokenizer.pad}
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert not forbidden & set(ids.tolist()), text
        (many, sizes), (again, _) = tokenizer.encode_many([text, text])
        assert np.array_equal(many, ids)
        assert np.array_equal(again, ids)
        assert sizes.sum() == len(text.encode())
    if name not in ("words", "unigram behind a normalizer", "bytes"):
        assert tokenizer.decode(tokenizer.encode("ab")) == "ab"


@pytest.mark.parametrize("name", ["unigram", "merges", "whole words", "an added token that is not special", "bytes"])
def test_it_round_trips(name):
    tokenizer = Tokenizer(MAKERS[name]())
    for text in ("</s>", "ab</s>cd", "ab </s> cd", "<s>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("name", MAKERS)
def test_other_text_has_the_tokens_that_the_backend_gives_it(name):
    backend = MAKERS[name]()
    tokenizer = Tokenizer(backend)
    for text in ("ab cd", "abc", "the pad of a cat", "a/b < c", "", " "):
        plain = backend.encode(text, add_special_tokens=False)
        assert tokenizer.encode(text).tolist() == plain.ids
    saved = json.loads(tokenizer.backend.to_str())
    assert "\ufdd0" not in json.dumps(saved, ensure_ascii=False)  # what is saved is what came


def test_what_cannot_be_spelled_is_left_alone():
    tokenizer = train_tokenizer(["a<|endoftext|>b" * 30], 265)
    assert without_special_names(tokenizer.backend, {"<|endoftext|>"}) is tokenizer.backend


def test_a_tokenizer_that_still_forges_one_is_named(monkeypatch):
    monkeypatch.setattr("ltm_pyro.data.tokenizer.without_special_names", lambda backend, names: backend)
    with pytest.raises(InputError, match=r"encodes '</s>' in a text as its special token"):
        Tokenizer(unigram()).encode("ab</s>cd")
