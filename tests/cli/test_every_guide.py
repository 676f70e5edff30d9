"""Every guide trains, is evaluated and writes from the command line, in one line."""

import json
import math

import pytest
from runs import TINY, arguments, ltm, metrics, train

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


def finishes(folder, has_density=True, steps=6):
    logged = [record for record in metrics(folder) if "objective" in record]
    objectives = [record["objective"] for record in logged]
    assert len(objectives) == steps
    assert all(map(math.isfinite, objectives))
    assert sum(objectives[-3:]) > sum(objectives[:3])
    assert all(("elbo" in record) == has_density for record in logged)
    assert ltm("evaluate", folder, "--limit", "4", "--draws", "2") == 0
    scores = json.loads((folder / "evaluation/validation.json").read_text())["evaluation"]["scores"]
    assert all(math.isfinite(score["nats_per_token"]) for score in scores.values())
    assert ("elbo" in scores) == has_density
    assert ltm("generate", folder, "--prompt", "the people of", "--tokens", "4") == 0


@pytest.mark.parametrize("name", GUIDES)
def test_every_guide_trains_and_what_it_follows_improves(name, corpus, tmp_path):
    longer = {"train__steps": 20, "train__save_every": 20, "train__evaluate_every": 20}
    assert train(corpus, tmp_path / "run", "--guide", name, *GUIDES[name], **longer) == 0
    finishes(tmp_path / "run", has_density=name not in NO_DENSITY, steps=20)


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
