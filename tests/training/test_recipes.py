"""Every recipe describes a run that can be built."""

import pytest

from ltm_pyro.cli.train import RECIPES, configured
from ltm_pyro.training.blueprint import check
from ltm_pyro.training.run import run_parser

NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_can_be_built(name):
    config, _ = configured(["--recipe", name, "--decoder.layers", "2", "--data.length", "16"])
    assert check(run_parser(), config).fast.steps == config.fast.steps


def test_the_recipe_of_thoughts_is_what_was_measured():
    config, _ = configured(["--recipe", "thoughts"])
    assert config.fast.optimizer.class_path == "ltm_pyro.NaturalGradient"
    assert config.fast.optimizer.init_args.max_kl == 5.0
    assert (config.decoder.window, config.fast.steps, config.slow.bound.init_args.particles) == (2, 6, 4)
