"""Every guide trains, is evaluated and writes from the command line, in one line."""

import json
import math

import pytest
from runs import TINY, arguments, ltm, metrics, train

from ltm_pyro.training.run import Run

GUIDES = {
    "LowRankGuide": ["--guide.rank", "2"],
    "MatrixNormalGuide": [],
    "FullCovarianceGuide": [],
    "LayerChainedGuide": [],
    "FixedVarianceGuide": [],
    "FlowGuide": ["--guide.base", "LowRankGuide", "--guide.transforms", "2"],
    "LaplaceGuide": ["--guide.probes", "2"],
    "AmortisedGuide": ["--guide.width", "16", "--guide.heads", "2"],
    "SemiAmortisedGuide": ["--guide.width", "16", "--guide.heads", "2"],
    "MemoryGuide": [],
    "AutoGuideAdapter": [],
    "MAPGuide": [],
    "LangevinGuide": ["--guide.particles", "2"],
    "SVGDGuide": ["--guide.particles", "2"],
}
NO_DENSITY = ("MAPGuide", "LangevinGuide", "SVGDGuide")


def finishes(folder, has_density=True):
    logged = [record for record in metrics(folder) if "objective" in record]
    assert len(logged) == 6
    assert all(math.isfinite(record["objective"]) for record in logged)
    assert all(("elbo" in record) == has_density for record in logged)
    assert ltm("evaluate", folder, "--limit", "4", "--draws", "2") == 0
    scores = json.loads((folder / "evaluation/validation.json").read_text())["evaluation"]["scores"]
    assert all(math.isfinite(score["nats_per_token"]) for score in scores.values())
    assert ("elbo" in scores) == has_density
    assert ltm("generate", folder, "--prompt", "the people of", "--tokens", "4") == 0


@pytest.mark.parametrize("name", GUIDES)
def test_every_guide(name, corpus, tmp_path):
    assert train(corpus, tmp_path / "run", "--guide", name, *GUIDES[name]) == 0
    finishes(tmp_path / "run", has_density=name not in NO_DENSITY)


def test_an_encoder_learns_through_the_refinement(corpus, tmp_path):
    words = ["--guide", "SemiAmortisedGuide", "--guide.through", "refinement", "--guide.width", "16"]
    words += ["--guide.heads", "2", "--fast.bound", "ELBO"]
    assert train(corpus, tmp_path / "run", *words) == 0
    finishes(tmp_path / "run")


def test_the_natural_gradient_is_an_optimizer_of_the_fast_loop(corpus, tmp_path):
    sizes = arguments({name: value for name, value in TINY.items() if not name.startswith("fast.optimizer")})
    words = ["--fast.optimizer", "ltm_pyro.NaturalGradient", "--fast.bound", "ELBO"]
    assert ltm("train", corpus, "--run", tmp_path / "run", *sizes, *words) == 0
    finishes(tmp_path / "run")


def test_learning_goes_somewhere_with_a_point(corpus, tmp_path):
    assert train(corpus, tmp_path / "run", "--guide", "MAPGuide", train__steps=40, train__save_every=40) == 0
    logged = [record["log_likelihood"] for record in metrics(tmp_path / "run") if "log_likelihood" in record]
    assert sum(logged[-5:]) > sum(logged[:5]) + 1
    assert Run.open(tmp_path / "run").checkpoints.latest() is not None
