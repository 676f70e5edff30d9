"""A corpus becomes the same sequences every time, and what is held out stays unseen."""

import json

import pytest
from runs import TINY, arguments, write_corpus

from ltm_pyro.errors import InputError
from ltm_pyro.training.material import corpus_of, prepare, read_split
from ltm_pyro.training.run import run_parser


def config(corpus, *words):
    return run_parser().parse_args([str(corpus), *arguments(TINY), *words])


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus.jsonl")


def test_equal_corpora_make_equal_material(tmp_path, corpus):
    first, again = prepare(config(corpus)), prepare(config(corpus))
    assert first.fingerprint == again.fingerprint
    assert first.tokenizer.vocabulary == 270
    assert len(first.training) > len(first.validation) > 0
    for change in (["--train.seed", "1"], ["--data.length", "8"], ["--data.vocabulary", "265"]):
        assert prepare(config(corpus, *change)).fingerprint != first.fingerprint
    corpus.write_text(corpus.read_text().replace("people", "peoples", 1))
    assert prepare(config(corpus)).fingerprint != first.fingerprint


def test_the_tokenizer_is_learned_from_the_training_split_alone(tmp_path, corpus):
    held_out = {document.text for document in read_split(config(corpus))[1]}
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    changed = tmp_path / "changed" / "corpus.jsonl"
    changed.parent.mkdir()
    lines = [json.dumps({"text": "zzzz " * 50 if text in held_out else text}) for text in texts]
    changed.write_text("\n".join(lines))
    first, second = prepare(config(corpus)), prepare(config(changed))
    assert first.tokenizer.backend.to_str() == second.tokenizer.backend.to_str()
    assert first.fingerprint != second.fingerprint


def test_a_tokenizer_that_is_given_is_used(tmp_path, corpus):
    first = prepare(config(corpus, "--data.vocabulary", "265"))
    first.tokenizer.save(tmp_path / "tokenizer.json")
    assert prepare(config(corpus), first.tokenizer).tokenizer is first.tokenizer
    loaded = prepare(config(corpus, "--data.tokenizer", str(tmp_path / "tokenizer.json")))
    assert loaded.tokenizer.vocabulary == 265
    assert loaded.fingerprint == first.fingerprint


def test_several_corpora_are_joined_by_commas(tmp_path, corpus):
    other = write_corpus(tmp_path / "other.jsonl", seed=1)
    both = config(f"{corpus},{other}")
    assert corpus_of(both) == [str(corpus), str(other)]
    assert corpus_of(config(corpus)) == str(corpus)
    assert corpus_of(run_parser().parse_args([])) is None
    counts = [sum(map(len, read_split(one))) for one in (both, config(corpus), config(other))]
    assert counts[0] == counts[1] + counts[2]


def test_a_corpus_of_next_to_nothing_is_refused(tmp_path):
    (tmp_path / "one.txt").write_text("a")
    with pytest.raises(InputError, match="too few to hold out 20%"):
        prepare(config(tmp_path / "one.txt"))


def test_the_split_has_a_seed_of_its_own(corpus):
    def held_out(*words):
        return [document.text for document in read_split(config(corpus, *words))[1]]

    assert held_out("--train.seed", "1") != held_out("--train.seed", "2")
    assert held_out("--train.seed", "1", "--data.seed", "7") == held_out("--train.seed", "2", "--data.seed", "7")
