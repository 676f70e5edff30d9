"""The recipe of masked diffusion."""

from runs import TINY, arguments, ltm, write_corpus

from ltm_pyro import MaskedDiffusionModel
from ltm_pyro.training.run import Run


def test_the_recipe_trains_evaluates_and_writes_and_its_window_gives_way_to_ones_own(tmp_path, capsys):
    corpus = write_corpus(tmp_path / "corpus.jsonl")
    sizes = arguments({name: value for name, value in TINY.items() if not name.startswith("fast.")})
    words = ("--recipe", "masked-diffusion", *sizes)
    assert ltm("train", corpus, *words, "--run", tmp_path / "mdlm") == 0
    assert ltm("train", corpus, *words, "--diffusion.window", "3", "--run", tmp_path / "own") == 0
    model = Run.open(tmp_path / "mdlm").load().model
    assert isinstance(model, MaskedDiffusionModel)
    assert (model.loss, model.window) == ("masked", 8)
    assert Run.open(tmp_path / "own").load().model.window == 3
    capsys.readouterr()
    assert ltm("evaluate", tmp_path / "mdlm", "--draws", "2") == 0
    assert "diffusion ELBO, 2 draws of what is masked" in capsys.readouterr().out
    assert ltm("generate", tmp_path / "mdlm", "--prompt", "the people", "--steps", "2") == 0
    assert capsys.readouterr().out.startswith("the people")
