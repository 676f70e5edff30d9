"""Round trips to the byte, special tokens that text cannot forge, and streams of whole characters."""

import hashlib
import os
import random
import subprocess
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import pytest

from ltm_pyro.data import StreamDecoder, Tokenizer, train_tokenizer
from ltm_pyro.data.tokenizer import SMALLEST_VOCABULARY, _runs
from ltm_pyro.errors import InputError

PROSE = "the cat sat on the mat, and the café's owner said: “naïve!” 語 \U0001f600\n" * 20
SPECIAL = ["a<|endoftext|>b", "<|pad|>", "<unk> <s> </s>", "<|endoftext|><|endoftext|>"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([PROSE, *SPECIAL * 20], 290)


def _random_text(seed):
    """Any Unicode, half of it ASCII, without surrogates."""
    pick = random.Random(seed)
    ranges = [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    weights = [4, 1, 1, 1, 1]
    return "".join(chr(pick.randint(*pick.choices(ranges, weights)[0])) for _ in range(pick.randint(1, 200)))


TEXTS = [
    PROSE,
    *SPECIAL,
    *(_random_text(seed) for seed in range(50)),
    "",
    " ",
    "  \n\n\t ",
    "e\u0301",
    "\0",
    "\ufffd",
    "\ufeffx\r\n",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_round_trip_is_exact(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids) == text
    assert not np.isin(ids, [tokenizer.eos_id, tokenizer.pad]).any()


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_bytes_add_up(tokenizer, text):
    ids, nbytes = tokenizer.encode_with_bytes(text)
    assert (ids == tokenizer.encode(text)).all()
    assert nbytes.shape == ids.shape
    assert nbytes.sum() == len(text.encode())
    assert (nbytes >= 0).all()


def test_bytes_of_each_token(tokenizer):
    ids, nbytes = train_tokenizer(["ab"], SMALLEST_VOCABULARY).encode_with_bytes("aé\U0001f600b")
    assert len(ids) == 8
    assert nbytes.tolist() == [1, 2, 0, 4, 0, 0, 0, 1]


def test_many_texts_at_once_are_encoded_alike(tokenizer, monkeypatch):
    monkeypatch.setattr("ltm_pyro.data.tokenizer.CHARACTERS_AT_ONCE", 300)
    for text, (ids, nbytes) in zip(TEXTS, tokenizer.encode_many(iter(TEXTS)), strict=True):
        one, one_bytes = tokenizer.encode_with_bytes(text)
        assert (ids == one).all()
        assert (nbytes == one_bytes).all()


def test_special_tokens_are_skipped_or_shown(tokenizer):
    ids = [*tokenizer.encode("the"), tokenizer.eos_id, tokenizer.pad]
    assert tokenizer.decode(ids) == "the"
    assert tokenizer.decode(ids, skip_special=False) == "the<|endoftext|><|pad|>"


def test_saved_and_loaded(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "tokenizer.json")
    for spec in (tmp_path / "tokenizer.json", str(tmp_path)):
        loaded = Tokenizer.load(spec)
        assert (loaded.vocabulary, loaded.eos_id, loaded.pad) == (290, tokenizer.eos_id, tokenizer.pad)
        for text in TEXTS:
            assert (loaded.encode(text) == tokenizer.encode(text)).all()
    with pytest.raises(OSError, match="missing"):
        tokenizer.save(tmp_path / "missing" / "tokenizer.json")


def test_training_is_deterministic_across_processes():
    code = (
        "import sys, hashlib; from ltm_pyro.data import train_tokenizer\n"
        "text = sys.stdin.buffer.read().decode()\n"
        "print(hashlib.sha256(train_tokenizer([text], 290).backend.to_str().encode()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], input=PROSE.encode(), capture_output=True, check=True).stdout
    here = hashlib.sha256(train_tokenizer([PROSE], 290).backend.to_str().encode()).hexdigest()
    assert other.decode().strip() == here


def test_vocabulary_that_the_text_cannot_fill():
    with pytest.raises(InputError, match=r"at most \d+, not 10000.*--data\.vocabulary"):
        train_tokenizer(["a short text"], 10_000)


def test_what_the_message_suggests_works():
    with pytest.raises(InputError) as caught:
        train_tokenizer(["a short text"], 10_000)
    reached = int(str(caught.value).split("--data.vocabulary ")[1].split(",")[0])
    assert train_tokenizer(["a short text"], reached).vocabulary == reached


@pytest.mark.parametrize("vocabulary", [0, 257])
def test_vocabulary_without_room_for_bytes(vocabulary):
    with pytest.raises(InputError, match="258"):
        train_tokenizer([PROSE], vocabulary)


def test_long_runs_are_cut_for_training_only():
    pick = random.Random(0)
    text = "".join(pick.choice("abcdefgh") for _ in range(300_000))
    assert "".join(_runs(text + " " * 999 + PROSE)) == text + " " * 999 + PROSE
    assert list(_runs(PROSE)) == [PROSE]
    began = time.monotonic()
    assert train_tokenizer([text], 300).vocabulary == 300
    assert time.monotonic() - began < 10  # uncut it takes most of a minute


def _existing(tokens, end):
    from tokenizers import Tokenizer as Backend
    from tokenizers import models

    backend = Backend(models.WordLevel(dict(zip([*tokens, end], [0, 1, 7], strict=True)), unk_token="a"))
    backend.enable_truncation(1)
    backend.enable_padding(length=50)
    return backend


@pytest.mark.parametrize("end", ["<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[SEP]"])
def test_existing_tokenizer(end):
    wrapped = Tokenizer(_existing(["a", "b"], end))
    assert wrapped.eos_id == wrapped.pad == 7
    assert wrapped.vocabulary == 8  # ids have gaps
    assert len(wrapped.encode("b" * 10)) == 1  # neither padded nor cut


def test_existing_tokenizer_without_an_end():
    with pytest.raises(InputError, match="no token that ends a document"):
        Tokenizer(_existing(["a", "b"], "c"))


def test_tokenizers_that_cannot_be_loaded(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(InputError, match=r"tokenizer\.json does not parse as a tokenizer"):
        Tokenizer.load(tmp_path)
    with pytest.raises(InputError, match=r"no tokenizer file .*Near names.*tokenizer\.json"):
        Tokenizer.load(tmp_path / "tokenizr.json")
    for spec in ("no-such/tokenizer-name", "hf:no-such/tokenizer-name"):
        with pytest.raises(InputError, match=r"tried to load the tokenizer no-such/tokenizer-name.*--data\.tokenizer"):
            Tokenizer.load(spec)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_stream_gives_whole_characters_that_add_up(tokenizer, text):
    decoder = StreamDecoder(tokenizer)
    parts = [decoder.feed(i) for i in tokenizer.encode(text)]
    assert "".join(parts) + decoder.flush() == text
    if "\ufffd" not in text:
        assert "\ufffd" not in "".join(parts)


@pytest.mark.parametrize("seed", range(20))
def test_stream_of_arbitrary_ids_is_what_decode_says(tokenizer, seed):
    ids = np.random.default_rng(seed).integers(0, tokenizer.vocabulary, 60)
    decoder = StreamDecoder(tokenizer)
    assert "".join(decoder.feed(i) for i in ids) + decoder.flush() == tokenizer.decode(ids)


def test_stream_holds_half_a_character_back(tokenizer):
    first, *rest = train_tokenizer(["ab"], SMALLEST_VOCABULARY).encode("\U0001f600")
    decoder = StreamDecoder(train_tokenizer(["ab"], SMALLEST_VOCABULARY))
    assert [decoder.feed(i) for i in (first, *rest)] == ["", "", "", "\U0001f600"]
    assert decoder.feed(first) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""
