"""Masked diffusion by the same commands as every other model."""

import json

import pytest
from runs import checkpoint, ltm, train, write_corpus


@pytest.fixture(scope="module")
def diffused(tmp_path_factory):
    """A tiny run of each loss, of documents, and the corpus."""
    shelf = tmp_path_factory.mktemp("diffusion")
    corpus = write_corpus(shelf / "corpus.jsonl")
    for loss in ("masked", "score-entropy"):
        words = ("--model", "masked-diffusion", "--diffusion.loss", loss, "--data.mode", "documents")
        assert train(corpus, shelf / loss, *words) == 0
    return shelf


@pytest.mark.parametrize("loss", ["masked", "score-entropy"])
def test_it_is_evaluated_as_a_bound(diffused, loss, capsys):
    assert ltm("evaluate", diffused / loss, "--draws", "3", "--baseline", diffused / "masked") == 0
    out = capsys.readouterr().out
    assert "diffusion ELBO, 3 draws of what is masked" in out
    assert "second half, after the first: diffusion ELBO" in out
    assert "exact" not in out
    assert "This model - baseline, whole text" in out
    saved = json.loads((diffused / loss / "evaluation" / "validation.json").read_text(encoding="utf-8"))
    assert set(saved["evaluation"]["scores"]) == {"diffusion", "predictive"}


def test_the_two_losses_are_two(diffused):
    first, second = (checkpoint(diffused / loss).weights for loss in ("masked", "score-entropy"))
    assert any(not first[name].equal(second[name]) for name in first)


def test_it_writes_by_either_sampler_and_holds_the_prompt(diffused, capsys):
    def text(*words):
        capsys.readouterr()
        assert ltm("generate", diffused / "masked", *words) == 0
        return capsys.readouterr().out

    assert text("--prompt", "the people").startswith("the people")
    assert text("--seed", "1") == text("--seed", "1") != text("--seed", "2")
    assert text("--steps", "2", "--samples", "2").startswith("--- 1 ---")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("generate", "masked", "--steps", "0"), "--steps 0: expected 1 or more"),
        (("generate", "masked", "--draft", "masked"), "--draft: masked diffusion"),
        (("compare", "bounds", "masked"), "has no thoughts"),
        (("compare", "guides", "masked"), "has no thoughts"),
    ],
)
def test_what_it_cannot_do_is_refused(diffused, words, message, capsys):
    named = [diffused / word if word in ("masked", "score-entropy") else word for word in words]
    assert ltm(*named) == 2
    assert message in capsys.readouterr().err


def test_bounds_that_weigh_draws_are_refused(diffused, tmp_path, capsys):
    words = ("--model", "masked-diffusion", "--slow.bound", "ImportanceWeighted")
    assert train(diffused / "corpus.jsonl", tmp_path / "run", *words) == 2
    assert "lower bound in the mean only" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()  # before any text was read


def test_a_resumed_run_equals_an_uninterrupted_one(diffused, tmp_path):
    words = ("--model", "masked-diffusion", "--data.mode", "documents")
    assert train(diffused / "corpus.jsonl", tmp_path / "run", *words, train__keep=9) == 0
    whole = checkpoint(tmp_path / "run").weights
    assert ltm("train", "--resume", tmp_path / "run" / "checkpoints" / "step-2") == 0
    again = checkpoint(tmp_path / "run").weights
    assert all(whole[name].equal(again[name]) for name in whole)
