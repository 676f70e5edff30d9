"""A corpus becomes the same sequences every time, and what is held out stays unseen."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import TINY, arguments, checkpoint, ltm, metrics, sides, train, write_corpus

from ltm_pyro.errors import InputError
from ltm_pyro.training.data_module import corpus_of, prepare_data
from ltm_pyro.training.run import run_parser


def config(corpus, *words):
    return run_parser().parse_args([str(corpus), *arguments(TINY), *words])


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus.jsonl")


def test_equal_corpora_make_equal_material(tmp_path, corpus):
    first, again = prepare_data(config(corpus)), prepare_data(config(corpus))
    assert first.fingerprint == again.fingerprint
    assert first.tokenizer.vocabulary == 270
    assert len(first.training) > len(first.validation) > 0
    for change in (["--train.seed", "1"], ["--data.length", "8"], ["--data.vocabulary", "265"]):
        assert prepare_data(config(corpus, *change)).fingerprint != first.fingerprint
    corpus.write_text(corpus.read_text().replace("people", "peoples", 1))
    assert prepare_data(config(corpus)).fingerprint != first.fingerprint


def test_the_tokenizer_is_learned_from_the_training_split_alone(tmp_path, corpus):
    held_out = set(sides(config(corpus))[1])
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    changed = tmp_path / "changed" / "corpus.jsonl"
    changed.parent.mkdir()
    lines = [json.dumps({"text": "zzzz " * 50 if text in held_out else text}) for text in texts]
    changed.write_text("\n".join(lines))
    first, second = prepare_data(config(corpus)), prepare_data(config(changed))
    assert first.tokenizer.backend.to_str() == second.tokenizer.backend.to_str()
    assert first.fingerprint != second.fingerprint


def test_a_tokenizer_that_is_given_is_used(tmp_path, corpus):
    first = prepare_data(config(corpus, "--data.vocabulary", "265"))
    first.tokenizer.save(tmp_path / "tokenizer.json")
    assert prepare_data(config(corpus), first.tokenizer).tokenizer is first.tokenizer
    loaded = prepare_data(config(corpus, "--data.tokenizer", str(tmp_path / "tokenizer.json")))
    assert loaded.tokenizer.vocabulary == 265
    assert loaded.fingerprint == first.fingerprint


def test_several_corpora_are_joined_by_commas(tmp_path, corpus):
    other = write_corpus(tmp_path / "other.jsonl", seed=1)
    both = config(f"{corpus},{other}")
    assert corpus_of(both) == [str(corpus), str(other)]
    assert corpus_of(config(corpus)) == str(corpus)
    assert corpus_of(run_parser().parse_args([])) is None
    counts = [sum(map(len, sides(one))) for one in (both, config(corpus), config(other))]
    assert counts[0] == counts[1] + counts[2]


def test_a_corpus_of_next_to_nothing_is_refused(tmp_path):
    (tmp_path / "one.txt").write_text("a")
    with pytest.raises(InputError, match="too few to hold out 20%"):
        prepare_data(config(tmp_path / "one.txt"))


def test_the_split_has_a_seed_of_its_own(corpus):
    def held_out(*words):
        return sides(config(corpus, *words))[1]

    assert held_out("--train.seed", "1") != held_out("--train.seed", "2")
    assert held_out("--train.seed", "1", "--data.seed", "7") == held_out("--train.seed", "2", "--data.seed", "7")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder that is used unless a configuration names another."""
    monkeypatch.setenv("LTM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_tests_leave_the_home_folder_alone():
    assert Path(os.environ["LTM_CACHE"]).name.startswith("ltm-cache-")


def test_a_configuration_says_where_results_are_kept(tmp_path, corpus, cache):
    def kept_at(*words):
        return getattr(prepare_data(config(corpus, *words)).training.tokens, "filename", None)

    assert kept_at("--data.cache", "none") is None
    assert not cache.exists()
    assert Path(kept_at()).is_relative_to(cache)
    assert Path(kept_at("--data.cache", str(tmp_path / "mine"))).is_relative_to(tmp_path / "mine")


@pytest.mark.parametrize("nothing", ["none", ""])
def test_a_cache_may_be_done_without(corpus, cache, nothing):
    material = prepare_data(config(corpus, f"--data.cache={nothing}"))
    assert not isinstance(material.training.tokens, np.memmap)
    assert not cache.exists()
    assert material.remark == ""


def test_a_cache_that_cannot_be_written_is_said(tmp_path, corpus, capsys):
    assert train(corpus, tmp_path / "run", data__cache=str(corpus)) == 0
    assert f"tokens are not kept in {corpus} (File exists)" in capsys.readouterr().err


def test_what_is_kept_is_what_would_be_made(corpus, cache):
    for words in ([], ["--data.mode", "documents"], ["--data.length", "7"], ["--train.seed", "1"]):
        fresh = prepare_data(config(corpus, "--data.cache", "none", *words))
        for _ in range(2):
            kept = prepare_data(config(corpus, *words))
            assert isinstance(kept.training.tokens, np.memmap)
            assert kept.fingerprint == fresh.fingerprint
            assert kept.tokenizer.backend.to_str() == fresh.tokenizer.backend.to_str()
            ids = range(len(fresh.training))
            for one, other in zip(kept.training.batch(ids), fresh.training.batch(ids), strict=True):
                assert (one is None and other is None) or torch.equal(one, other)


def test_another_length_needs_no_other_tokens(corpus, cache):
    first = prepare_data(config(corpus))
    other = prepare_data(config(corpus, "--data.length", "8"))
    assert first.training.tokens.filename == other.training.tokens.filename
    assert first.fingerprint != other.fingerprint
    for words in ([], ["--data.length", "8"]):
        fresh = prepare_data(config(corpus, "--data.cache", "none", *words))
        assert prepare_data(config(corpus, *words)).fingerprint == fresh.fingerprint


def weights(folder):
    return checkpoint(folder).weights


def test_runs_do_not_depend_on_what_is_kept(tmp_path, corpus, cache):
    """With and without a cache, and resumed in the middle of an epoch after it was deleted or damaged."""
    assert train(corpus, tmp_path / "kept") == 0
    assert train(corpus, tmp_path / "fresh", data__cache="none") == 0
    for name, spoil in {"deleted": shutil.rmtree, "damaged": damage}.items():
        shutil.copytree(tmp_path / "kept", tmp_path / name)
        shutil.rmtree(tmp_path / name / "checkpoints" / "step-00000006")
        assert checkpoint(tmp_path / name).state["batches"]["position"] > 0
        spoil(cache)
        assert ltm("train", "--resume", tmp_path / name) == 0
    for name in ("fresh", "deleted", "damaged"):
        found = weights(tmp_path / name)
        assert all(torch.equal(weight, found[key]) for key, weight in weights(tmp_path / "kept").items())
        assert metrics(tmp_path / name) == metrics(tmp_path / "kept")


def damage(folder):
    for file in folder.rglob("*.tokens"):
        file.write_bytes(file.read_bytes()[:-2] + b"\1\1")
