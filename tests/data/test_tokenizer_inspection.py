"""A tokenizer's file is inspected before the library reads it: bombs are refused, tokenizers in use are not."""

import base64
import copy
import json

import numpy as np
import pytest

from ltm_pyro.data import Tokenizer, train_tokenizer
from ltm_pyro.data.charsmap import fault_of_charsmap
from ltm_pyro.data.tokenizer_inspection import inspect_tokenizer
from ltm_pyro.errors import InputError

GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module")
def content():
    return json.loads(train_tokenizer(["the people of the union"] * 3, 262).backend.to_str())


def replace(pattern, text):
    return {"type": "Replace", "pattern": pattern, "content": text}


def sequence(*parts):
    return {"type": "Sequence", "normalizers": list(parts)}


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def charsmap(units, texts=b"a\0"):
    trie = np.asarray(units, dtype="<u4").tobytes()
    return base64.b64encode(len(trie).to_bytes(4, "little") + trie + texts).decode()


def bombs():
    yield "normalizer", sequence(*[replace({"String": "a"}, "aa")] * 40), "make up to"
    yield "normalizer", sequence(*[replace({"Regex": "."}, "a" * 9)] * 3), "make up to"
    yield "normalizer", sequence(sequence(*[replace({"String": "a"}, "aa")] * 7)), "make up to"
    yield "normalizer", replace({"String": ""}, "x"), "no text of 1 to"
    yield "normalizer", replace({"Regex": ""}, "x"), "no text of 1 to"
    yield "normalizer", replace({"String": "a"}, "x" * 10**6), "no text of at most"
    yield "normalizer", {"type": "Prepend", "prepend": "x" * 65}, "no text of at most"
    yield "normalizer", {"type": "Precompiled", "precompiled_charsmap": "/////w=="}, "the size that it states"
    yield "normalizer", {"type": "Precompiled", "precompiled_charsmap": charsmap([0x3FFFFC00] * 256)}, "point outside"
    yield "normalizer", {"type": "Unheard"}, "unknown kind 'Unheard'"
    yield "pre_tokenizer", split("(a+)+$"), "unlimited time"
    yield "pre_tokenizer", split("(?:the|t|h|e)*x"), "unlimited time"
    yield "pre_tokenizer", split("a{1,9999}"), "a thousand times"
    yield "pre_tokenizer", {"type": "FixedLength", "length": 0}, "length of FixedLength"
    yield "decoder", {"type": "Sequence", "decoders": [replace({"String": "a"}, "aaaa")] * 9}, "make up to"
    yield "decoder", {"type": "Strip", "content": "a", "start": 2**62, "stop": 0}, "start of Strip"
    template = {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}], "pair": []}
    yield "post_processor", {**template, "special_tokens": {}}, "a second text, B"
    yield "added_tokens", [{"id": 2**31, "content": "<|endoftext|>"}], "has the id 2147483648"
    yield "added_tokens", [{"id": 0, "content": ""}], "has no text"
    yield "model", {"type": "BPE", "vocab": {"<|endoftext|>": 0, "a": 2**32 - 1}, "merges": []}, "has the id 4294967295"
    yield "model", {"type": "WordPiece", "vocab": {"a": 0}, "max_input_chars_per_word": 2**63}, "max_input_chars"
    yield "model", {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7}, "unk_id"
    yield "model", None, "its model is none of"


@pytest.mark.parametrize(
    ("part", "value", "says"), [pytest.param(*bomb, id=f"{bomb[0]}-{bomb[2]}") for bomb in bombs()]
)
def test_what_would_take_memory_or_time_without_bound_is_refused(tmp_path, content, part, value, says):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**content, part: value}))
    with pytest.raises(InputError, match=f"tokenizer.json does not parse as a tokenizer .*{says}"):
        Tokenizer.load(path)


@pytest.mark.parametrize("text", ["[" * 10_000, "[]", "7", "{", '{"model":' * 10_000])
def test_what_is_no_tokenizer_is_refused(tmp_path, text):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"tokenizer.json cannot be read"):
        Tokenizer.load(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("pre_tokenizer", split(GPT4)),
        ("normalizer", sequence({"type": "Prepend", "prepend": "▁"}, replace({"String": " "}, "▁"))),
        ("normalizer", sequence(replace({"String": "``"}, '"'), replace({"Regex": " {2,}"}, "▁"), {"type": "NFKC"})),
        ("decoder", {"type": "Strip", "content": " ", "start": 1, "stop": 0}),
        ("normalizer", None),
    ],
)
def test_parts_of_tokenizers_in_use_are_taken(content, part, value):
    inspect_tokenizer(json.dumps({**content, part: value}), "tokenizer.json")


def test_gaps_between_ids_are_taken(content):
    gapped = copy.deepcopy(content)
    gapped["added_tokens"].append({**content["added_tokens"][0], "id": 5000, "content": "<|more|>"})
    inspect_tokenizer(json.dumps(gapped), "tokenizer.json")


def test_a_table_that_stays_within_itself_is_taken():
    assert fault_of_charsmap(charsmap([0] * 256)) == ""
    assert fault_of_charsmap(charsmap([0] * 255 + [2**31 + 1])) == ""
    assert fault_of_charsmap(charsmap([0] * 255 + [2**31 + 2])) == "has units that point outside it"


def test_a_text_that_the_library_fails_at_is_one_line(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    model = {"type": "WordLevel", "unk_token": "missing", "vocab": {"a": 0, "<|endoftext|>": 1}}
    path.write_text(json.dumps({**content, "model": model, "added_tokens": []}))
    with pytest.raises(InputError, match=r"the tokenizer cannot encode a text: .*UNK.*restore it from a copy"):
        Tokenizer.load(path).encode("b")
