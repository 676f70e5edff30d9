"""The Gaussian guides, the flow, and the optimizers of the fast loop, by name."""

import json
import math
from itertools import combinations

import pytest
from runs import TINY, arguments, ltm, metrics, train, write_corpus

GUIDES = {
    "low rank": ["--guide", "LowRankGuide", "--guide.rank", "2"],
    "matrix normal": ["--guide", "MatrixNormalGuide"],
    "full": ["--guide", "FullCovarianceGuide"],
    "full over z": ["--guide", "FullCovarianceGuide", "--guide.unit", "z"],
    "layer chained": ["--guide", "LayerChainedGuide"],
    "fixed": ["--guide", "FixedVarianceGuide", "--guide.sigma", "0.3"],
    "fixed, at the prior's": ["--guide", "FixedVarianceGuide", "--guide.sigma", "null"],
    "flow": ["--guide", "FlowGuide"],
    "flow over low rank": ["--guide", "FlowGuide", "--guide.base", "LowRankGuide", "--guide.options", '{"rank": 2}'],
}
OPTIMIZERS = {
    "natural": ["--fast.optimizer", "NaturalGradient"],
    "natural, held": ["--fast.optimizer", "NaturalGradient", "--fast.optimizer.max_kl", "1e-3"],
    "momentum": ["--fast.optimizer", "SGD", "--fast.optimizer.momentum", "0.9"],
    "adam, along a cosine": ["--fast.optimizer", "Adam", "--fast.final_fraction", "0.05"],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.jsonl", documents=20)


def train_by(corpus, folder, *words):
    """Without the tiny runs' own argument of an optimizer, which another one would not take."""
    tiny = {name: value for name, value in TINY.items() if not name.startswith("fast.optimizer")}
    return ltm("train", corpus, "--run", folder, *arguments(tiny), *words)


def elbos(folder):
    values = [record["elbo"] for record in metrics(folder) if "elbo" in record]
    assert len(values) == 6
    assert all(math.isfinite(value) for value in values)
    return values


@pytest.mark.parametrize("words", GUIDES.values(), ids=GUIDES.keys())
def test_a_guide_trains_is_evaluated_and_writes(words, corpus, tmp_path):
    assert train(corpus, tmp_path / "run", *words) == 0
    elbos(tmp_path / "run")
    assert ltm("evaluate", tmp_path / "run", "--limit", "4", "--draws", "2") == 0
    scores = json.loads((tmp_path / "run/evaluation/validation.json").read_text())["evaluation"]["scores"]
    assert all(math.isfinite(score["nats_per_token"]) for score in scores.values())
    assert ltm("generate", tmp_path / "run", "--tokens", "4") == 0


def test_the_optimizers_of_the_fast_loop_are_those_that_are_named(corpus, tmp_path):
    found = []
    for name, words in OPTIMIZERS.items():
        assert train_by(corpus, tmp_path / name, *words) == 0
        found.append(elbos(tmp_path / name))
    assert all(one != other for one, other in combinations(found, 2))


def test_a_family_without_a_natural_gradient_is_refused_with_the_reason(corpus, tmp_path, capsys):
    words = ["--guide", "LowRankGuide", "--fast.optimizer", "NaturalGradient"]
    assert train_by(corpus, tmp_path / "run", *words) == 2
    told = capsys.readouterr().err
    assert "LowRankGuide has no natural gradient in closed form" in told
    assert "Reading" not in told  # it is told before any work
    assert not (tmp_path / "run").exists()
