"""A continuation is what its ids say behind a prompt's, all at once and as they come."""

import random

import pytest
from tokenizer_zoo import ZOO, byte_fallback, byte_level, metaspace, unigram, word_piece

from ltm_pyro.data import StreamDecoder, continuation, token_texts

PROMPTED = [byte_level, metaspace, unigram, word_piece]


def streamed(tokenizer, prompt, ids):
    decoder = StreamDecoder(tokenizer, prompt)
    parts = [decoder.feed(id) for id in ids]
    return parts, decoder.flush()


@pytest.fixture(scope="module", params=ZOO, ids=lambda make: make.__name__)
def tokenizer(request):
    return request.param()


@pytest.mark.parametrize("make", PROMPTED, ids=lambda make: make.__name__)
@pytest.mark.parametrize(("prompt", "rest"), [("the dog", " sees"), ("a cat", " and so"), ("", "the cat")])
def test_the_blank_between_a_prompt_and_its_continuation_is_there(make, prompt, rest):
    tokenizer = make()
    before, ids = tokenizer.encode(prompt), tokenizer.encode(prompt + rest)
    ids = ids[len(before) :]
    assert continuation(tokenizer, before, ids) == rest
    parts, end = streamed(tokenizer, before, ids)
    assert "".join(parts) + end == rest


@pytest.mark.parametrize("seed", range(4))
def test_prompt_and_continuation_are_the_text_of_all_ids(tokenizer, seed):
    choose = random.Random(seed)
    prompt = tokenizer.encode("the dog sees").tolist()
    ids = choose.choices(range(tokenizer.vocabulary), k=40)
    whole = tokenizer.decode(prompt + ids)
    assert tokenizer.decode(prompt) + continuation(tokenizer, prompt, ids) == whole
    parts, end = streamed(tokenizer, prompt, ids)
    assert "".join(parts) + end == continuation(tokenizer, prompt, ids)


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_without_a_prompt_is_the_text_of_its_ids(tokenizer, seed):
    ids = random.Random(seed).choices(range(tokenizer.vocabulary), k=40)
    parts, end = streamed(tokenizer, (), ids)
    assert "".join(parts) + end == tokenizer.decode(ids)


@pytest.mark.parametrize("make", [byte_level, byte_fallback], ids=lambda make: make.__name__)
def test_half_a_character_is_held_back_and_a_prompt_cut_within_one_is_completed(make):
    tokenizer = make()
    ids = tokenizer.encode("🌊").tolist()[-4:] if make is byte_fallback else tokenizer.encode("𐍈").tolist()
    character = "🌊" if make is byte_fallback else "𐍈"
    parts, end = streamed(tokenizer, tokenizer.encode("the"), ids)
    assert "".join(parts) + end == character
    assert not any("\ufffd" in part for part in parts)
    assert continuation(tokenizer, ids[:2], ids[2:]) == character


def test_the_texts_of_tokens_add_up_to_the_text(tokenizer):
    ids = tokenizer.encode("the dog sees the 🌊 dog")
    texts = token_texts(tokenizer, ids.tolist())
    assert len(texts) == len(ids)
    assert "".join(texts) == tokenizer.decode(ids)
    assert token_texts(tokenizer, []) == []


@pytest.mark.parametrize("make", [metaspace, unigram, word_piece], ids=lambda make: make.__name__)
def test_decoded_alone_the_blank_would_be_lost(make):
    tokenizer = make()
    before = tokenizer.encode("the dog")
    ids = tokenizer.encode("the dog sees")[len(before) :]
    assert tokenizer.decode(before) + tokenizer.decode(ids) != "the dog sees"
