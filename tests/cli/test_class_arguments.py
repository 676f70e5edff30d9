"""A class that is named starts anew, wherever the one before it came from."""

from pathlib import Path

import pytest

from ltm_pyro.cli.run_arguments import configured


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        "guide:\n  class_path: ltm_pyro.MeanFieldGuide\n  init_args: {sigma: 0.25}\n"
        "fast:\n  steps: 3\n  bound:\n    class_path: ltm_pyro.ELBO\n    init_args: {particles: 7}\n"
    )
    return str(path)


def test_a_named_class_does_not_inherit_from_that_of_a_file(file):
    config = configured(["--config", file, "--guide", "MeanFieldGuide", "--fast.bound=ImportanceWeighted"])[0]
    assert config.guide.init_args.sigma is None
    assert config.fast.bound.init_args.particles == 8
    assert config.fast.steps == 3
    assert configured([f"--config={file}", "--guide", "MeanFieldGuide"])[0].fast.bound.init_args.particles == 7


def test_a_named_class_does_not_inherit_from_that_of_the_recipe():
    assert configured(["--fast.optimizer", "torch.optim.Adam"])[0].fast.optimizer.init_args.eps == 1e-8
    assert configured([])[0].fast.optimizer.init_args.eps == 0.5


def test_an_argument_alone_changes_the_class_that_is_there(file):
    config = configured(["--config", file, "--guide.sigma", "0.5", "--fast.bound.particles", "2"])[0]
    assert config.guide.init_args.sigma == 0.5
    assert config.fast.bound.init_args.particles == 2
    assert Path(file).read_text().count("0.25") == 1
