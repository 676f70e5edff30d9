"""Settings of a task for a written answer are followed, or refused by name."""

import pytest

from ltm_pyro.errors import InputError
from ltm_pyro.generation import Sampling
from ltm_pyro.suites.harness.settings import WITHOUT_EFFECT, GenerationSettings

FOLLOWED = [
    ({}, Sampling(0.0), 256, ()),
    ({"until": "\n", "max_gen_toks": 6}, Sampling(0.0), 6, ("\n",)),
    ({"until": ["a", "b"], "max_new_tokens": 7}, Sampling(0.0), 7, ("a", "b")),
    ({"max_tokens": 8, "max_gen_toks": 8, "until": None}, Sampling(0.0), 8, ()),
    ({"max_completion_tokens": 9, "do_sample": True}, Sampling(1.0), 9, ()),
    ({"do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 0.9}, Sampling(0.7, 5, 0.9), 256, ()),
    ({"do_sample": False, "temperature": 1, "top_p": 0.95}, Sampling(0.0), 256, ()),
    ({"temperature": 0.2}, Sampling(0.2), 256, ()),
    ({"temperature": 0.0, "num_beams": 1, "repetition_penalty": 1.0}, Sampling(0.0), 256, ()),
]
REFUSED = [
    ({"num_beams": 4}, "num_beams=4: this setting is not supported"),
    ({"repetition_penalty": 1.2}, "repetition_penalty=1.2.*or give 1, which has no effect"),
    ({"min_p": 0.1}, "min_p=0.1"),
    ({"max_length": 20}, "max_length=20: this setting is not supported, only until, max_gen_toks"),
    ({"a_new_one": 3}, "a_new_one=3"),
    ({"max_gen_toks": 6, "max_new_tokens": 8}, "max_gen_toks=6 and max_new_tokens=8 name the same length"),
    ({"max_new_tokens": 0}, "max_new_tokens=0: expected a whole number"),
    ({"max_gen_toks": "many"}, "max_gen_toks='many'"),
    ({"do_sample": "yes"}, "do_sample='yes': expected true or false"),
    ({"top_k": -1}, "generation_kwargs top_k=-1: expected"),
    ({"do_sample": True, "temperature": "hot"}, "temperature=hot: expected"),
    ({"do_sample": False, "top_p": 7}, "top_p=7: expected"),
    ({"until": 3}, "until=3: expected a text"),
    ({"until": ["a", 3]}, "until="),
]


@pytest.mark.parametrize(("given", "sampling", "tokens", "until"), FOLLOWED, ids=str)
def test_what_is_followed(given, sampling, tokens, until):
    assert GenerationSettings.read(given) == (sampling, tokens, until)


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=str)
def test_what_is_not_is_refused_by_name(given, message):
    with pytest.raises(InputError, match=message):
        GenerationSettings.read(given)


def test_values_that_do_nothing_are_taken():
    assert GenerationSettings.read(WITHOUT_EFFECT) == GenerationSettings.read({})


def test_an_answer_ends_at_the_first_of_its_ends():
    settings = GenerationSettings.read({"until": ["\n", "Q:", ""]})
    assert settings.cut("four Q: five\nsix") == "four "
