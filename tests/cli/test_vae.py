"""The recipe of an amortised text VAE."""

import pytest
from runs import TINY, arguments, ltm, metrics, write_corpus

from ltm_pyro import AmortisedGuide
from ltm_pyro.training.run import Run


def test_the_recipe_trains_evaluates_and_writes(tmp_path, capsys):
    sizes = {name: value for name, value in TINY.items() if not name.startswith("fast.")}
    sizes |= {"train.draws": 3, "slow.bound.kl_weight.steps": 4}
    words = ("--recipe", "vae", "--run", tmp_path / "vae", *arguments(sizes))
    assert ltm("train", write_corpus(tmp_path / "corpus.jsonl"), *words) == 0
    run = Run.open(tmp_path / "vae")
    components = run.load()
    assert isinstance(components.guide, AmortisedGuide)
    assert run.config.fast.steps == 0
    steps = [record for record in metrics(tmp_path / "vae") if "kl" in record]
    weights = [(record["log_likelihood"] - record["objective"]) / record["kl"] for record in steps[1:]]
    assert steps[0]["kl"] == 0  # the encoder begins at the prior
    assert weights == pytest.approx([0.25, 0.5, 0.75, 1, 1], abs=1e-3)
    capsys.readouterr()
    assert ltm("evaluate", tmp_path / "vae", "--draws", "2") == 0
    assert "importance-weighted, 2 draws from q" in capsys.readouterr().out
    assert ltm("generate", tmp_path / "vae", "--prompt", "the people") == 0
    assert capsys.readouterr().out.startswith("the people")
