"""Every recipe describes a run that can be built."""

import pytest
from pretrained_models import pretrained
from tiny_encoders import save_encoder

from ltm_pyro.cli.run_arguments import configured
from ltm_pyro.runs.config import recipe, recipes
from ltm_pyro.training.build import validate
from ltm_pyro.training.run import run_parser

NAMES = recipes()


@pytest.fixture(scope="module", name="bases")
def _bases(tmp_path_factory):
    """Words that name a tiny pretrained decoder and a tiny pretrained encoder."""
    place = tmp_path_factory.mktemp("bases")
    return {"--decoder.name": str(pretrained(place)), "--guide.encoder.name": str(save_encoder(place / "encoder"))}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_can_be_built(name, bases):
    settings = recipe(name)
    words = ["--recipe", name, "--data.length", "16"]
    if "class_path" not in settings.get("decoder", {}):
        words += ["--decoder.layers", "2"]
    else:
        words += ["--decoder.name", bases["--decoder.name"]]
        words += ["--guide.encoder.name", bases["--guide.encoder.name"]] if "guide" in settings else []
    config, _ = configured(words)
    assert validate(run_parser(config), config).fast.steps == config.fast.steps


def test_the_recipe_of_thoughts_is_what_was_measured():
    config, _ = configured(["--recipe", "thoughts"])
    assert config.fast.optimizer.class_path == "ltm_pyro.NaturalGradient"
    assert config.fast.optimizer.init_args.max_kl == 5.0
    assert (config.decoder.window, config.fast.steps, config.slow.bound.init_args.particles) == (2, 6, 4)


def schedule_of(recipe, *words):
    config, _ = configured(["--recipe", recipe, *words])
    components = validate(run_parser(), config)
    bound = components.slow.bound if recipe == "vae" else components.fast.bound
    return bound.schedule, config.train.steps


@pytest.mark.parametrize(("recipe", "absolute"), [("tiny", (300, 400)), ("thoughts", (100, 400)), ("vae", (0, 500))])
def test_the_schedules_of_recipes_are_shares_of_the_run(recipe, absolute):
    schedule, _ = schedule_of(recipe)
    assert (schedule.delay, schedule.steps) == absolute  # at the recipe's own length
    shorter, steps = schedule_of(recipe, "--train.steps", "80")
    assert steps == 80
    assert shorter.at(79) == shorter.end


@pytest.mark.parametrize(
    "words",
    [
        ["--fast.bound.kl_weight.steps", "40", "--fast.bound.kl_weight.delay=10"],
        ["--fast.bound.kl_weight", "{class_path: ltm_pyro.LinearSchedule, init_args: {delay: 10, steps: 40}}"],
    ],
)
def test_a_place_in_slow_steps_overrules_the_recipe(words):
    schedule, _ = schedule_of("tiny", *words)
    assert (schedule.delay, schedule.steps) == (10, 40)


def test_another_share_is_one_word():
    schedule, _ = schedule_of("tiny", "--fast.bound.kl_weight.over", "0.2")
    assert (schedule.delay, schedule.steps) == (300, 200)
