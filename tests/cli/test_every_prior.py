"""Every prior trains, is evaluated and writes from the command line, with the guides and bounds that go with it."""

import json
import math

import pytest
from runs import ltm, metrics, train

PRIORS = {
    "LearnedGaussianPrior": [],
    "StudentTPrior": [],
    "LaplacePrior": [],
    "MixturePrior": ["--prior.unit", "thought"],
    "VampPrior": [],
    "ExemplarPrior": ["--prior.components", "4", "--prior.every", "2"],
    "HierarchicalPrior": [],
    "AutoregressivePrior": ["--prior.width", "16"],
    "CouplingFlowPrior": [],
    "SplineFlowPrior": ["--prior.transforms", "1", "--prior.bins", "4"],
    "EnergyPrior": ["--prior.langevin_steps", "4"],
    "DiffusionPrior": ["--prior.steps", "4", "--prior.width", "16", "--prior.blocks", "1"],
}
CODES = ["--prior", "CodebookPrior", "--prior.codes", "8"]
DISCRETE = {
    "score function": ["CategoricalGuide", "--fast.bound", "Renyi", "--fast.bound.gradient", "ScoreFunction"],
    "score function, no bound": [
        *["CategoricalGuide", "--fast.bound", "KLWeighted", "--fast.bound.particles", "2"],
        *["--fast.bound.gradient", "ScoreFunction"],
    ],
    "vimco": ["CategoricalGuide", "--fast.bound", "ImportanceWeighted", "--fast.bound.gradient", "VIMCO"],
    "straight-through": ["StraightThroughGuide", "--fast.bound", "ELBO"],
    "gumbel-softmax": ["GumbelSoftmaxGuide", "--slow.bound", "KLWeighted"],
}


def finishes(folder):
    logged = [record for record in metrics(folder) if "elbo" in record]
    assert len(logged) == 6
    assert all(math.isfinite(record["elbo"]) for record in logged)
    assert ltm("evaluate", folder, "--limit", "4", "--draws", "2") == 0
    scores = json.loads((folder / "evaluation/validation.json").read_text())["evaluation"]["scores"]
    assert all(math.isfinite(score["nats_per_token"]) for score in scores.values())
    assert ltm("generate", folder, "--tokens", "4") == 0


@pytest.mark.parametrize("name", PRIORS)
def test_continuous_thoughts(name, corpus, tmp_path):
    assert train(corpus, tmp_path / "run", "--prior", name, *PRIORS[name]) == 0
    finishes(tmp_path / "run")


@pytest.mark.parametrize("order", ["independent", "autoregressive"])
@pytest.mark.parametrize("words", DISCRETE.values(), ids=DISCRETE.keys())
def test_discrete_thoughts(words, order, corpus, tmp_path):
    assert train(corpus, tmp_path / "run", *CODES, "--prior.order", order, "--guide", *words) == 0
    finishes(tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (CODES, "CodebookPrior has one-hot thoughts, which MeanFieldGuide does not draw: give --guide Categorical"),
        (
            ["--guide", "CategoricalGuide"],
            "GaussianPrior has continuous thoughts, which CategoricalGuide",
        ),
        ([*CODES, "--guide", "GumbelSoftmaxGuide"], "the guide draws relaxed codes"),
        (["--prior", "EnergyPrior", "--prior.limit", "null"], "unknown normaliser"),
        (
            ["--prior", "DiffusionPrior", "--prior.estimate", "sum", "--slow.bound", "ImportanceWeighted"],
            "lower bound in the mean only",
        ),
        (["--prior", "DiffusionPrior", "--prior.order", "sideways"], "order"),
    ],
)
def test_pairs_that_would_bound_nothing_are_refused(words, message, corpus, tmp_path, capsys):
    assert train(corpus, tmp_path / "run", *words) == 2
    assert message in capsys.readouterr().err
